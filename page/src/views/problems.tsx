/** What is wrong and what to do: by cause, alike failures once, and the last words of a pytest that died. */
import type { Model } from "../model";
import { CauseTag, Link, OutcomeWord, Section, Tests, useFirst } from "../parts";
import type { Aside, Cause, Problem } from "../schema";
import { CAUSES, named, plural } from "../words";
import { FindingList } from "./findings";
import { RuleName } from "./rules";

/** Problems of one cause: a page of a thousand cards would open slowly, and nobody reads it. */
const FIRST = 10;

/** Return the advice for a rule, where it knows better than its cause. */
function advice(model: Model, rule: string, cause: Cause | null): string {
  const found = (what: string | null) => model.page.advice.find(([name]) => name === what)?.[1];
  return found(rule) || model.page.rules[rule]?.remedy || found(cause) || "";
}

/** Return whether what was set aside is a problem all the same. */
export function isMissing(aside: Aside): boolean {
  return aside.outcome === "not_run";
}

export function Problems({ model }: { model: Model }) {
  const problems = model.page.problems;
  const missing = model.page.asides.filter(isMissing);
  const dead = model.page.environments.filter((each) => each.log_tail);
  if (!problems.length && !missing.length && !dead.length) return null;
  const byCause = Map.groupBy(problems, (problem) => problem.cells.find((cell) => cell.cause)?.cause ?? null);
  return (
    <Section title="What is wrong, and what to do">
      {[...byCause].map(([cause, members]) => (
        <OfCause key={cause} model={model} cause={cause} problems={members} />
      ))}
      {missing.length > 0 && (
        <div class="by-cause">
          <h3>Planned, and never ended</h3>
          {missing.map((aside, index) => (
            <AsideOf key={index} model={model} aside={aside} />
          ))}
        </div>
      )}
      {dead.map((environment) => (
        <div class="by-cause" key={environment.name}>
          <h3>The end of pytest's output in {environment.label}</h3>
          <pre tabIndex={0} class="last-output" ref={(shown) => shown?.scrollTo(0, shown.scrollHeight)}>
            {environment.log_tail.trimEnd()}
          </pre>
        </div>
      ))}
    </Section>
  );
}

function OfCause({ model, cause, problems }: { model: Model; cause: Cause | null; problems: readonly Problem[] }) {
  const [shown, more] = useFirst(problems, FIRST);
  return (
    <div class="by-cause">
      <h3>
        {cause ? <CauseTag cause={cause} /> : "Without a cause"}
        {cause && <span class="note">{CAUSES[cause].blame}</span>}
      </h3>
      {shown.map((problem, index) => (
        <ProblemCard key={index} model={model} problem={problem} />
      ))}
      {more && (
        <p class="rest">
          {more}
          {cause && <Link to={{ view: "matrix", query: `cause:${cause}` }}>all in the matrix</Link>}
        </p>
      )}
    </div>
  );
}

function ProblemCard({ model, problem }: { model: Model; problem: Problem }) {
  const environments = model.page.environments;
  const nextOf = (cell: Problem["cells"][number]) => cell.remedy || advice(model, cell.rule, cell.cause);
  const told = problem.cells.filter((cell) => cell.findings.length);
  const isShared = new Set(told.map(nextOf)).size === 1;
  return (
    <article class="problem">
      {problem.cells.map((cell, index) => {
        const next = isShared && cell.findings.length ? "" : nextOf(cell);
        return (
          <div class="problem-cell" key={index}>
            <p class="where">
              <OutcomeWord outcome={cell.outcome} cause={cell.cause} />
              <span>in {named(cell.environments.flatMap((each) => environments[each] ?? []))}</span>
              {cell.rule && <RuleName model={model} code={cell.rule} />}
            </p>
            {cell.summary && !cell.findings.length && <p class="summary">{cell.summary}</p>}
            {cell.place && <p class="note place">{cell.place}</p>}
            {next && <Next text={next} />}
          </div>
        );
      })}
      <FindingList model={model} found={problem.cells} everywhere={told.flatMap((cell) => cell.environments).length} />
      {isShared && <Next text={told.map(nextOf)[0] ?? ""} />}
      <p class="note">{plural(problem.rows.length, "test")}</p>
      <Tests
        tests={problem.rows.map((row) => model.test(row))}
        environment={environments[problem.cells[0]?.environments[0] ?? 0]?.name ?? ""}
        most={4}
      />
    </article>
  );
}

function Next({ text }: { text: string }) {
  return (
    <p class="remedy">
      <b>Next</b> {text}
    </p>
  );
}

export function AsideOf({ model, aside }: { model: Model; aside: Aside }) {
  const environments = aside.environments.flatMap((each) => model.page.environments[each] ?? []);
  return (
    <details class="aside">
      <summary>
        <OutcomeWord outcome={aside.outcome} />
        <span class="reason">{aside.reason || "no reason given"}</span>
        <span class="note">
          {plural(aside.rows.length, "test")} in {named(environments)}
        </span>
      </summary>
      <Tests tests={aside.rows.map((row) => model.test(row))} environment={environments[0]?.name ?? ""} most={20} />
    </details>
  );
}
