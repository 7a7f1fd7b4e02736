import { describe, expect, test } from "vitest";
import { Model, shellQuoted, standing } from "../src/model";
import { sample, SHAPES } from "./sample";

const data = sample(SHAPES["five"]!);
const model = new Model(data.page, data.grid);

describe("the model", () => {
  test("names each test by its file, and finds it again", () => {
    expect(model.test(13)).toMatch(/^tests\/e2e\/agents\/test_flow_2\.py::/);
    expect(model.rowOf(model.test(13))).toBe(13);
  });
  test("counts what the columns hold", () => {
    const counts = model.counts[2]!; // where some tests are not planned
    const letters = [...data.grid.columns[2]!.outcomes];
    expect(counts.planned).toBe(letters.filter((letter) => letter !== ".").length);
    expect(counts.planned).toBeLessThan(model.tests);
    expect(counts.outcomes.failed).toBe(letters.filter((letter) => letter === "f").length);
    expect(Object.values(counts.causes).reduce((sum, each) => sum + each)).toBe(counts.outcomes.failed);
  });
  test("says what an environment is made of, and how it differs from others", () => {
    const made = model.fingerprint(1);
    expect(made[0]).toBe("backend: remote, 2.3.1");
    expect(made.at(-1)).toBe("backend setting AGENT_QUOTA: 3");
    expect(model.fingerprint(0).join()).not.toContain("AGENT_QUOTA");
  });
  test("knows what breaks the contract where a test ended so, and there only", () => {
    const finding = { rule: "C110", message: "users is missing", place: "conftest.py:2", hint: "" };
    const cells = data.page.problems[0]!.cells.map((each) => ({ ...each, environments: [1], findings: [finding] }));
    const broken = new Model({ ...data.page, problems: [{ rows: [3], cells }] }, data.grid);
    expect(broken.findings(3, 1)).toEqual([finding]);
    expect(broken.findings(3, 0)).toEqual([]);
    expect(broken.findings(4, 1)).toEqual([]);
  });
  test("joins what a row has more to say", () => {
    const row = data.grid.columns[1]!.outcomes.indexOf("f");
    const cell = model.cell(row, 1)!;
    expect(cell).toMatchObject({ outcome: "failed", block: 0, attempts: 1 });
    expect(data.page.rules[cell.rule]!.cause).toBe(cell.cause);
    expect(cell.text).not.toBe("");
    expect(model.history(row, 1)).toHaveLength(10);
  });
  test("has no cell where a test is not planned, or there is no environment", () => {
    expect(model.cell(data.grid.columns[2]!.outcomes.indexOf("."), 2)).toBeNull();
    expect(model.cell(0, -1)).toBeNull();
  });
  test("gives the command for a test, and for one of a suite that pytest finds as a package", () => {
    expect(model.rerun(1, 0)).toMatch(
      /^envmatrix run local -- 'tests\/e2e\/auth\/test_flow_1\.py::test_name\[<script>/,
    );
    const shipped = structuredClone(data.grid);
    shipped.files[0]![2] = "--pyargs envmatrix.conformance.test_x";
    expect(new Model(data.page, shipped).rerun(0, 0)).toBe(
      "envmatrix run local -- --pyargs envmatrix.conformance.test_x::test_login",
    );
  });
});

test("its worst problem stands for a group, or what most of its tests became", () => {
  expect(standing(["passed", undefined, "flaky", "failed"])).toEqual({ outcome: "failed", problems: 2 });
  expect(standing(["skipped", "passed", "passed"])).toEqual({ outcome: "passed", problems: 0 });
  expect(standing([undefined])).toEqual({ outcome: undefined, problems: 0 });
});

test("a shell reads a quoted name as one word", () => {
  expect(shellQuoted("a.py::test[b]")).toBe("'a.py::test[b]'");
  expect(shellQuoted("it's")).toBe(`'it'"'"'s'`);
  expect(shellQuoted("a/b.py::c")).toBe("a/b.py::c");
});
