import { describe, expect, test } from "vitest";

import cases from "../../tests/framework/matrix/query_cases.json";
import { compile, type QueryCell, QueryError, type QueryRow } from "../src/query";

const PASSED: QueryCell = {
  outcome: "passed",
  cause: "",
  rule: "",
  services: [],
  duration: 0,
  attempts: 1,
  change: "",
  text: "",
  reused: false,
};

const ROWS: readonly QueryRow[] = cases.rows.map(({ test, cells }) => ({
  test,
  cell: (environment) => {
    const cell = cells[environment];
    return cell ? { ...PASSED, ...(cell as Partial<QueryCell>) } : null;
  },
}));

function selected(query: string): (string | undefined)[] {
  return ROWS.filter(compile(query, cases.environments)).map(({ test }) => test.split("::").at(-1));
}

describe("the cases that Python has too", () => {
  test.each(cases.selecting)("$query", ({ query, tests }) => {
    expect(selected(query)).toEqual(tests);
  });

  test.each(cases.wrong)("$query is refused", ({ query, at, message }) => {
    let error: unknown;
    try {
      compile(query, cases.environments);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(QueryError);
    expect(error).toMatchObject({ at, message });
  });
});

test("ten thousand tests in five environments answer within 100 ms", () => {
  const environments = ["a", "b", "c", "d", "e"];
  const cells = environments.map((_, environment): QueryCell => ({ ...PASSED, text: `line ${environment}` }));
  const rows = Array.from({ length: 10_000 }, (_, row) => ({
    test: `tests/test_${row % 100}.py::test_${row}`,
    cell: (environment: number) => ({ ...cells[environment]!, duration: row }),
  }));
  const queries = [
    "failed in:c cause:logic",
    "differs or nothing",
    "count(duration > 5s) > 1 -file:test_99",
    "a:failed | b:failed",
  ];
  const times = queries.map((query) => {
    const began = performance.now();
    rows.filter(compile(query, environments));
    return performance.now() - began;
  });
  expect(Math.max(...times)).toBeLessThan(100);
});
