/** Which lines the matrix shows, in which order: groups and tests, folded, queried and sorted. */
import { compile, QueryError } from "./query";
import type { Model } from "./model";
import type { Place } from "./place";
import { isProblem, OUTCOME_OF, rank } from "./words";

export type Line = { group: number; rows: readonly number[]; folded: boolean } | { row: number };

export interface Selection {
  rows: readonly number[];
  error: QueryError | null;
}

/** Return the rows that a query selects, in the suite's order; where the query is wrong, all and the error. */
export function select(model: Model, query: string): Selection {
  const all = Array.from({ length: model.tests }, (_, row) => row);
  if (!query.trim()) return { rows: all, error: null };
  try {
    const matches = compile(
      query,
      model.page.environments.map((each) => each.name),
    );
    return { rows: all.filter((row) => matches(model.queryRow(row))), error: null };
  } catch (error) {
    if (error instanceof QueryError) return { rows: all, error };
    throw error;
  }
}

/** Return the order of the columns: indexes of environments. */
export function columnOrder(model: Model, order: string): number[] {
  const environments = model.page.environments;
  const indexes = environments.map((_, index) => index);
  const urgency = ["incompatible", "unknown", "compatible"];
  const failed = (index: number) => model.counts[index]?.outcomes.failed ?? 0;
  const answer = (index: number) => urgency.indexOf(environments[index]?.answer ?? "");
  if (order === "worst") return indexes.sort((a, b) => answer(a) - answer(b) || failed(b) - failed(a));
  const label = (index: number) => environments[index]?.label ?? "";
  return order === "name" ? indexes.sort((a, b) => label(a).localeCompare(label(b), "en")) : indexes;
}

function isQuiet(model: Model, row: number): boolean {
  return model.grid.columns.every((column) => {
    const outcome = OUTCOME_OF[column.outcomes[row] ?? "."];
    return outcome === undefined || !isProblem(outcome);
  });
}

const SMALL = 60;

/** Return whether a group is folded unless the reader flips it. */
function isFoldedByDefault(model: Model, rows: readonly number[], place: Place): boolean {
  if (place.fold !== "auto") return place.fold === "all";
  return !place.query && model.tests > SMALL && rows.every((row) => isQuiet(model, row));
}

/** Return rows sorted without groups. */
function sorted(model: Model, rows: readonly number[], order: string): number[] {
  const longest = (row: number) => Math.max(...model.grid.columns.map((column) => column.durations[row] ?? 0));
  if (order === "slowest") {
    const times = new Map(rows.map((row) => [row, longest(row)]));
    return rows.toSorted((a, b) => (times.get(b) ?? 0) - (times.get(a) ?? 0) || a - b);
  }
  if (order === "name") {
    const compare = new Intl.Collator("en", { numeric: true }).compare;
    return rows.toSorted((a, b) => compare(model.grid.names[a] ?? "", model.grid.names[b] ?? ""));
  }
  const environment = model.environmentOf(order.replace(/^in:/, ""));
  return rows.toSorted((a, b) => rank(model.outcome(a, environment)) - rank(model.outcome(b, environment)) || a - b);
}

export function lines(model: Model, rows: readonly number[], place: Place): Line[] {
  if (place.rows !== "suite") return sorted(model, rows, place.rows).map((row) => ({ row }));
  const result: Line[] = [];
  let next = 0;
  model.groups.forEach((group, index) => {
    const first = next;
    while (next < rows.length && (rows[next] ?? 0) < group.first + group.rows) next++;
    if (next === first) return;
    const members = rows.slice(first, next);
    const folded = isFoldedByDefault(model, members, place) !== place.flipped.includes(group.file);
    result.push({ group: index, rows: members, folded });
    if (!folded) for (const row of members) result.push({ row });
  });
  return result;
}
