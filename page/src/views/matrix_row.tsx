/** One line of the matrix: a group or a test. */
import { Component } from "preact";
import type { Line } from "../lines";
import { standing } from "../model";
import type { Model } from "../model";
import { Tile } from "../parts";
import type { Cause, Outcome } from "../schema";
import { CAUSES, OUTCOMES, plural } from "../words";

interface Props {
  model: Model;
  line: Line;
  index: number;
  start: number;
  columns: readonly number[];
  /** The active column, 0 the name; -1 where the line is not the active one. */
  active: number;
  /** The environment whose cell is open; -1 where none of the line is. */
  open: number;
  /** Whether the name has its file with it. */
  whole: boolean;
}

interface Shown {
  words: string;
  outcome: Outcome | undefined;
  cause: Cause | undefined;
  problems: number;
}

const KEYS: readonly (keyof Props)[] = ["line", "index", "start", "columns", "active", "open", "whole"];

export class MatrixRow extends Component<Props> {
  override shouldComponentUpdate(next: Props): boolean {
    return KEYS.some((key) => next[key] !== this.props[key]);
  }

  override render({ model, line, index, start, columns, active, open, whole }: Props) {
    const isGroup = "group" in line;
    const cell = (column: number) => ({
      id: `cell-${index}-${column}`,
      "data-line": index,
      "data-column": column,
    });
    const group = isGroup ? model.groups[line.group] : undefined;
    const text = isGroup ? (group?.file ?? "") : whole ? model.test(line.row) : (model.grid.names[line.row] ?? "");
    return (
      <div
        class={isGroup ? "row group" : "row"}
        role="row"
        aria-rowindex={index + 2}
        aria-level={isGroup || whole ? 1 : 2}
        aria-expanded={isGroup ? !line.folded : undefined}
        style={{ transform: `translateY(${start}px)` }}
      >
        <div role="rowheader" class={active === 0 ? "name active" : "name"} title={text} {...cell(0)}>
          {isGroup && <span class={line.folded ? "fold" : "fold unfolded"} aria-hidden="true" />}
          <span class="test-name">{text}</span>
          {isGroup && <span class="note">{line.rows.length}</span>}
        </div>
        {columns.map((environment, place) => {
          const shown = isGroup ? groupCell(model, line.rows, environment) : testCell(model, line.row, environment);
          const classes = `cell${active === place + 1 ? " active" : ""}${open === environment ? " open" : ""}`;
          return (
            <div key={environment} role="gridcell" class={classes} aria-label={shown.words} {...cell(place + 1)}>
              <Tile outcome={shown.outcome} cause={shown.cause} />
              {shown.problems > 0 && <span class="problems">{shown.problems}</span>}
            </div>
          );
        })}
      </div>
    );
  }
}

function testCell(model: Model, row: number, environment: number): Shown {
  const outcome = model.outcome(row, environment);
  const cause = model.cause(row, environment);
  const words = outcome ? OUTCOMES[outcome].word : "not planned";
  return { words: cause ? `${words}, ${CAUSES[cause].blame}` : words, outcome, cause, problems: 0 };
}

function groupCell(model: Model, rows: readonly number[], environment: number): Shown {
  const { outcome, problems } = standing(rows.map((row) => model.outcome(row, environment)));
  const words = problems ? plural(problems, "problem") : outcome ? OUTCOMES[outcome].word : "not planned";
  return { words, outcome, cause: undefined, problems };
}
