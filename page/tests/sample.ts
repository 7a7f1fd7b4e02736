/** Made-up data in the page's schema, the same at every call: for the tests, and to look at while working on the page. */
import { gzipSync } from "node:zlib";
import type {
  Cause,
  Column,
  Details,
  Environment,
  Explanation,
  Grid,
  Outcome,
  Page,
  Problem,
  Service,
  Time,
} from "../src/schema";
import { CAUSE_OF, OUTCOME_OF } from "../src/words";

export interface Shape {
  environments: string[];
  files: number;
  rows: number;
  /** The share of cells that fail. */
  failing: number;
  against: boolean;
}

export const SHAPES: Record<string, Shape> = {
  five: {
    environments: ["local", "staging", "auth_service", "backend", "local+py313"],
    files: 12,
    rows: 12,
    failing: 0.06,
    against: true,
  },
  fifteen: {
    environments: Array.from({ length: 15 }, (_, index) => `region-${index + 1}.eu-central`),
    files: 20,
    rows: 10,
    failing: 0.05,
    against: false,
  },
  one: { environments: ["local"], files: 4, rows: 8, failing: 0.1, against: false },
  green: { environments: ["local", "staging", "backend"], files: 6, rows: 10, failing: 0, against: true },
  red: { environments: ["local", "staging", "backend"], files: 6, rows: 10, failing: 1, against: false },
  large: {
    environments: ["local", "staging", "auth_service", "backend", "nightly"],
    files: 200,
    rows: 50,
    failing: 0.03,
    against: false,
  },
};

export interface Sample {
  page: Page;
  grid: Grid;
  details: Details[];
  time: Time;
}

const RULES: Record<string, [cause: Cause, title: string, summary: string]> = {
  C112: [
    "contract",
    "a field is missing",
    "real_services has no field 'clickhouse_available', which the contract of version 1.4.0 asks for",
  ],
  I301: [
    "infrastructure",
    "a used service is down",
    "redis is down: connection refused (127.0.0.1:6379); the test used it in its call",
  ],
  L401: [
    "logic",
    "an assertion failed while all services were healthy",
    'assert 402 == 200: POST /api/agents/run answered {"detail": "quota of 3 agents reached"}',
  ],
  H203: ["harness", "the worker died", "worker gw1 was killed by signal 9 while the test ran"],
  U501: [
    "undetermined",
    "the evidence conflicts",
    "httpx.ReadTimeout after 30.0 s; backend answered its ping in 4 ms before and after",
  ],
};
const NAMES = [
  "test_login",
  "test_concurrent_users_different_agents",
  "test_refresh_token_rotation",
  "test_websocket_handshake",
  "test_agent_stream",
  "test_quota",
  "test_search_history",
  "test_health",
];
const HOSTILE = "test_name[<script>alert(1)</script>\u001b[31m\u202Egnp.exe ::error:: \ud800]";

/** Return numbers between 0 and 1, the same each time (mulberry32). */
function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

function service(
  name: string,
  source: string,
  version: string,
  status: Service["status"],
  environment: string,
): Service {
  const identity: Record<string, string> =
    source === "absent" ? {} : { service: name, environment, version, commit: "1a2b3c4d5e6f708192a3" };
  return {
    name,
    source,
    version: source === "absent" ? "" : version,
    identity,
    status,
    latency: status === "up" ? 3.4 : null,
    down: status === "down" ? 3 : 0,
  };
}

