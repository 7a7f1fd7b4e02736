/** The grid's columns joined to tests and cells. */
import type { QueryCell, QueryRow } from "./query";
import type { Cause, Column, Finding, Grid, Outcome, Page } from "./schema";
import { CAUSE_OF, CHANGE_OF, isProblem, OUTCOME_OF, rank } from "./words";

/** What the grid knows of one test in one environment. */
export interface Cell extends QueryCell {
  row: number;
  environment: number;
  worker: string;
  /** Milliseconds since the run's start; -1 where unknown. */
  began: number;
  /** The commit of the run that it was taken over from; empty where it ran. */
  reusedFrom: string;
  /** The chunk of its explanation; -1 where there is none. */
  block: number;
}

interface Group {
  file: string;
  first: number;
  rows: number;
}

export interface Counts {
  planned: number;
  outcomes: Partial<Record<Outcome, number>>;
  causes: Partial<Record<Cause, number>>;
}

const NONE: readonly string[] = [];

export class Model {
  readonly groups: Group[] = [];
  readonly counts: Counts[];
  private readonly groupOf: Uint32Array;
  private readonly cells: (Cell | null | undefined)[][];
  private readonly more: Int32Array[];
  private byName: Map<string, number> | null = null;

  constructor(
    readonly page: Page,
    readonly grid: Grid,
  ) {
    this.groupOf = new Uint32Array(page.tests);
    let first = 0;
    for (const [file, rows] of grid.files) {
      this.groupOf.fill(this.groups.length, first, first + rows);
      this.groups.push({ file, first, rows });
      first += rows;
    }
    this.cells = grid.columns.map(() => new Array<Cell | null | undefined>(page.tests));
    this.more = grid.columns.map((column) => {
      const places = new Int32Array(page.tests).fill(-1);
      column.rows.forEach((row, place) => (places[row] = place));
      return places;
    });
    this.counts = grid.columns.map(counts);
  }

  get tests(): number {
    return this.page.tests;
  }

  file(row: number): string {
    return this.groups[this.groupOf[row] ?? 0]?.file ?? "";
  }

  /** Return the node id of a row. */
  test(row: number): string {
    const name = this.grid.names[row] ?? "";
    const file = this.file(row);
    return file && name ? `${file}::${name}` : file || name;
  }

  rowOf(test: string): number | undefined {
    this.byName ??= new Map(this.grid.names.map((_, row) => [this.test(row), row]));
    return this.byName.get(test);
  }

  /** Return what an environment is made of, a line each: its services, and the traits in which it differs from others. */
  fingerprint(environment: number): string[] {
    const made = this.page.environments[environment]?.services ?? [];
    const differing = this.page.differences.filter((each) => !["source", "version"].includes(each.aspect));
    return [
      ...made.map((service) => `${service.name}: ${[service.source, service.version].filter(Boolean).join(", ")}`),
      ...differing.flatMap(({ service, aspect, name, values }) => {
        const value = values[environment];
        return value ? [`${[service, aspect, name].filter(Boolean).join(" ")}: ${value}`] : [];
      }),
    ];
  }

  /** Return the index of an environment by its name. */
  environmentOf(name: string): number {
    return this.page.environments.findIndex((each) => each.name === name);
  }

  outcome(row: number, environment: number): Outcome | undefined {
    return OUTCOME_OF[this.grid.columns[environment]?.outcomes[row] ?? "."];
  }

  cause(row: number, environment: number): Cause | undefined {
    return CAUSE_OF[this.grid.columns[environment]?.causes[row] ?? " "];
  }

  /** Return outcome and cause on the other side of the comparison. */
  before(row: number, environment: number): { outcome: Outcome | undefined; cause: Cause | undefined } {
    const column = this.grid.columns[environment];
    return { outcome: OUTCOME_OF[column?.before[row] ?? "."], cause: CAUSE_OF[column?.before_causes[row] ?? " "] };
  }

