/** What changed against the other side of a comparison: in short for the overview, in full for the view of its own. */
import type { Model } from "../model";
import { EnvironmentsHead, Link, openCell, Section, LongName, Tile } from "../parts";
import { CHANGE_OF, duration, plural, spaced } from "../words";

const KINDS = Object.values(CHANGE_OF);
const GOOD = new Set(["fixed"]);
const BAD = new Set(["regressed", "slower", "measured_worse", "cause_changed"]);

const counted = new WeakMap<Model, Map<string, number[]>>();

/** Return rows by kind of change, of the kinds that occur, the most urgent first. */
export function changes(model: Model): Map<string, number[]> {
  const known = counted.get(model) ?? changesOf(model);
  counted.set(model, known);
  return known;
}

function changesOf(model: Model): Map<string, number[]> {
  const rows = new Map<string, number[]>(KINDS.map((kind) => [kind, []]));
  for (let row = 0; row < model.tests; row++) {
    const kinds = new Set(model.grid.columns.map((column) => CHANGE_OF[column.changes[row] ?? " "]));
    for (const kind of kinds) if (kind) rows.get(kind)?.push(row);
  }
  return new Map([...rows].filter(([, found]) => found.length));
}

function tone(kind: string): string {
  if (GOOD.has(kind)) return "good";
  return BAD.has(kind) ? "bad" : "";
}

export function Changes({ model }: { model: Model }) {
  const { against } = model.page;
  if (!against) return null;
  const found = changes(model);
  const gone = model.grid.gone;
  return (
    <Section title="What changed" note={<>against {against.title}</>}>
      <ul class="change-counts">
        {[...found].map(([kind, rows]) => (
          <li key={kind} class={tone(kind)}>
            <Link to={{ view: "matrix", query: kind }}>
              <b>{rows.length.toLocaleString("en")}</b> {spaced(kind)}
            </Link>
          </li>
        ))}
        {gone.length > 0 && (
          <li>
            <Link to={{ view: "compare" }}>
              <b>{gone.length}</b> gone
            </Link>
          </li>
        )}
        {!found.size && !gone.length && <li>nothing</li>}
      </ul>
      {(found.size > 0 || gone.length > 0) && (
        <p class="note">
          <Link to={{ view: "compare" }}>Every change, before and after</Link>
        </p>
      )}
    </Section>
  );
}

const MOST = 200;

export function Compare({ model }: { model: Model }) {
  const { against, environments } = model.page;
  if (!against) return <p class="empty">This page holds one side only: make it with --against to compare.</p>;
  const gone = model.grid.gone;
  const found = changes(model);
  return (
    <div class="compare">
      <header class="headline">
        <h1>What changed</h1>
        <p>
          before: {against.title}
          <br />
          after: {model.page.title}
        </p>
      </header>
      {!found.size && !gone.length && <p class="empty">Nothing: every test ends as it did.</p>}
      {[...found].map(([kind, rows]) => (
        <Section key={kind} title={spaced(kind)} note={plural(rows.length, "test")}>
          <div class="scroll" tabIndex={0} role="region" aria-label={spaced(kind)}>
            <table>
              <EnvironmentsHead first="Test" environments={environments} />
              <tbody>
                {rows.slice(0, MOST).map((row) => (
                  <tr key={row}>
                    <th scope="row" class="test-name">
                      <LongName name={model.test(row)} />
                    </th>
                    {environments.map((each, index) => (
                      <td key={each.name}>
                        <BeforeAfter model={model} row={row} index={index} kind={kind} />
                      </td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          {rows.length > MOST && (
            <p class="note">
              <Link to={{ view: "matrix", query: kind }}>All {rows.length.toLocaleString("en")} in the matrix</Link>
            </p>
          )}
        </Section>
      ))}
      {gone.length > 0 && (
        <Section title="gone" note={`${plural(gone.length, "test")} of the other side`}>
          <ul class="tests">
            {gone.slice(0, MOST).map((each) => (
              <li key={each.test} class="test-name">
                {each.test}
              </li>
            ))}
          </ul>
        </Section>
      )}
    </div>
  );
}

function BeforeAfter({ model, row, index, kind }: { model: Model; row: number; index: number; kind: string }) {
  const cell = model.cell(row, index);
  const before = model.before(row, index);
  if (cell?.change !== kind)
    return (
      <span class="zero">
        <span aria-hidden="true">·</span>
        <span class="visually-hidden">same</span>
      </span>
    );
  const environment = model.page.environments[index];
  return (
    <button
      type="button"
      class="plain before-after"
      title={cell.text}
      onClick={() => openCell(model.test(row), environment?.name ?? "")}
    >
      <Tile outcome={before.outcome} cause={before.cause} />
      <span aria-hidden="true">→</span>
      <Tile outcome={cell.outcome} cause={cell.cause} />
      <span class="visually-hidden">
        {before.outcome ?? "not there"}, then {cell.outcome} in {environment?.label}
      </span>
      {kind === "slower" && <span class="note">{duration(cell.duration)}</span>}
    </button>
  );
}
