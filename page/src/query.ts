/**
 * The query language over a matrix. `matrix/query_grammar.py` and `matrix/query.py` are the same language for the command
 * line: `tests/framework/matrix/query_cases.json` holds both to one meaning, and `docs/how-to/query.md` says it.
 *
 * A query is asked of each cell. A test is selected where it is true of one of its cells.
 */

const OUTCOMES = ["passed", "xfailed", "flaky", "skipped", "xpassed", "failed", "not_run"] as const;
const CAUSES = ["contract", "infrastructure", "logic", "harness", "undetermined"] as const;
const CHANGES = [
  "regressed",
  "fixed",
  "cause_changed",
  "newly_skipped",
  "changed",
  "slower",
  "measured_worse",
  "new",
  "not_asked_for",
  "renamed",
  "same",
] as const;
const KEYS = ["in", "cause", "rule", "requires", "file"] as const;
const CELL_WORDS: readonly string[] = [...OUTCOMES, ...CHANGES, "reused"];

export interface QueryCell {
  outcome: (typeof OUTCOMES)[number];
  cause: (typeof CAUSES)[number] | "";
  /** Code of the rule that decided the cause. */
  rule: string;
  /** What the test used or exercised: services and capabilities. */
  services: readonly string[];
  /** Whole milliseconds of all attempts together. */
  duration: number;
  attempts: number;
  /** How it changed against the other side; "" without one. */
  change: string;
  /** Why it failed, or its reason, in one line. */
  text: string;
  reused: boolean;
}

export interface QueryRow {
  /** The node id. */
  test: string;
  /** The cell of an environment, by its number; `null` where the test was not planned there. */
  cell(environment: number): QueryCell | null;
}

/** A query cannot be understood. `at` is the index of the UTF-16 unit where that shows, as a text box counts. */
export class QueryError extends Error {
  readonly at: number;

  constructor(message: string, at: number) {
    super(message);
    this.name = "QueryError";
    this.at = at;
  }
}

/** Returns what tells whether a query selects a test; the empty query selects all. Throws `QueryError`. */
export function compile(text: string, environments: readonly string[]): (row: QueryRow) => boolean {
  const holds = new Parser(text, environments).parse();
  return (row) => {
    const cells = environments.map((_, environment) => row.cell(environment));
    return cells.some((cell, environment) => cell !== null && holds({ test: row.test, cells, environment, cell }));
  };
}

/** The cell that a query is asked of, and its row. */
interface Asked {
  test: string;
  cells: readonly (QueryCell | null)[];
  environment: number;
  cell: QueryCell;
}

type Holds = (asked: Asked) => boolean;

interface Token {
  /** A sign, an operator, or one of `comparison`, `quoted`, `word`, `end`. */
  kind: string;
  text: string;
  at: number;
}

const TOKEN = new RegExp(
  [
    "[ \\t\\r\\n\\u00a0]+",
    "(?<count>count\\()",
    "(?<sign>[()|!-])",
    "(?<comparison>[<>]=?|=)",
    '"(?<quoted>(?:[^"]|"")*)"',
    '(?<word>[^ \\t\\r\\n\\u00a0()|"<>=]+)',
    '(?<open>")',
  ].join("|"),
  "gi",
);
const SIGNS: Readonly<Record<string, string>> = { "|": "or", "!": "not", "-": "not" };
const OPERATORS = ["or", "and", "not"];

const COMPARISONS: Readonly<Record<string, (left: number, right: number) => boolean>> = {
  "<": (left, right) => left < right,
  "<=": (left, right) => left <= right,
  "=": (left, right) => left === right,
  ">=": (left, right) => left >= right,
  ">": (left, right) => left > right,
};
const NUMBER = /^[0-9]{1,9}$/;
const DURATION = /^([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m)$/i;
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000 };

/** Parentheses and negations inside of each other. */
const DEEPEST = 50;