  /** Return a cell; null where the test is not planned in that environment. */
  cell(row: number, environment: number): Cell | null {
    const column = this.cells[environment];
    if (!column) return null;
    const known = column[row];
    if (known !== undefined) return known;
    return (column[row] = this.makeCell(row, environment));
  }

  /** Return past outcomes, oldest first. */
  history(row: number, environment: number): Outcome[] {
    const column = this.grid.columns[environment];
    const letters = column?.history[column.history_rows.indexOf(row)] ?? "";
    return [...letters].flatMap((letter) => OUTCOME_OF[letter] ?? []);
  }

  /** Return what breaks the contract there, of the first test that ended alike. */
  findings(row: number, environment: number): readonly Finding[] {
    const problem = this.page.problems.find((each) => each.rows.includes(row));
    return problem?.cells.find((each) => each.environments.includes(environment))?.findings ?? [];
  }

  queryRow(row: number): QueryRow {
    return { test: this.test(row), cell: (environment) => this.cell(row, environment) };
  }

  /** Return the command that runs a test there again. */
  rerun(row: number, environment: number): string {
    const rerun = this.page.environments[environment]?.rerun;
    if (!rerun?.before) return "";
    const target = this.grid.files[this.groupOf[row] ?? 0]?.[2] ?? "";
    const name = this.grid.names[row] ?? "";
    const test = target ? target + (name && shellQuoted(`::${name}`)) : shellQuoted(this.test(row));
    return rerun.before + test + rerun.after;
  }

  private makeCell(row: number, environment: number): Cell | null {
    const column = this.grid.columns[environment];
    const outcome = this.outcome(row, environment);
    if (!column || outcome === undefined) return null;
    const place = this.more[environment]?.[row] ?? -1;
    const reusedFrom = column.reused[column.reused_at[row] ?? -1] ?? "";
    return {
      row,
      environment,
      outcome,
      cause: this.cause(row, environment) ?? "",
      rule: this.grid.rules[column.rule[place] ?? -1] ?? "",
      services: this.grid.services[column.services[row] ?? -1] ?? NONE,
      duration: column.durations[row] ?? 0,
      attempts: column.attempts[place] ?? 1,
      change: CHANGE_OF[column.changes[row] ?? " "] ?? "",
      text: this.grid.texts[column.text[place] ?? -1] ?? "",
      reused: reusedFrom !== "",
      worker: this.grid.workers[column.worker[row] ?? -1] ?? "",
      began: column.began[row] ?? -1,
      reusedFrom,
      block: column.block[place] ?? -1,
    };
  }
}

function counts(column: Column): Counts {
  const result: Counts = { planned: 0, outcomes: {}, causes: {} };
  for (let row = 0; row < column.outcomes.length; row++) {
    const outcome = OUTCOME_OF[column.outcomes[row]!];
    if (!outcome) continue;
    result.planned++;
    result.outcomes[outcome] = (result.outcomes[outcome] ?? 0) + 1;
    const cause = CAUSE_OF[column.causes[row]!];
    if (cause && outcome !== "flaky") result.causes[cause] = (result.causes[cause] ?? 0) + 1;
  }
  return result;
}

/** Return what stands for a group: its worst problem and how many there are, or else what most of its tests became. */
export function standing(outcomes: Iterable<Outcome | undefined>): { outcome: Outcome | undefined; problems: number } {
  const numbers = new Map<Outcome, number>();
  for (const each of outcomes) if (each) numbers.set(each, (numbers.get(each) ?? 0) + 1);
  const found = [...numbers];
  const bad = found.filter(([outcome]) => isProblem(outcome));
  const [first] = bad.length ? bad.sort(([a], [b]) => rank(a) - rank(b)) : found.sort(([, a], [, b]) => b - a);
  return { outcome: first?.[0], problems: bad.reduce((sum, [, number]) => sum + number, 0) };
}

/** Return a text that a POSIX shell reads as one word. */
export function shellQuoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`;
}
