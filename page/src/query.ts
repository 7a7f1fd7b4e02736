import type { Cause, Outcome } from "./schema";

export interface QueryCell {
  outcome: Outcome;
  cause: Cause | "";
  rule: string;
  services: readonly string[];
  duration: number;
  attempts: number;
  change: string;
  text: string;
  reused: boolean;
}

export interface QueryRow {
  test: string;
  cell(environment: number): QueryCell | null;
}

export class QueryError extends Error {
  constructor(
    message: string,
    readonly at: number,
  ) {
    super(message);
  }
}

/** A stand-in: every word is looked for in the test's name, and in outcome, cause, change and text of its cells. */
export function compile(text: string, environments: readonly string[]): (row: QueryRow) => boolean {
  const words = text.split(/\s+/).filter(Boolean);
  if (text.endsWith(":")) throw new QueryError("a word is missing after the colon", text.length);
  return (row) =>
    words.every((word) => {
      const sought = word.replace(/^\w+:/, "");
      if (row.test.includes(sought)) return true;
      return environments.some((name, environment) => {
        const cell = row.cell(environment);
        if (!cell) return false;
        return (
          name === sought ||
          cell.outcome === sought ||
          cell.cause === sought ||
          cell.change === sought ||
          cell.text.includes(sought)
        );
      });
    });
}
