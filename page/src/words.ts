/** The words and shapes of outcomes, causes, answers and changes, and how numbers are shown. */
import type { Answer, Cause, Outcome } from "./schema";

export interface Look {
  word: string;
  /** A path in a box of 16 × 16, stroked: outcomes differ in shape as well as in colour. */
  icon: string;
}

const CIRCLE = "M8 3.2a4.8 4.8 0 1 0 0 9.6a4.8 4.8 0 1 0 0-9.6";
const CHECK = "M3.5 8.5l3 3 6-7";
const CROSS = "M4 4l8 8M12 4l-8 8";
const QUESTION = "M5.5 6a2.5 2.5 0 1 1 3.5 2.3c-.7.3-1 .7-1 1.4M8 12.3v.2";

export const OUTCOMES: Record<Outcome, Look> = {
  passed: { word: "passed", icon: CHECK },
  flaky: { word: "flaky", icon: "M2 10l3-5 3 6 3-6 3 5" },
  skipped: { word: "skipped", icon: "M4 8h8" },
  xfailed: { word: "failed as expected", icon: `${CIRCLE}M4.8 11.2l6.4-6.4` },
  xpassed: { word: "passed unexpectedly", icon: "M8 13V4M4 8l4-4 4 4" },
  failed: { word: "failed", icon: CROSS },
  not_run: { word: "not run", icon: CIRCLE },
};

export const ANSWERS: Record<Answer, Look> = {
  compatible: { word: "compatible", icon: CHECK },
  incompatible: { word: "incompatible", icon: CROSS },
  unknown: { word: "unknown", icon: QUESTION },
};

/** Whose fault it is. */
export const CAUSES: Record<Cause, { letter: string; blame: string }> = {
  contract: { letter: "C", blame: "the fixtures' contract" },
  infrastructure: { letter: "I", blame: "a service of the environment" },
  logic: { letter: "L", blame: "the product or the test" },
  harness: { letter: "H", blame: "the test runner" },
  undetermined: { letter: "U", blame: "undetermined: the evidence conflicts" },
};

/** Letters of the grid, see schema.ts. */
export const OUTCOME_OF: Record<string, Outcome> = {
  p: "passed",
  k: "flaky",
  s: "skipped",
  x: "xfailed",
  X: "xpassed",
  f: "failed",
  n: "not_run",
};
export const CAUSE_OF: Record<string, Cause> = {
  c: "contract",
  i: "infrastructure",
  l: "logic",
  h: "harness",
  u: "undetermined",
};
export const CHANGE_OF: Record<string, string> = {
  r: "regressed",
  f: "fixed",
  c: "cause_changed",
  k: "newly_skipped",
  o: "changed",
  s: "slower",
  m: "measured_worse",
  n: "new",
  R: "renamed",
  a: "not_asked_for",
};

/** The worst first: the order of columns, rows and counts. */
export const SEVERITY: Outcome[] = ["failed", "xpassed", "flaky", "not_run", "xfailed", "skipped", "passed"];
const RANK = new Map(SEVERITY.map((outcome, rank) => [outcome, rank]));

/** Return how bad an outcome is, 0 the worst; a test that is not planned comes last. */
export function rank(outcome: Outcome | undefined): number {
  return outcome === undefined ? SEVERITY.length : (RANK.get(outcome) ?? SEVERITY.length);
}

/** Return whether an outcome is one that someone has to look at. */
export function isProblem(outcome: Outcome): boolean {
  return outcome === "failed" || outcome === "xpassed" || outcome === "flaky" || outcome === "not_run";
}

/** Return the labels of environments as a list in a sentence, of many the first three and how many more. */
export function named(environments: readonly { label: string }[]): string {
  const labels = environments.map((each) => each.label);
  if (labels.length > 4) return `${labels.slice(0, 3).join(", ")} and ${labels.length - 3} more`;
  return labels.length < 2 ? labels.join("") : `${labels.slice(0, -1).join(", ")} and ${labels.at(-1)}`;
}

export function spaced(word: string): string {
  return word.replaceAll("_", " ");
}

export function plural(number: number, word: string): string {
  return `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
}

/** Return milliseconds for people: `4 ms`, `1.25 s`, `3 min 20 s`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  const seconds = Math.round(ms / 1000);
  return seconds < 3600
    ? `${Math.floor(seconds / 60)} min ${seconds % 60} s`
    : `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** Return a date of ISO 8601 as `2026-12-01 10:00 UTC`. */
export function moment(iso: string): string {
  return iso.replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d).*$/, "$1 $2 UTC");
}
