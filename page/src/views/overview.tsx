/** The first view: which environment is broken, whose fault it is, what to do. */
import { columnOrder } from "../lines";
import type { Model } from "../model";
import { AnswerBadge, CauseTag, EnvironmentsHead, Link, OutcomeBar, Section, LongName } from "../parts";
import { quotedWord } from "../words_of_query";
import type { Cause, Environment } from "../schema";
import { CAUSES, duration, moment, named, OUTCOMES, plural, SEVERITY } from "../words";
import { Changes } from "./changes";
import { AsideOf, isMissing, Problems } from "./problems";
import { Findings } from "./findings";
import { Services } from "./services";

export function Overview({ model }: { model: Model }) {
  const { page } = model;
  return (
    <div class="overview">
      <Headline environments={page.environments} />
      <Verdicts model={model} />
      <Problems model={model} />
      <Changes model={model} />
      <Counts model={model} />
      <Services model={model} />
      <Findings model={model} />
      <Asides model={model} />
      <Measured model={model} />
      <Runs environments={page.environments} />
    </div>
  );
}

function Headline({ environments }: { environments: readonly Environment[] }) {
  const of = (answer: string) => environments.filter((each) => each.answer === answer);
  const [broken, unknown, good] = [of("incompatible"), of("unknown"), of("compatible")];
  const all = environments.length > 1 ? `All ${environments.length} environments` : named(environments);
  const are = (list: readonly Environment[], answer: string) =>
    `${list.length === environments.length ? all : named(list)} ${list.length === 1 ? "is" : "are"} ${answer}`;
  const [words = "No environment was run", ...rest] = [
    broken.length ? are(broken, "incompatible") : [],
    unknown.length ? are(unknown, "unknown") : [],
    good.length ? are(good, "compatible") : [],
  ].flat();
  return (
    <header class="headline">
      <h1>{words}</h1>
      {rest.length > 0 && <p>{rest.join("; ")}</p>}
    </header>
  );
}

/** Of more environments than these a verdict has its causes only. */
const FEW = 8;
const REASONS = 6;

function Verdicts({ model }: { model: Model }) {
  const { environments } = model.page;
  return (
    <ul class={environments.length > FEW ? "verdicts dense" : "verdicts"} aria-label="Verdicts">
      {columnOrder(model, "worst").map((index) => {
        const environment = environments[index];
        return environment && <Verdict key={environment.name} model={model} index={index} environment={environment} />;
      })}
    </ul>
  );
}

function Verdict({ model, index, environment }: { model: Model; index: number; environment: Environment }) {
  const counts = model.counts[index];
  const causes = Object.entries(counts?.causes ?? {}) as [Cause, number][];
  const reasons = environment.reasons;
  return (
    <li class={`verdict ${environment.answer}`}>
      <h2>
        <Link to={{ view: "matrix", query: `in:${quotedWord(environment.name)}`, rows: `in:${environment.name}` }}>
          <LongName name={environment.label} />
        </Link>
        <AnswerBadge answer={environment.answer} />
      </h2>
      {counts && <OutcomeBar counts={counts} />}
      {counts && counts.planned > 0 && (
        <p class="counts">
          {SEVERITY.filter((outcome) => counts.outcomes[outcome]).map((outcome) => (
            <span key={outcome}>
              {counts.outcomes[outcome]?.toLocaleString("en")} {OUTCOMES[outcome].word}
            </span>
          ))}
        </p>
      )}
      {causes.length > 0 && (
        <p class="causes">
          {causes
            .toSorted((a, b) => b[1] - a[1])
            .map(([cause, number]) => (
              <Link key={cause} to={{ view: "matrix", query: `in:${quotedWord(environment.name)} cause:${cause}` }}>
                <CauseTag cause={cause} /> {number}
              </Link>
            ))}
        </p>
      )}
      {reasons.length > 0 && environment.answer !== "compatible" && (
        <ul class="reasons">
          {reasons.slice(0, REASONS).map((reason) => (
            <li key={reason.text}>{reason.text}</li>
          ))}
          {reasons.length > REASONS && (
            <li class="note">and {plural(reasons.length - REASONS, "more reason")}, below</li>
          )}
        </ul>
      )}
    </li>
  );
}