export function sample(shape: Shape): Sample {
  const draw = random(7);
  const files = Array.from(
    { length: shape.files },
    (_, index) => `tests/e2e/${index % 3 ? "agents" : "auth"}/test_flow_${index + 1}.py`,
  );
  const names = files.flatMap((_, file) =>
    Array.from(
      { length: shape.rows },
      (_, row) => `${NAMES[(file + row) % NAMES.length]}${row >= NAMES.length ? `[user${row}-plan_${file}]` : ""}`,
    ),
  );
  names[1] = HOSTILE;
  names[2] = `test_very_long[${"parameter-".repeat(40)}]`;
  const tests = names.length;
  const rules = Object.keys(RULES);
  const texts = [
    ...Object.values(RULES).map(([, , summary]) => summary),
    "needs clickhouse, which is absent here",
    "passed at the 2nd of 2 attempts",
    "issue 312: rotation is not atomic",
  ];
  const details: Details[] = [{}];
  const problems = new Map<string, Problem>();
  const columns = shape.environments.map((name, environment): Column => {
    const column: Column = {
      outcomes: "",
      causes: "",
      durations: [],
      began: [],
      worker: [],
      services: [],
      reused: ["", "0f1e2d3c4b5a"],
      reused_at: [],
      rows: [],
      text: [],
      rule: [],
      attempts: [],
      block: [],
      history_rows: [],
      history: [],
      changes: "",
      before: "",
      before_causes: "",
    };
    const clocks = [900, 900, 900, 900];
    const bad = shape.failing * (environment === 1 ? 3 : environment === 0 ? 0.4 : 1);
    for (let row = 0; row < tests; row++) {
      const lot = draw();
      const ruleIndex = environment === 1 && draw() < 0.7 ? 1 : Math.floor(draw() * rules.length);
      const [cause, , summary] = RULES[rules[ruleIndex] ?? ""] ?? ["logic", "", ""];
      let letter = "p";
      if (lot < bad) letter = "f";
      else if (shape.failing && lot > 0.99) letter = "k";
      else if (lot > 0.95) letter = "s";
      else if (shape.failing && lot > 0.94) letter = "x";
      else if (shape.failing && lot > 0.935) letter = "X";
      else if (shape.failing && lot > 0.93) letter = "n";
      else if (environment === 2 && row % 11 === 3) letter = ".";
      const took = letter === "p" || letter === "f" || letter === "k" ? Math.round(20 + draw() ** 6 * 4000) : 0;
      const worker = clocks.indexOf(Math.min(...clocks));
      column.outcomes += letter;
      column.causes += letter === "f" ? (Object.entries(CAUSE_OF).find(([, each]) => each === cause)?.[0] ?? " ") : " ";
      column.durations.push(took);
      column.began.push(took ? (clocks[worker] ?? 0) : -1);
      column.worker.push(worker);
      clocks[worker] = (clocks[worker] ?? 0) + took + 2;
      column.services.push(row % 3);
      column.reused_at.push(letter === "p" && row % 37 === 0 ? 1 : 0);
      const was = letter === "f" && row % 2 ? "p" : letter === "p" && row % 41 === 0 ? "f" : letter;
      const change =
        was === letter
          ? letter === "p" && row % 53 === 0
            ? "s"
            : letter === "p" && row % 59 === 0
              ? "n"
              : " "
          : letter === "f"
            ? "r"
            : "f";
      if (shape.against) {
        column.changes += change;
        column.before += change === "n" ? "." : was;
        column.before_causes += was === "f" ? "l" : " ";
      }
      if (letter === "f" || row % 50 === 0) {
        column.history_rows.push(row);
        column.history.push(letter === "f" ? "ppppfpppff" : "pppppppppp");
      }
      if (!"fksx".includes(letter)) continue;
      column.rows.push(row);
      column.text.push({ f: ruleIndex, k: 6, s: 5, x: 7 }[letter] ?? 5);
      column.rule.push(letter === "f" ? ruleIndex : -1);
      column.attempts.push(letter === "k" ? 2 : 1);
      column.block.push(letter === "f" ? 0 : -1);
      if (letter !== "f") continue;
      const code = rules[ruleIndex] ?? "";
      ((details[0] ??= {})[environment] ??= {})[row] = explanation(name, code, cause, summary, took);
      const problem = problems.get(code) ?? { rows: [], cells: [] };
      problems.set(code, problem);
      if (!problem.rows.includes(row)) problem.rows.push(row);
      const known = problem.cells[0] ?? {
        environments: [],
        outcome: "failed" as Outcome,
        cause,
        rule: code,
        summary,
        place: "tests/e2e/auth/test_flow_1.py:42",
        remedy: "",
        findings: [],
      };
      if (!known.environments.includes(environment)) known.environments.push(environment);
      problem.cells[0] = known;
    }
    return column;
  });
  const environments = shape.environments.map((name, index) => environmentOf(name, index, columns[index]));
  const grid = {
    files: files.map((file): [string, number, string] => [file, shape.rows, ""]),
    names,
    workers: ["gw0", "gw1", "gw2", "gw3"],
    services: [[], ["backend", "redis"], ["backend", "database", "auth"]],
    texts,
    rules,
    columns,
    gone: shape.against
      ? [{ test: "tests/e2e/auth/test_old.py::test_basic_auth", outcomes: "p".repeat(columns.length) }]
      : [],
  };
  const page: Page = {
    schema: 1,
    title: "commit 1a2b3c4d5e6f, 2026-12-01 10:00:00 UTC",
    made_at: "2026-12-01T10:04:00Z",
    version: "0.1.0",
    environments,
    problems: [...problems.values()],
    asides: [
      { environments: [0, 1].slice(0, columns.length), outcome: "skipped", reason: texts[5] ?? "", rows: [3, 4, 5] },
      { environments: [0], outcome: "xfailed", reason: texts[7] ?? "", rows: [6] },
    ],
    advice: [
      ["contract", "mend what the line names: the fixture, the declaration, or what breaks the promise"],
      ["infrastructure", "look at the named service first: the test has said nothing about the product"],
      ["logic", "mend the product or the test"],
      ["harness", "run it again; if it stays, its log tells what ended the test"],
      ["undetermined", "run it again; if it stays, look at what stands between the test and the service"],
    ],
    rules: Object.fromEntries(
      Object.entries(RULES).map(([code, [cause, title]]) => [
        code,
        { title, cause, meaning: `What ${code} means.`, remedy: "", page: `docs/rules/${code}.md` },
      ]),
    ),
    differences:
      columns.length > 1
        ? [
            {
              service: "database",
              aspect: "version",
              name: "",
              values: columns.map((_, index) => (index === 1 ? "17.2" : "18.1")),
              correlations: ["test_refresh_token_rotation fails only there"],
            },
            {
              service: "backend",
              aspect: "setting",
              name: "AGENT_QUOTA",
              values: columns.map((_, index) => (index === 1 ? "3" : null)),
              correlations: [],
            },
          ]
        : [],
    numbers: [{ row: 4, environment: 0, name: "first_token_ms", value: 412, median: 180, worse: true }],
    against: shape.against ? { title: "the baseline, commit 99887766aabb", name: "baseline" } : null,
    tests,
    blocks: 1,
  };
  return { page, grid, details, time: timeOf(columns) };
}

