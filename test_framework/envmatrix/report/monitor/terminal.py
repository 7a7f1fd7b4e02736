"""What a sampled run used, for a person."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from envmatrix.report.console import indented, printed, short
from envmatrix.report.monitor.usage import Usage
from envmatrix.report.text import plural
from envmatrix.report.usage import growth_lines, highest, requests_table, route_numbers, usage_table


def render(usage: Usage) -> str:
    """Return the report for a terminal."""
    return printed(Group(*_parts(usage)))


def _parts(usage: Usage) -> Iterator[RenderableType]:
    taken = f"{plural(usage.samples, 'sample')} in {usage.seconds:.1f} s" if usage.samples else "no samples"
    yield Text.assemble((short(usage.label), "bold"), f": {taken}")
    if usage.series:
        yield from _section("Highest values, of cpu the mean", usage_table(highest(usage.series)))
    if usage.requests:
        yield from _section("Requests of the tests", requests_table(route_numbers(usage.requests)))
    for test, numbers in usage.measured.items():
        values = ", ".join(f"{name} {value:g}" for name, value in numbers.items())
        yield from _section(f"Measured by {short(test)}", Text(short(values)))
    if lines := list(growth_lines(usage.series)):
        yield from _section("What still grew in the second half", *(Text(short(line), "yellow") for line in lines))
    for finding in usage.findings:
        tests = (Text(f"  {short(test)}", "dim") for test in finding.tests)
        yield from _section("A limit was crossed", Text(short(f"{finding.rule} {finding.message}"), "bold red"), *tests)


def _section(title: str, *parts: RenderableType) -> Iterator[RenderableType]:
    yield Text()
    yield Text(title, "bold")
    yield from map(indented, parts)