function tokens(text: string): Token[] {
  const found: Token[] = [];
  for (const match of text.matchAll(TOKEN)) {
    const { count, sign, comparison, quoted, word, open } = match.groups ?? {};
    const at = match.index;
    if (open !== undefined) throw new QueryError("this quotation mark is never closed", at);
    if (count !== undefined) found.push({ kind: "count(", text: count, at });
    else if (sign !== undefined) found.push({ kind: SIGNS[sign] ?? sign, text: sign, at });
    else if (comparison !== undefined) found.push({ kind: "comparison", text: comparison, at });
    else if (quoted !== undefined) found.push({ kind: "quoted", text: quoted.replaceAll('""', '"'), at });
    else if (word !== undefined) {
      const lower = word.toLowerCase();
      found.push({ kind: OPERATORS.includes(lower) ? lower : "word", text: word, at });
    }
  }
  return [...found, { kind: "end", text: "", at: text.length }];
}

/** Descends from `or` to words. */
class Parser {
  readonly #environments: readonly string[];
  readonly #tokens: readonly Token[];
  #position = 0;
  #depth = 0;

  constructor(text: string, environments: readonly string[]) {
    this.#environments = environments;
    this.#tokens = tokens(text);
  }

  parse(): Holds {
    if (this.#next.kind === "end") return () => true;
    const holds = this.#either();
    if (this.#next.kind !== "end") throw new QueryError("no parenthesis is open here", this.#next.at);
    return holds;
  }

  get #next(): Token {
    return this.#tokens[this.#position]!;
  }

  #take(): Token {
    return this.#tokens[this.#position++]!;
  }

