import { expect, test } from "vitest";
import { barAt, lanes, slowest, ticks } from "../src/lanes";
import { Model } from "../src/model";
import { sample, SHAPES } from "./sample";

const data = sample(SHAPES["one"]!);
const model = new Model(data.page, data.grid);

test("services have a lane each, then workers, with their tests in the order of time", () => {
  const found = lanes(model, 0, data.time);
  expect(found.map((lane) => lane.title)).toEqual(["database", "redis", "backend", "gw0", "gw1", "gw2", "gw3"]);
  const began = found[3]!.bars.map((bar) => bar.from);
  expect(began).toEqual(began.toSorted((a, b) => a - b));
});

test("a run without times has no lanes", () => {
  const columns = data.grid.columns.map((column) => ({ ...column, began: [], worker: [] }));
  expect(lanes(new Model(data.page, { ...data.grid, columns }), 0, null)).toEqual([]);
});

test("one process without workers is one lane", () => {
  const columns = data.grid.columns.map((column) => ({ ...column, worker: [] }));
  expect(lanes(new Model(data.page, { ...data.grid, columns }), 0, null).map((lane) => lane.title)).toEqual(["tests"]);
});

test("the bar nearest to the pointer is found, and none far away", () => {
  const bar = (from: number, to: number) => ({ from, to, outcome: "passed" as const, row: from });
  const lane = { title: "gw0", bars: [bar(0, 10), bar(20, 30)] };
  expect(barAt(lane, 5, 0)?.row).toBe(0);
  expect(barAt(lane, 18, 3)?.row).toBe(20);
  expect(barAt(lane, 15, 3)).toBeUndefined();
});

test("the slowest come first", () => {
  const times = slowest(model, 5).map((each) => each.duration);
  expect(times).toEqual(data.grid.columns[0]!.durations.toSorted((a, b) => b - a).slice(0, 5));
});

test("an axis has round steps, and an empty one none", () => {
  expect(ticks(0, 27_000, 6)).toEqual([0, 5000, 10_000, 15_000, 20_000, 25_000]);
  expect(ticks(5, 5, 6)).toEqual([]);
});
