/**
 * What a page embeds. Each chunk is JSON, gzipped, in base64: the text of `<script type="application/gzip" id="NAME">`.
 * Chunks: "page" and "grid" are read at once; "details-N", "time" when a view first asks for them.
 * `row` is an index into the grid's tests; `environment` an index into `page.environments`. Times are milliseconds unless said.
 */
export type Outcome = "passed" | "flaky" | "skipped" | "xfailed" | "xpassed" | "failed" | "not_run";
export type Cause = "contract" | "infrastructure" | "logic" | "harness" | "undetermined";
export type Answer = "compatible" | "incompatible" | "unknown";

export interface Page {
  schema: 1;
  title: string; // "commit 1a2b3c4d5e6f, 2026-12-01 10:00:00 UTC"
  made_at: string; // ISO 8601, UTC
  version: string; // envmatrix's own
  environments: Environment[];
  problems: Problem[]; // everything that did not pass, alike ones once (MatrixSummary.problems), the most urgent first
  asides: Aside[]; // skipped, expected to fail, not run, not planned: by reason
  advice: [what: string, text: string][]; // what to do next, by cause (or rule, where it knows better)
  rules: Record<string, Rule>; // the rules that occur, by code
  differences: Difference[]; // between environments (matrix/drift), with fingerprints where runs have them
  numbers: MeasuredNumber[]; // numbers that tests recorded, held against their history
  against: { title: string; name: string } | null; // the other side of a comparison
  tests: number; // rows of the grid
  blocks: number; // chunks "details-0" … "details-(blocks-1)"
}

export interface Environment {
  name: string;
  label: string; // the column's title: "staging (twin)"
  answer: Answer;
  reasons: { code: string; text: string; calls_for: Answer; tests: number[] }[]; // the deciding ones first; rows
  run_id: string | null; // null: there is no run, and the reasons say why
  complete: boolean;
  commit: string | null;
  dirty: boolean | null;
  started_at: string | null; // ISO 8601, UTC
  duration: number | null;
  versions: Record<string, string>; // of the tests' own side: contract, Python, pytest
  services: Service[];
  findings: Finding[];
  unexercised: string[]; // services that are there, and that no passed test used
  log_tail: string; // the end of pytest's output, where there is no run or pytest died
  rerun: { before: string; after: string }; // command around a shell-quoted node id: before + quote(test) + after; where the file has a target, before + target + quote("::" + name) + after
}

export interface Finding {
  rule: string;
  message: string;
  place: string;
  hint: string;
}

export interface Service {
  name: string;
  source: string; // embedded, process, remote, compose, stub, absent; stubs and twins are to be labelled
  version: string;
  identity: Record<string, string>; // service, environment, version, commit: what it says it is
  status: "up" | "degraded" | "down" | ""; // of the first look; "" where nobody looked
  latency: number | null;
  /** Failed tests after which it was down. */
  down: number;
}

export interface Problem {
  rows: number[];
  cells: {
    environments: number[];
    outcome: Outcome | null;
    cause: Cause | null;
    rule: string;
    summary: string;
    place: string;
    remedy: string;
    findings: Finding[];
  }[];
}
export interface Aside {
  environments: number[];
  outcome: Outcome | null;
  reason: string;
  rows: number[];
}
export interface Rule {
  title: string;
  cause: Cause | null;
  meaning: string;
  remedy: string;
  page: string;
}
export interface Difference {
  service: string;
  aspect: string;
  name: string;
  values: (string | null)[];
  /* by environment */ correlations: string[];
}
export interface MeasuredNumber {
  row: number;
  environment: number;
  name: string;
  value: number;
  median: number | null;
  worse: boolean;
}

/** Columnar. `outcomes`, `causes`, `changes` are strings with one letter a row. */
export interface Grid {
  files: [name: string, rows: number, target: string][]; // groups, in row order; target: shell text that names the file to pytest, where the name does not
  names: string[]; // node id without "FILE::", by row
  workers: string[];
  services: string[][]; // distinct sets of services (and capabilities) that a test used
  texts: string[]; // distinct one-line summaries and reasons
  rules: string[];
  columns: Column[]; // by environment
  gone: Gone[]; // [] without a comparison
}

export interface Column {
  outcomes: string; // p passed, k flaky, s skipped, x xfailed, X xpassed, f failed, n not_run, . not planned
  causes: string; // c contract, i infrastructure, l logic, h harness, u undetermined, space none
  durations: number[]; // by row, whole ms; 0 where not run
  began: number[]; // by row, ms since the run's start; -1 unknown; [] where nothing is known
  worker: number[]; // by row, index into workers; [] where one process ran all
  services: number[]; // by row, index into services
  reused: string[]; // distinct commits of reused cells; "" is not
  reused_at: number[]; // by row, index into reused; [] where none is
  /** Rows that have more to say, ascending, and what: parallel arrays. */
  rows: number[];
  text: number[]; // index into texts
  rule: number[]; // index into rules, -1 none
  attempts: number[];
  block: number[]; // chunk "details-N" that holds the explanation; -1 none
  /** Past outcomes by row (letters as above, oldest first, at most ten), sparse; [] without a history. */
  history_rows: number[];
  history: string[];
  /** Against the other side, one letter a row; "" without one: r regressed, f fixed, c cause_changed, k newly_skipped, o changed, s slower, m measured_worse, n new, R renamed, a not_asked_for, space same. */
  changes: string;
  /** Outcome letters and causes on the other side, by row; "" without one. */
  before: string;
  before_causes: string;
}

/** A test of the other side that is gone. */
export interface Gone {
  test: string;
  outcomes: string; /* by environment */
}

/** Chunk "details-N": environment → row → Explanation (report/explain/explanation.py, its JSON as it is). */
export type Details = Record<number, Record<number, Explanation>>;
export interface Explanation {
  environment: string;
  headline: string;
  summary: string;
  phase: string;
  place: string;
  worker: string;
  attempts: { outcome: Outcome; duration: number; worker: string; why: string }[];
  alike: string[];
  alike_more: number; // further alike tests, that are not named
  parts: { label: string; why: string; place: string }[];
  exceptions: string[];
  moments: [string, string];
  services: {
    service: string;
    source: string;
    before: string;
    before_status: string | null;
    after: string;
    after_status: string | null;
    latency: number | null;
    claims: string;
  }[];
  exchanges: string[];
  used: Record<string, Record<string, number>>;
  requests: Record<string, Record<string, number>>;
  measured: Record<string, number>;
  growing: string[];
  limits: string[];
  logs: Record<string, string>;
  detail: string;
  rule: {
    code: string;
    title: string;
    cause: Cause | null;
    meaning: string;
    page: string;
    also: Record<string, string>;
  } | null;
  next: string[];
  rerun: string;
  run: { run_id: string; file: string; commit: string; dirty: boolean; started_at: string; ended: string } | null;
}

/** Chunk "time". */
export interface Time {
  environments: {
    services: { name: string; began: number; ready: number }[];
    series: { of: string; metric: string; points: [number, number][] }[];
    growing: string[];
  }[];
}