function environmentOf(name: string, index: number, column: Column | undefined): Environment {
  const failed = [...(column?.outcomes ?? "")].flatMap((letter, row) => (OUTCOME_OF[letter] === "failed" ? [row] : []));
  const causes = [...new Set(failed.map((row) => CAUSE_OF[column?.causes[row] ?? ""]))];
  const onlyOutage = failed.length > 0 && causes.every((cause) => cause === "infrastructure");
  const answer = failed.length ? (onlyOutage ? "unknown" : "incompatible") : "compatible";
  const label = name === "staging" ? "staging (twin)" : name;
  return {
    name,
    label,
    answer,
    reasons: failed.length
      ? [
          {
            code: "failures",
            text: `${failed.length} tests failed: ${causes.join(", ")}`,
            calls_for: answer,
            tests: failed.slice(0, 20),
          },
        ]
      : [],
    run_id: `20261201T100000-${name}`,
    complete: true,
    commit: "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d",
    dirty: index === 0,
    started_at: "2026-12-01T10:00:00Z",
    duration: 83_000 + index * 7000,
    versions: { contract: "1.4.0", Python: "3.13.1", pytest: "9.2.0" },
    services: [
      service("backend", index ? "remote" : "process", "2.3.1", "up", name),
      service("database", index ? "remote" : "embedded", index === 1 ? "17.2" : "18.1", "up", name),
      service("redis", index ? "remote" : "embedded", "9.1.2", index === 1 ? "down" : "up", name),
      service("llm", "stub", "", "up", name),
      service("clickhouse", "absent", "", "", name),
    ],
    findings:
      index === 1
        ? [
            {
              rule: "C112",
              message: "redis_available is True, but redis is absent here",
              place: "environments/staging.toml:14",
              hint: 'declare source = "absent", or start it',
            },
          ]
        : [],
    unexercised: index === 0 ? ["llm"] : [],
    log_tail: "",
    rerun: { before: `envmatrix run ${name} -- `, after: "" },
  };
}

