import { describe, expect, test } from "vitest";
import { columnOrder, lines, select } from "../src/lines";
import { Model } from "../src/model";
import { START } from "../src/place";
import { sample, SHAPES } from "./sample";

const data = sample(SHAPES["five"]!);
const model = new Model(data.page, data.grid);
const all = select(model, "").rows;
const quiet = new Model(data.page, {
  ...data.grid,
  columns: data.grid.columns.map((column) => ({ ...column, outcomes: "p".repeat(data.page.tests) })),
});

describe("lines", () => {
  test("hold every group and every test, in the suite's order, where nothing is folded", () => {
    const shown = lines(model, all, { ...START, fold: "none" });
    expect(shown).toHaveLength(model.groups.length + model.tests);
    expect(shown.flatMap((line) => ("row" in line ? [line.row] : []))).toEqual(all);
  });
  test("fold a group where everything passes, in a matrix that is no small one", () => {
    expect(lines(quiet, all, START)).toHaveLength(model.groups.length);
    expect(lines(model, all, START).length).toBeGreaterThan(model.groups.length);
  });
  test("are the other way round where the reader flips a group", () => {
    const file = model.groups[3]!.file;
    const shown = lines(quiet, all, { ...START, flipped: [file] });
    expect(shown).toHaveLength(model.groups.length + model.groups[3]!.rows);
  });
  test("leave out groups without a selected test, and unfold what a query found", () => {
    const shown = lines(quiet, [0, 13], { ...START, query: "x" });
    expect(shown.map((line) => ("row" in line ? line.row : `group ${line.group}`))).toEqual([
      "group 0",
      0,
      "group 1",
      13,
    ]);
  });
  test("are without groups in another order", () => {
    const slowest = lines(model, all, { ...START, rows: "slowest" });
    const took = (row: number) => Math.max(...data.grid.columns.map((column) => column.durations[row]!));
    const times = slowest.map((line) => ("row" in line ? took(line.row) : -1));
    expect(times).toEqual(times.toSorted((a, b) => b - a));
    const worst = lines(model, all, { ...START, rows: "in:staging" });
    expect("row" in worst[0]! && model.outcome(worst[0].row, 1)).toBe("failed");
  });
});

test("a query selects rows, and a wrong one selects all and says where it is wrong", () => {
  const failed = select(model, "failed in:staging");
  expect(failed.rows.length).toBe(model.counts[1]!.outcomes.failed);
  const wrong = select(model, "cause:logik");
  expect(wrong.rows).toHaveLength(model.tests);
  expect(wrong.error?.at).toBe(6);
});

test("columns come as given, the worst first, or by name", () => {
  expect(columnOrder(model, "given")).toEqual([0, 1, 2, 3, 4]);
  expect(columnOrder(model, "worst")[0]).toBe(1);
  const environments = data.page.environments.map((each, index) => ({
    ...each,
    answer: index === 4 ? ("unknown" as const) : ("compatible" as const),
  }));
  expect(columnOrder(new Model({ ...data.page, environments }, data.grid), "worst").slice(0, 2)).toEqual([4, 1]);
  expect(columnOrder(model, "name").map((index) => data.page.environments[index]!.name)[0]).toBe("auth_service");
});
