"""Run files of a large matrix with realistic messages, the same each time, and the plain HTML table of the same cells."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment

from envmatrix.gate import judge_all
from envmatrix.matrix.table import Matrix
from envmatrix.report.matrix.summary import JudgedMatrix
from envmatrix.runs.directory import load_paths
from envmatrix.runs.events import Attempt, Attestation, Evidence, Footer, Header
from envmatrix.runs.file import RunWriter
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.ping import Ping, PingStatus

TESTS = 10_000
ENVIRONMENTS = ("backend", "clickhouse", "local", "nightly", "staging")
_FAILED, _SKIPPED = 0.03, 0.05
_IN_A_FILE = 40
_SERVICES = ("auth", "backend", "database", "redis")
_WORDS = ("orders", "threads", "users", "billing", "search", "agents", "sessions", "uploads", "events", "quota")
_ROOTS = (
    "assert {0} == {1}",
    "assert 'done' in ['{2}', 'queued', 'started']",
    "KeyError: '{2}_id'",
    "assert {0} < 500",
)


def write_runs(directory: Path, tests: int = TESTS) -> list[Path]:
    """Write a run file for each environment: 3 of 100 tests failed, 5 were skipped."""
    names = [
        f"tests/{_WORDS[number // _IN_A_FILE % 10]}/test_{_WORDS[number // 400 % 10]}_{number // _IN_A_FILE}.py"
        f"::Test{_WORDS[number % 7].title()}::test_{_WORDS[number % 10]}_are_kept_after_retry[{number % _IN_A_FILE}-{_WORDS[number % 3]}]"
        for number in range(tests)
    ]
    paths = []
    for environment in ENVIRONMENTS:
        chance = random.Random(environment)  # noqa: S311  the same each time
        path = directory / f"{environment}.jsonl"
        writer = RunWriter(path)
        writer.write(
            Header(
                run_id=f"run-{environment}",
                environment=environment,
                label=environment,
                started_at="2026-01-02T03:04:05.678+00:00",
                commit="c0ffee" * 6 + "c0ff",
                sources=dict.fromkeys(_SERVICES, "remote" if environment == "staging" else "process"),
                versions={"pytest": "9.0", "Python": "3.13"},
                planned=tuple(names),
            )
        )
        pings = {name: _ping(name, chance) for name in _SERVICES}
        writer.write(Attestation(moment="before", services=pings))
        began = 1.0
        for number, name in enumerate(names):
            took = chance.lognormvariate(-4, 1)
            began += took / 4
            writer.write(_attempt(name, number, took, began, chance))
        writer.write(Footer(ended_at="2026-01-02T03:14:05.678+00:00", duration=began, exit_code=1))
        writer.close()
        paths.append(path)
    return paths


def judged(paths: list[Path]) -> JudgedMatrix:
    """Read run files and judge their matrix."""
    loaded = load_paths(paths)
    matrix = Matrix.from_runs(loaded.runs)
    return JudgedMatrix(matrix, judge_all(matrix))


def _ping(service: str, chance: random.Random, status: PingStatus = PingStatus.UP) -> Ping:
    return Ping(service=service, status=status, latency=chance.uniform(0.001, 0.01), version=f"{service} 4.2")


def _attempt(test: str, number: int, took: float, began: float, chance: random.Random) -> Attempt:
    worker, used = f"gw{number % 4}", _SERVICES[: 1 + number % 3]
    drawn = chance.random()
    if drawn < _SKIPPED:
        reason = f"requires {chance.choice(_SERVICES)}, which is absent here"
        return Attempt(test, Outcome.SKIPPED, took, worker, reason, began=began)
    if drawn < _SKIPPED + _FAILED:
        cause, evidence = _evidence(test, chance)
        return Attempt(test, Outcome.FAILED, took, worker, "", cause, evidence, used, used, began=began)
    return Attempt(test, Outcome.PASSED, took, worker, services=used, capabilities=used, began=began)


def _evidence(test: str, chance: random.Random) -> tuple[Cause, Evidence]:
    """Return a cause and its evidence: a traceback of some 40 lines, two services, the last requests, a log."""
    what = chance.choice(_WORDS)
    wrong = chance.choice(_ROOTS).format(chance.randint(1, 99), chance.randint(1, 99), what)
    place = f"{test.partition('::')[0]}:{chance.randint(10, 300)}"
    ids = [f"{chance.getrandbits(128):032x}" for _ in range(8)]
    frames = "".join(
        f"src/shop/{chance.choice(_WORDS)}/service.py:{chance.randint(10, 400)}: in {chance.choice(_WORDS)}_of\n"
        f"    return await self._{chance.choice(_WORDS)}.fetch(user_id, limit={chance.randint(1, 50)})\n"
        for _ in range(14)
    )
    detail = f"def {test.rpartition('::')[2]}(real_services):\n{frames}>       {wrong}\nE       {wrong}\n\n{place}: AssertionError"
    exchanges = tuple(
        f"GET /api/{what}/{each} → {chance.choice((200, 200, 201, 404, 500))} in {chance.uniform(1, 90):.1f} ms"
        for each in ids
    )
    log = "\n".join(
        f"2026-01-02T03:04:{chance.uniform(10, 59):06.3f}Z INFO shop.{chance.choice(_WORDS)} request_id={each} status=200"
        for each in ids * 2
    )
    is_down = chance.random() < 1 / 3
    pings = tuple(_ping(name, chance, PingStatus.DOWN if is_down else PingStatus.UP) for name in ("auth", "backend"))
    cause, rule = (Cause.INFRASTRUCTURE, "I201") if is_down else (Cause.LOGIC, "L401")
    summary = "backend is down: connection refused" if is_down else f"AssertionError: {wrong}"
    return cause, Evidence(
        rule,
        summary,
        "call",
        place,
        (f"AssertionError: {wrong}", "ConnectError: [Errno 111] Connection refused"),
        tuple(_ping(name, chance) for name in ("auth", "backend")),
        pings,
        exchanges,
        {"backend": log},
        detail,
        fell=("backend",) if is_down else (),
    )


_TABLE = """<!doctype html><html><head><meta charset="utf-8"><title>matrix</title><style>
table { border-collapse: collapse } td, th { border: 1px solid #ccc; font: 12px sans-serif; vertical-align: top }
.failed { background: #fdd } .skipped { color: #888 } .passed { color: #080 } pre { max-width: 40em; overflow: auto }
</style></head><body><table><thead><tr><th>test</th>
{%- for column in matrix.columns %}<th>{{ column.label }}</th>{% endfor %}</tr></thead><tbody>
{%- for row in matrix.rows %}
<tr><td>{{ row.test }}</td>
{%- for cell in row.cells %}<td class="{{ cell.outcome }}">{{ cell.outcome }} {{ "%.0f"|format(cell.duration * 1000) }} ms
{%- if cell.evidence %} {{ cell.cause }} {{ cell.evidence.rule }}: {{ cell.evidence.summary }}
<details><summary>{{ cell.evidence.phase }} {{ cell.evidence.place }}</summary>
{%- for text in cell.evidence.exceptions %}<p>{{ text }}</p>{% endfor %}
<ul>{% for ping in cell.evidence.pings_before %}<li>before: {{ ping.service }} {{ ping.status }} {{ ping.latency }}</li>{% endfor %}
{%- for ping in cell.evidence.pings %}<li>after: {{ ping.service }} {{ ping.status }} {{ ping.latency }}</li>{% endfor %}</ul>
<ol>{% for text in cell.evidence.exchanges %}<li>{{ text }}</li>{% endfor %}</ol>
<pre>{{ cell.evidence.detail }}</pre>
{%- for service, log in cell.evidence.logs.items() %}<h4>{{ service }}</h4><pre>{{ log }}</pre>{% endfor %}</details>
{%- elif cell.reason %} {{ cell.reason }}{% endif %}</td>{% endfor %}</tr>
{%- endfor %}
</tbody></table></body></html>
"""


def plain_table(judged: JudgedMatrix) -> Iterator[str]:
    """Yield the same cells as a plain table, made by jinja2: what a team would write in an afternoon."""
    return Environment(autoescape=True).from_string(_TABLE).generate(matrix=judged.matrix)