  #either(): Holds {
    const parts = [this.#every()];
    while (this.#next.kind === "or") {
      this.#take();
      parts.push(this.#every());
    }
    return (asked) => parts.some((holds) => holds(asked));
  }

  #every(): Holds {
    const parts = [this.#term()];
    while (!["end", ")", "or"].includes(this.#next.kind)) {
      if (this.#next.kind === "and") this.#take();
      parts.push(this.#term());
    }
    return (asked) => parts.every((holds) => holds(asked));
  }

  #term(): Holds {
    const token = this.#next;
    if (["end", ")", "or", "and"].includes(token.kind)) throw new QueryError("a word is missing here", token.at);
    this.#take();
    switch (token.kind) {
      case "comparison": {
        const what = `only \`duration\` and \`count(…)\` are compared; text with '${token.text}' goes in quotes`;
        throw new QueryError(what, token.at);
      }
      case "quoted":
        return contains(token.text.toLowerCase());
      case "word":
        return this.#word(token);
      default:
        return this.#nested(token);
    }
  }

  /** What a negation, a parenthesis or a count is about. */
  #nested(token: Token): Holds {
    this.#depth += 1;
    if (this.#depth > DEEPEST) throw new QueryError("this is nested too deeply", token.at);
    let holds: Holds;
    if (token.kind === "not") {
      const part = this.#term();
      holds = (asked) => !part(asked);
    } else {
      holds = this.#either();
      if (this.#next.kind !== ")") throw new QueryError("this parenthesis is never closed", token.at);
      this.#take();
      if (token.kind === "count(") holds = this.#count(holds);
    }
    this.#depth -= 1;
    return holds;
  }

  #count(holds: Holds): Holds {
    const what = "`count(…)` is compared with a whole number. Write count(failed) > 1";
    if (this.#next.kind !== "comparison") throw new QueryError(what, this.#next.at);
    const compare = COMPARISONS[this.#take().text]!;
    const number = this.#takeNumber();
    if (!NUMBER.test(number.text)) throw new QueryError(what, number.at);
    return ({ test, cells }) => {
      const fitting = cells.filter((cell, environment) => cell !== null && holds({ test, cells, environment, cell }));
      return compare(fitting.length, Number(number.text));
    };
  }

  #takeNumber(): Token {
    return this.#next.kind === "word" ? this.#take() : { ...this.#next, text: "" };
  }

  #word(token: Token): Holds {
    const word = token.text.toLowerCase();
    if (word === "duration" && this.#next.kind === "comparison") return this.#duration();
    if (word === "differs") return differs;
    if (CELL_WORDS.includes(word)) return is(word);
    const colon = token.text.indexOf(":");
    if (colon < 1 || token.text[colon + 1] === ":") return contains(word); // `::` is of a node id
    const at = token.at + colon + 1;
    let value = token.text.slice(colon + 1);
    if (value === "" && this.#next.kind === "quoted" && this.#next.at === at) value = this.#take().text;
    return this.#pair(token, token.text.slice(0, colon), value, at);
  }

  #duration(): Holds {
    const compare = COMPARISONS[this.#take().text]!;
    const number = this.#takeNumber();
    const [, digits, unit] = DURATION.exec(number.text) ?? [];
    if (digits === undefined || unit === undefined) {
      const what = "a duration is a number with its unit. Write duration > 2s, or 500ms, or 1.5m";
      throw new QueryError(what, number.at);
    }
    const milliseconds = Math.floor(Number(digits) * UNITS[unit.toLowerCase()]! + 0.5);
    return ({ cell }) => compare(cell.duration, milliseconds);
  }

  #pair(token: Token, key: string, value: string, at: number): Holds {
    const name = key.toLowerCase();
    if (!(KEYS as readonly string[]).includes(name) && !this.#environments.includes(key)) {
      const what = `no key or environment is called '${key}'; text with a colon goes in quotes`;
      throw new QueryError(`${what}. ${nearest(key, [...KEYS, ...this.#environments])}`, token.at);
    }
    if (value === "") throw new QueryError(`'${key}:' has no value`, at);
    switch (name as (typeof KEYS)[number]) {
      case "in": {
        const number = this.#environments.indexOf(known(at, "environment", value, this.#environments));
        return ({ environment }) => environment === number;
      }
      case "cause": {
        const cause = known(at, "cause", value.toLowerCase(), CAUSES);
        return ({ cell }) => cell.cause === cause;
      }
      case "rule": {
        const rule = value.toUpperCase();
        return ({ cell }) => cell.rule === rule;
      }
      case "requires":
        return ({ cell }) => cell.services.includes(value);
      case "file": {
        const part = value.toLowerCase();
        return ({ test }) => fileOf(test).toLowerCase().includes(part);
      }
      default: {
        const holds = is(known(at, "outcome or change", value.toLowerCase(), CELL_WORDS));
        const environment = this.#environments.indexOf(key);
        return ({ test, cells }) => {
          const cell = cells[environment] ?? null;
          return cell !== null && holds({ test, cells, environment, cell });
        };
      }
    }
  }
}

function contains(text: string): Holds {
  return ({ test, cell }) => test.toLowerCase().includes(text) || cell.text.toLowerCase().includes(text);
}

function differs({ cells }: Asked): boolean {
  const first = cells.find((cell) => cell !== null);
  return cells.some((cell) => cell !== null && cell.outcome !== first?.outcome);
}

function is(word: string): Holds {
  if (word === "reused") return ({ cell }) => cell.reused;
  return (OUTCOMES as readonly string[]).includes(word)
    ? ({ cell }) => cell.outcome === word
    : ({ cell }) => cell.change === word;
}

function fileOf(test: string): string {
  const end = test.indexOf("::");
  return end < 0 ? test : test.slice(0, end);
}

function known(at: number, what: string, value: string, all: readonly string[]): string {
  if (all.includes(value)) return value;
  throw new QueryError(`no ${what} is called '${value}'. ${nearest(value, all)}`, at);
}

/** Names the known word closest to a mistyped one, or else all of them. */
function nearest(word: string, all: readonly string[]): string {
  const sorted = [...all].sort();
  const distances = sorted.map((each) => distance(word, each));
  const least = Math.min(...distances);
  const close = sorted[distances.indexOf(least)];
  return close !== undefined && least <= close.length / 3
    ? `Did you mean '${close}'?`
    : `Known here: ${sorted.join(", ")}`;
}

/** The least number of letters to insert, delete, replace or swap with a neighbour. */
function distance(left: string, right: string): number {
  let [before, last]: number[][] = [[], Array.from({ length: right.length + 1 }, (_, column) => column)];
  for (let row = 1; row <= left.length; row += 1) {
    const now = [row];
    for (let column = 1; column <= right.length; column += 1) {
      const change = left[row - 1] === right[column - 1] ? 0 : 1;
      const swapped = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      now.push(
        Math.min(
          last![column]! + 1,
          now[column - 1]! + 1,
          last![column - 1]! + change,
          swapped ? before![column - 2]! + 1 : Infinity,
        ),
      );
    }
    [before, last] = [last, now];
  }
  return last![right.length]!;
}
