import { describe, expect, test } from "vitest";
import { visible } from "../src/load";

const shown = (value: unknown) => JSON.parse(visible(JSON.stringify(value)));

describe("texts are shown, and cannot mislead", () => {
  test("control characters become escapes", () => {
    expect(shown("a\u001b[31m\u0000\r\u0085")).toBe("a\\u001b[31m\\u0000\\r\\u0085");
  });
  test("overrides of the writing direction become escapes, raw or escaped in the JSON", () => {
    expect(shown("a\u202egnp.exe")).toBe("a\\u202egnp.exe");
    expect(JSON.parse(visible('"a\\u202Egnp.exe"'))).toBe("a\\u202Egnp.exe");
  });
  test("lines, tabs, backslashes, quotes and letters of any language stay", () => {
    const text = 'a\n\tb \\u001b \\\\ "c" é 日本 \u{1f600}';
    expect(shown({ [text]: [text] })).toEqual({ [text]: [text] });
  });
});
