import { expect, test } from "vitest";
import { cellMarkdown } from "../src/markdown";
import { Model } from "../src/model";
import { sample, SHAPES } from "./sample";

const data = sample(SHAPES["five"]!);
const model = new Model(data.page, data.grid);
const row = data.grid.columns[1]!.outcomes.indexOf("f");
const cell = model.cell(row, 1)!;
const explanation = data.details[0]![1]![row]!;

test("an explanation as Markdown has what happened, what to do, and the command", () => {
  const text = cellMarkdown(model, cell, explanation);
  for (const part of [
    model.test(row),
    cell.cause,
    cell.rule,
    ...explanation.next,
    ...explanation.exceptions,
    explanation.rerun,
  ])
    expect(text).toContain(part);
});

test("no text gets out of its fence", () => {
  const hostile = "```\n# not a heading\n````\n<img src=x>";
  const text = cellMarkdown(model, cell, { ...explanation, detail: hostile, next: ["`a` ``b`` <b>"] });
  expect(text).toContain(`\`\`\`\`\`\n${hostile}\n\`\`\`\`\``);
  expect(text).toContain("1. ``` `a` ``b`` <b> ```");
});

test("a cell that passed has what the grid knows", () => {
  const passed = data.grid.columns[1]!.outcomes.indexOf("p");
  const text = cellMarkdown(model, model.cell(passed, 1)!, null);
  expect(text).toContain("outcome: passed");
  expect(text).toContain("Run it again");
});
