"""The health of environments for a person: one table each, the cause before what fails with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from envmatrix.environments import UNVERIFIED
from envmatrix.report.console import indented, printed, short
from envmatrix.report.health.words import identity, in_order, latency, remarks, result, source
from envmatrix.report.text import seconds
from envmatrix.services.health import Check, EnvironmentHealth, HealthStatus

_STYLES = {
    HealthStatus.OK: "green",
    HealthStatus.DEGRADED: "yellow",
    HealthStatus.DOWN: "bold red",
    HealthStatus.UNKNOWN: "magenta",
    HealthStatus.ABSENT: "dim",
}


def render(environments: Sequence[EnvironmentHealth]) -> str:
    """Return the report for a terminal."""
    return printed(Group(*(part for each in environments for part in parts(each))))


def parts(environment: EnvironmentHealth) -> Iterator[RenderableType]:
    """Yield the table of one environment."""
    status = environment.status
    maintenance = f", {short(environment.maintenance)}" if environment.maintenance else ""
    yield Text.assemble((short(environment.label), "bold"), ": ", (status.value, _STYLES[status]), maintenance)
    if environment.failure:
        yield indented(Text(short(environment.failure)))
    table = Table.grid(padding=(0, 2))
    for folds in (False, False, False, False, True, True):
        table.add_column(no_wrap=not folds, overflow="fold")
    for depth, each in in_order(environment):
        table.add_row(
            Text(f"{'  ' * depth}{short(each.service)}"),
            Text(each.status.value, _STYLES[each.status]),
            Text(source(each), "bold red" if each.source == UNVERIFIED else "dim"),
            Text(latency(each), justify="right"),
            Text(short(identity(each))),
            Text(short(remarks(each))),
        )
    yield indented(table)
    yield Text()
    if environment.checks:
        yield indented(_checks(environment.checks))
        yield Text()


def _checks(checks: Sequence[Check]) -> Table:
    table = Table.grid(padding=(0, 2))
    for folds in (False, False, False, False, True):
        table.add_column(no_wrap=not folds, overflow="fold")
    for check in checks:
        table.add_row(
            Text(short(check.service)),
            Text(check.name),
            Text(result(check), _STYLES[check.status]),
            Text(seconds(check.seconds), justify="right"),
            Text(short(check.detail)),
        )
    return table
