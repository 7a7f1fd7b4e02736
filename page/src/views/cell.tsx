/** The panel of one cell: what became of the test there, why, and what to do. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { chunk } from "../load";
import { cellMarkdown } from "../markdown";
import type { Cell, Model } from "../model";
import { CauseTag, CopyButton, openCell, OutcomeWord, SourceTag, LongName, Tests, Tile } from "../parts";
import { go } from "../place";
import type { Details, Explanation } from "../schema";
import { CAUSES, duration, OUTCOMES, plural, spaced } from "../words";
import { FindingList } from "./findings";
import { Fact } from "./overview";
import { RuleName } from "./rules";

/** Return the explanation of a cell: undefined while it is read, null where there is none. */
function useExplanation(cell: Cell | null): Explanation | null | undefined {
  const [read, setRead] = useState<{ cell: Cell | null; explanation: Explanation | null }>();
  useEffect(() => {
    let wanted = true;
    const details = cell && cell.block >= 0 ? chunk<Details>(`details-${cell.block}`) : Promise.resolve(null);
    void details.then((found) => {
      if (wanted) setRead({ cell, explanation: (cell && found?.[cell.environment]?.[cell.row]) ?? null });
    });
    return () => {
      wanted = false;
    };
  }, [cell]);
  return read?.cell === cell ? read?.explanation : undefined;
}

export function CellPanel({ model, test, environment }: { model: Model; test: string; environment: string }) {
  const row = model.rowOf(test);
  const index = model.environmentOf(environment);
  const cell = row === undefined ? null : model.cell(row, index);
  const explanation = useExplanation(cell);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus({ preventScroll: true }), [test, environment]);
  return (
    <aside class="panel" aria-label="Cell">
      <header>
        <h2 ref={heading} tabIndex={-1} class="test-name">
          <LongName name={test} />
        </h2>
        <button type="button" class="button close" aria-label="Close" onClick={() => go({ test: "", environment: "" })}>
          ✕
        </button>
      </header>
      {cell ? (
        <Known model={model} cell={cell} explanation={explanation} />
      ) : (
        <p class="empty">
          {row === undefined
            ? "There is no such test in this page."
            : `Not planned in ${model.page.environments[index]?.label ?? environment}.`}
        </p>
      )}
      {row !== undefined && <Elsewhere model={model} row={row} here={index} />}
    </aside>
  );
}

function Known({
  model,
  cell,
  explanation,
}: {
  model: Model;
  cell: Cell;
  explanation: Explanation | null | undefined;
}) {
  const environment = model.page.environments[cell.environment];
  const findings = model.findings(cell.row, cell.environment);
  const history = model.history(cell.row, cell.environment);
  const rerun = explanation?.rerun || model.rerun(cell.row, cell.environment);
  return (
    <>
      <p class="verdict-line">
        <OutcomeWord outcome={cell.outcome} cause={cell.cause} /> in <b>{environment?.label}</b>
        {cell.change && <span class="change">{spaced(cell.change)}</span>}
      </p>
      {cell.cause && (
        <p>
          <CauseTag cause={cell.cause} /> <span class="note">{CAUSES[cell.cause].blame}</span>
          {cell.rule && (
            <>
              {" "}
              · <RuleName model={model} code={cell.rule} />
            </>
          )}
        </p>
      )}
      {findings.length ? (
        <FindingList model={model} found={[{ environments: [cell.environment], findings }]} everywhere={1} />
      ) : (
        (explanation?.summary || cell.text) && <p class="summary">{explanation?.summary || cell.text}</p>
      )}
      {explanation && explanation.next.length > 0 && (
        <Part title="What to do">
          <ol>
            {explanation.next.map((step) => (
              <li key={step}>{step}</li>
            ))}
          </ol>
        </Part>
      )}
      {rerun && (
        <Part title="Run it again">
          <pre tabIndex={0}>{rerun}</pre>
        </Part>
      )}
      <p class="buttons">
        {rerun && <CopyButton text={() => rerun}>Copy the command</CopyButton>}
        {explanation !== undefined && (
          <CopyButton text={() => cellMarkdown(model, cell, explanation)}>Copy as Markdown</CopyButton>
        )}
      </p>
      {explanation === undefined && <p class="note">Reading the evidence …</p>}
      {explanation && <Evidence explanation={explanation} />}
      <Part title="Facts">
        <dl>
          <Fact name="took" value={duration(cell.duration)} />
          {cell.attempts > 1 && <Fact name="attempts" value={String(cell.attempts)} />}
          {cell.worker && <Fact name="worker" value={cell.worker} />}
          {cell.began >= 0 && <Fact name="began" value={`${duration(cell.began)} after the run's start`} />}
          {cell.services.length > 0 && <Fact name="used" value={cell.services.join(", ")} />}
          {cell.reused && <Fact name="reused" value={`from ${cell.reusedFrom.slice(0, 12)}, not run since`} />}
          {explanation?.phase && <Fact name="phase" value={explanation.phase} />}
          {explanation?.place && <Fact name="place" value={explanation.place} />}
          {explanation?.run && <Fact name="run file" value={explanation.run.file} />}
        </dl>
      </Part>
      {history.length > 0 && (
        <Part title="Before">
          <p
            class="history"
            role="img"
            aria-label={`Oldest first: ${history.map((each) => OUTCOMES[each].word).join(", ")}`}
          >
            {history.map((outcome, index) => (
              <Tile key={index} outcome={outcome} />
            ))}
            <span class="note">oldest first, then this run</span>
          </p>
        </Part>
      )}
    </>
  );
}

