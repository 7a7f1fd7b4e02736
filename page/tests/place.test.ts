import { expect, test } from "vitest";
import { formatPlace, parsePlace, START } from "../src/place";
import type { Place } from "../src/place";

test("a link holds all of a view", () => {
  const place: Place = {
    view: "matrix",
    query: 'failed in:"a b" & #x=1?',
    rows: "in:local+py313",
    columns: "worst",
    fold: "none",
    flipped: ["tests/a&b.py", "tests/ü.py"],
    test: "tests/a.py::test[x?y#z&=+% ]",
    environment: "local+py313",
  };
  expect(parsePlace(formatPlace(place))).toEqual(place);
});

test("the first view needs no more than its name", () => {
  expect(formatPlace(START)).toBe("#overview");
  expect(parsePlace("")).toEqual(START);
});

test("what a link does not know is the first view, not an error", () => {
  expect(parsePlace("#constructor?fold=x&rows")).toEqual({ ...START, rows: "" });
  expect(() => formatPlace({ ...START, query: "\ud800" })).not.toThrow();
});
