"""The health of environments as GitHub-flavoured Markdown: for a job's summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from envmatrix.report.health.words import identity, in_order, latency, remarks, result, source
from envmatrix.report.markdown import code, page
from envmatrix.report.text import seconds
from envmatrix.services.health import EnvironmentHealth, HealthStatus

_MARKS = {
    HealthStatus.OK: "✅",
    HealthStatus.DEGRADED: "⚠️",
    HealthStatus.DOWN: "❌",
    HealthStatus.UNKNOWN: "❔",
    HealthStatus.ABSENT: "·",
}


def render(environments: Sequence[EnvironmentHealth]) -> str:
    """Return the report, cut where GitHub would refuse it."""
    return page(line for each in environments for line in _lines(each))


def _lines(environment: EnvironmentHealth) -> Iterator[str]:
    status = environment.status
    yield f"## {_MARKS[status]} Health of {code(environment.label)}: {status}"
    yield ""
    if environment.maintenance:
        yield code(environment.maintenance)
        yield ""
    if environment.failure:
        yield code(environment.failure)
        return
    yield "| service | status | source | latency | version | remarks |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for depth, each in in_order(environment):
        texts = (code(text, in_table=True) if text else "" for text in (identity(each), remarks(each)))
        name = f"{'↳ ' * depth}{code(each.service, in_table=True)}"
        cells = (name, f"{_MARKS[each.status]} {each.status}", source(each), latency(each), *texts)
        yield f"| {' | '.join(cells)} |"
    yield ""
    if environment.checks:
        yield "| service | check | result | time | detail |"
        yield "| --- | --- | --- | --- | --- |"
        for check in environment.checks:
            detail = code(check.detail, in_table=True) if check.detail else ""
            ended = f"{_MARKS[check.status]} {result(check)}"
            name = code(check.service, in_table=True)
            yield f"| {name} | {check.name} | {ended} | {seconds(check.seconds)} | {detail} |"
        yield ""