function Part({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <section class="part">
      <h3>{title}</h3>
      {children}
    </section>
  );
}

function Lines({ title, items }: { title: string; items: readonly string[] }) {
  if (!items.length) return null;
  return (
    <Part title={title}>
      <ul class="lines">
        {items.map((item, index) => (
          <li key={index}>{item}</li>
        ))}
      </ul>
    </Part>
  );
}

function Evidence({ explanation }: { explanation: Explanation }) {
  const { rule } = explanation;
  const numbers = (values: Record<string, Record<string, number>>) =>
    Object.entries(values).map(([name, metrics]) => `${name}: ${pairs(metrics)}`);
  return (
    <>
      {rule && (rule.meaning || Object.keys(rule.also).length > 0) && (
        <Part title="The rule that decided">
          <p>
            <code>{rule.code}</code> {rule.title}. {rule.meaning}
          </p>
          {Object.entries(rule.also).map(([code, meaning]) => (
            <p key={code}>
              <code>{code}</code> {meaning}
            </p>
          ))}
          {rule.page && <p class="note">{rule.page}</p>}
        </Part>
      )}
      {explanation.services.length > 0 && <Looks explanation={explanation} />}
      <Lines title="Exceptions, outermost first" items={explanation.exceptions} />
      <Lines title="Last requests" items={explanation.exchanges} />
      {explanation.attempts.length > 1 && (
        <Part title="Attempts">
          <ol>
            {explanation.attempts.map((attempt, index) => (
              <li key={index}>
                <OutcomeWord outcome={attempt.outcome} /> in {duration(attempt.duration * 1000)} {attempt.worker}{" "}
                {attempt.why}
              </li>
            ))}
          </ol>
        </Part>
      )}
      {explanation.parts.length > 0 && (
        <Lines
          title="Subtests that failed"
          items={explanation.parts.map((part) => `${part.label} ${part.why} ${part.place}`)}
        />
      )}
      {Object.entries(explanation.logs).map(([service, log]) => (
        <Part key={service} title={`End of the log of ${service}`}>
          <pre tabIndex={0}>{log}</pre>
        </Part>
      ))}
      {explanation.detail && (
        <Part title="The failure as pytest shows it">
          <pre tabIndex={0}>{explanation.detail}</pre>
        </Part>
      )}
      <Lines title="Used while it ran" items={numbers(explanation.used)} />
      <Lines title="Requests by route" items={numbers(explanation.requests)} />
      <Lines
        title="Measured"
        items={Object.entries(explanation.measured).map(([name, value]) => `${name}: ${value}`)}
      />
      <Lines title="Limits that were crossed" items={explanation.limits} />
      <Lines title="Growing over the whole run" items={explanation.growing} />
      {explanation.alike.length > 0 && (
        <Part title={`The same in ${plural(explanation.alike.length + explanation.alike_more, "other test")}`}>
          <Tests tests={explanation.alike} environment={explanation.environment} most={5} />
        </Part>
      )}
    </>
  );
}

function pairs(metrics: Record<string, number>): string {
  return Object.entries(metrics)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");
}

/** Two looks at each service, those that are not up first. */
function Looks({ explanation }: { explanation: Explanation }) {
  const [first, second] = explanation.moments;
  const isUp = (status: string | null) => Number(status === "up");
  const services = explanation.services.toSorted((a, b) => isUp(a.after_status) - isUp(b.after_status));
  return (
    <Part title="Services">
      <div class="scroll" tabIndex={0} role="region" aria-label="Services around the test">
        <table>
          <thead>
            <tr>
              <th scope="col">Service</th>
              <th scope="col">{first}</th>
              <th scope="col">{second}</th>
            </tr>
          </thead>
          <tbody>
            {services.map((each) => (
              <tr key={each.service}>
                <th scope="row">
                  {each.service} <SourceTag source={each.source} />
                </th>
                <td>
                  <span class={`status ${each.before_status ?? "unseen"}`}>{each.before}</span>
                </td>
                <td>
                  <span class={`status ${each.after_status ?? "unseen"}`}>{each.after}</span>
                  {each.claims && <p class="note">{each.claims}</p>}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Part>
  );
}

function Elsewhere({ model, row, here }: { model: Model; row: number; here: number }) {
  if (model.page.environments.length < 2) return null;
  return (
    <Part title="The same test in every environment">
      <div class="scroll" tabIndex={0} role="region" aria-label="The same test in every environment">
        <table>
          <tbody>
            {model.page.environments.map((environment, index) => {
              const cell = model.cell(row, index);
              return (
                <tr key={environment.name} class={index === here ? "here" : ""}>
                  <th scope="row">
                    <button
                      type="button"
                      class="plain"
                      aria-current={index === here ? "true" : undefined}
                      onClick={() => openCell(model.test(row), environment.name)}
                    >
                      {environment.label}
                    </button>
                  </th>
                  <td>
                    <OutcomeWord outcome={cell?.outcome} cause={cell?.cause ?? ""} />
                  </td>
                  <td class="number">{cell ? duration(cell.duration) : ""}</td>
                  <td class="text">{cell?.text}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </Part>
  );
}
