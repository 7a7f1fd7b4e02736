/** The line below the matrix: the cell that the pointer or the keyboard is on, in words. */
import type { Signal } from "@preact/signals";
import type { Line } from "../lines";
import type { Model } from "../model";
import type { Cause } from "../schema";
import { CauseTag } from "../parts";
import { CAUSES, duration, OUTCOMES, plural, spaced } from "../words";

export interface Pointed {
  line: Line;
  environment: number | undefined;
}

function words(model: Model, { line, environment }: Pointed): string {
  const label = environment === undefined ? "" : model.page.environments[environment]?.label;
  if ("group" in line) return `${model.groups[line.group]?.file} · ${plural(line.rows.length, "test")}`;
  const test = model.grid.names[line.row] ?? "";
  if (environment === undefined) return model.test(line.row);
  const cell = model.cell(line.row, environment);
  if (!cell) return `${test} · ${label} · not planned`;
  const why = [cell.cause, cell.rule].filter(Boolean).join(" ");
  const parts = [
    label,
    `${OUTCOMES[cell.outcome].word}${why && ` (${why})`}`,
    cell.text,
    duration(cell.duration),
    spaced(cell.change),
  ];
  return [test, ...parts.filter(Boolean)].join(" · ");
}

export function StatusLine({ model, pointed }: { model: Model; pointed: Signal<Pointed | null> }) {
  const text = pointed.value ? words(model, pointed.value) : "";
  return (
    <p class="status-line">
      {text ? (
        <span class="told">{text}</span>
      ) : (
        <>
          {(Object.keys(CAUSES) as Cause[]).map((cause) => (
            <CauseTag key={cause} cause={cause} />
          ))}
          <span class="keys">
            <kbd>↑↓←→</kbd> move <kbd>Enter</kbd> open <kbd>Esc</kbd> close <kbd>/</kbd> query
          </span>
        </>
      )}
    </p>
  );
}
