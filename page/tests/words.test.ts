import { expect, test } from "vitest";
import { aligned } from "../src/views/resources";
import { duration, OUTCOMES, SEVERITY } from "../src/words";
import { quotedWord, toggled } from "../src/words_of_query";

test("every outcome has a shape of its own, and a place in the order", () => {
  expect(new Set(Object.values(OUTCOMES).map((look) => look.icon)).size).toBe(SEVERITY.length);
  expect([...SEVERITY].sort()).toEqual(Object.keys(OUTCOMES).sort());
});

test("durations are for people", () => {
  expect([0, 999, 1250, 12_340, 200_000, 7_260_000].map(duration)).toEqual([
    "0 ms",
    "999 ms",
    "1.25 s",
    "12.3 s",
    "3 min 20 s",
    "2 h 1 min",
  ]);
});

test("a chip adds its word to the query, and takes it out again", () => {
  expect(toggled("", "failed")).toBe("failed");
  expect(toggled('failed "two words" x', "failed")).toBe('"two words" x');
  expect(toggled("in:a", "in:b")).toBe("in:a in:b");
  expect(quotedWord("local+py313.x")).toBe("local+py313.x");
  expect(quotedWord('a b"')).toBe('"a b"');
});

test("series of other moments share one axis, with gaps", () => {
  const series = [
    {
      of: "a",
      metric: "cpu",
      points: [
        [0, 1],
        [2, 3],
      ] as [number, number][],
    },
    { of: "b", metric: "cpu", points: [[1, 5]] as [number, number][] },
  ];
  expect(aligned(series)).toEqual([
    [0, 1, 2],
    [1, null, 3],
    [null, 5, null],
  ]);
});