function explanation(environment: string, code: string, cause: Cause, summary: string, took: number): Explanation {
  return {
    environment,
    headline: `failed in ${environment}: ${cause} ${code}: ${summary}`,
    summary,
    phase: "call",
    place: "tests/e2e/auth/test_flow_1.py:42",
    worker: "gw1",
    attempts: [{ outcome: "failed", duration: took / 1000, worker: "gw1", why: `${cause} ${code}` }],
    alike: ["tests/e2e/agents/test_flow_2.py::test_quota"],
    alike_more: 3,
    parts: [],
    exceptions: ["AssertionError: assert 402 == 200", "httpx.HTTPStatusError: Client error '402 Payment Required'"],
    moments: ["before", "right after"],
    services: [
      {
        service: "backend",
        source: "remote",
        before: "up",
        before_status: "up",
        after: "up in 4.1 ms",
        after_status: "up",
        latency: 0.0041,
        claims: "backend 2.3.1",
      },
      {
        service: "redis",
        source: "remote",
        before: "up",
        before_status: "up",
        after: "down: connection refused",
        after_status: "down",
        latency: null,
        claims: "",
      },
    ],
    exchanges: ['POST https://staging.example/api/agents/run 402 in 12 ms {"detail": "quota of 3 agents reached"}'],
    used: { backend: { cpu: 0.4, rss: 120_000_000 } },
    requests: { "POST /api/agents/run": { number: 3, p50: 12, p95: 31 } },
    measured: { first_token_ms: 412 },
    growing: [],
    limits: [],
    logs: { backend: "INFO  started\nWARN  quota reached for user 7\nERROR <b>not markup</b>" },
    detail:
      "def test_quota(real_services):\n>       assert response.status_code == 200\nE       assert 402 == 200\n\ntests/e2e/auth/test_flow_1.py:42: AssertionError",
    rule: {
      code,
      title: RULES[code]?.[1] ?? "",
      cause,
      meaning: `What ${code} means for this failure.`,
      page: `docs/rules/${code}.md`,
      also: {},
    },
    next: [
      "Look at the response above: the product answers, and it says no.",
      "Compare AGENT_QUOTA in both environments.",
    ],
    rerun: `envmatrix run ${environment} -- tests/e2e/auth/test_flow_1.py::test_quota`,
    run: null,
  };
}

function timeOf(columns: readonly Column[]): Time {
  const curve = (base: number, swing: number): [number, number][] =>
    Array.from({ length: 60 }, (_, step) => [step * 400, base + swing * Math.sin(step / 6)]);
  return {
    environments: columns.map((_, index) => ({
      services: [
        { name: "database", began: 0, ready: 320 },
        { name: "redis", began: 0, ready: 60 },
        { name: "backend", began: 330, ready: 860 },
      ],
      series: index
        ? []
        : [
            { of: "backend", metric: "cpu", points: curve(0.5, 0.3) },
            { of: "backend", metric: "rss", points: curve(12e7, 3e6) },
            { of: "database", metric: "rss", points: curve(8e7, 1e6) },
          ],
      growing: [],
    })),
  };
}

/** Return the template with a sample's chunks in it. */
export function filled(template: string, data: Sample): string {
  const chunks: Record<string, unknown> = { page: data.page, grid: data.grid, time: data.time };
  data.details.forEach((block, index) => (chunks[`details-${index}`] = block));
  const scripts = Object.entries(chunks).map(
    ([name, value]) =>
      `<script type="application/gzip" id="${name}">${gzipSync(JSON.stringify(value)).toString("base64")}</script>`,
  );
  return template.replace("<!--chunks-->", () => scripts.join("\n"));
}