function Counts({ model }: { model: Model }) {
  const environments = model.page.environments;
  const outcomes = SEVERITY.filter((outcome) => model.counts.some((counts) => counts.outcomes[outcome]));
  const causes = (Object.keys(CAUSES) as Cause[]).filter((cause) =>
    model.counts.some((counts) => counts.causes[cause]),
  );
  return (
    <Section title="Counts" note={`${plural(model.tests, "test")} in ${plural(environments.length, "environment")}`}>
      <div class="scroll" tabIndex={0} role="region" aria-label="Counts">
        <table>
          <thead>
            <tr>
              <th scope="col">Environment</th>
              {outcomes.map((outcome) => (
                <th scope="col" class="number" key={outcome}>
                  {OUTCOMES[outcome].word}
                </th>
              ))}
              {causes.map((cause) => (
                <th scope="col" class="number" key={cause}>
                  <CauseTag cause={cause} />
                </th>
              ))}
              <th scope="col" class="number">
                time
              </th>
            </tr>
          </thead>
          <tbody>
            {environments.map((environment, index) => (
              <tr key={environment.name}>
                <th scope="row">{environment.label}</th>
                {outcomes.map((outcome) => (
                  <td class="number" key={outcome}>
                    <Count model={model} index={index} number={model.counts[index]?.outcomes[outcome]} word={outcome} />
                  </td>
                ))}
                {causes.map((cause) => (
                  <td class="number" key={cause}>
                    <Count
                      model={model}
                      index={index}
                      number={model.counts[index]?.causes[cause]}
                      word={`cause:${cause}`}
                    />
                  </td>
                ))}
                <td class="number">{environment.duration === null ? "" : duration(environment.duration)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Section>
  );
}

function Count({
  model,
  index,
  number,
  word,
}: {
  model: Model;
  index: number;
  number: number | undefined;
  word: string;
}) {
  if (!number) return <span class="zero">0</span>;
  const name = quotedWord(model.page.environments[index]?.name ?? "");
  return <Link to={{ view: "matrix", query: `${word} in:${name}` }}>{number.toLocaleString("en")}</Link>;
}

function Asides({ model }: { model: Model }) {
  const asides = model.page.asides.filter((aside) => !isMissing(aside));
  if (!asides.length) return null;
  return (
    <Section title="Skipped, expected to fail, or not planned">
      {asides.map((aside, index) => (
        <AsideOf key={index} model={model} aside={aside} />
      ))}
    </Section>
  );
}

/** The numbers of a test side by side; folded where none is worse than its history. */
function Measured({ model }: { model: Model }) {
  const { numbers, environments } = model.page;
  if (!numbers.length) return null;
  const worse = numbers.filter((each) => each.worse).length;
  const shown = environments.flatMap((environment, index) =>
    numbers.some((each) => each.environment === index) ? [{ environment, index }] : [],
  );
  return (
    <Section title="Numbers that tests recorded">
      <details open={worse > 0}>
        <summary>{worse ? `${worse} worse than usual` : plural(numbers.length, "number")}</summary>
        <div class="scroll" tabIndex={0} role="region" aria-label="Numbers that tests recorded">
          <table>
            <EnvironmentsHead
              first="Number"
              environments={shown.map(({ environment }) => environment)}
              last="Test"
              class="number"
            />
            <tbody>
              {[...Map.groupBy(numbers, (each) => `${each.row} ${each.name}`)].map(([key, members]) => (
                <tr key={key}>
                  <th scope="row">{members[0]?.name}</th>
                  {shown.map(({ index }) => {
                    const found = members.find((each) => each.environment === index);
                    return (
                      <td class="number" key={index}>
                        {found?.value} {found?.worse && <b class="worse">worse</b>}
                        {found && found.median !== null && <p class="note">usually {found.median}</p>}
                      </td>
                    );
                  })}
                  <td class="test-name">
                    <LongName name={model.test(members[0]?.row ?? 0)} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </Section>
  );
}

function Runs({ environments }: { environments: readonly Environment[] }) {
  return (
    <Section title="Runs">
      {environments.map((environment) => (
        <details key={environment.name} class="run">
          <summary>
            <b>{environment.label}</b>
            <span class="note">
              {environment.run_id === null ? "no run" : environment.complete ? "complete" : "incomplete"}
              {environment.started_at && `, started ${moment(environment.started_at)}`}
              {environment.commit && `, commit ${environment.commit.slice(0, 12)}`}
              {environment.dirty && " with uncommitted changes"}
            </span>
          </summary>
          <dl>
            {environment.run_id && <Fact name="run" value={environment.run_id} />}
            {Object.entries(environment.versions).map(([name, version]) => (
              <Fact key={name} name={name} value={version} />
            ))}
          </dl>
          <ul class="reasons">
            {environment.reasons.map((reason, index) => (
              <li key={index}>
                {reason.text} {reason.code && <code>{reason.code}</code>}
              </li>
            ))}
          </ul>
        </details>
      ))}
    </Section>
  );
}

export function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}
