"""What was used, in words and tables: of a whole run, or while one test ran."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from rich.table import Table
from rich.text import Text

from envmatrix.report.console import short
from envmatrix.runs.samples import Metric, Series, percentile, shown


def highest(series: Sequence[Series]) -> dict[str, dict[str, float]]:
    """Map each service or process to its highest values; of processor time to the mean."""
    found: dict[str, dict[str, float]] = {}
    for each in series:
        found.setdefault(each.of, {})[each.metric] = each.mean if each.metric is Metric.CPU else each.highest
    return found


def usage_table(used: Mapping[str, Mapping[str, float]]) -> Table:
    """Return the highest values as a table, a row for each service or process."""
    metrics = [metric for metric in Metric if any(metric in each for each in used.values())]
    rows = (
        (short(of), *(shown(metric, values[metric]) if metric in values else "" for metric in metrics))
        for of, values in used.items()
    )
    return _grid(("", *metrics), rows)


def route_numbers(requests: Mapping[str, Collection[float]]) -> dict[str, dict[str, float]]:
    """Map each route to its number of requests, and to the percentiles of their milliseconds."""
    return {
        route: {"requests": len(times), **{name: percentile(times, share) for name, share in _SHARES.items()}}
        for route, times in requests.items()
    }


_SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "highest": 1.0}


def requests_table(routes: Mapping[str, Mapping[str, float]]) -> Table:
    """Return the numbers of routes as a table."""
    rows = (
        (short(route), f"{numbers['requests']:.0f}", *(f"{numbers[name]:.1f} ms" for name in _SHARES))
        for route, numbers in routes.items()
    )
    return _grid(("", "requests", *_SHARES), rows)


def growth_lines(series: Sequence[Series]) -> Iterator[str]:
    """Yield a line for each series that grows without an end."""
    for each in series:
        if (leak := each.leak) is not None:
            by = shown(each.metric, leak.slope * 60)
            sure = min(leak.confidence, _SUREST)
            yield f"{each.of}: {each.metric} still grows, by {by} a minute (confidence {sure:.1%}, {len(each.points)} samples)"


_SUREST = 0.999
"""Confidence that is shown at most: values of neighbouring moments resemble each other, so the test is too sure."""


def _grid(head: Sequence[str], rows: Iterator[Sequence[str]]) -> Table:
    """Return a table whose first column has names and whose others have numbers."""
    table = Table.grid(padding=(0, 2))
    table.add_column(overflow="fold")
    for _ in head[1:]:
        table.add_column(justify="right", no_wrap=True)
    table.add_row(*(Text(each, "dim") for each in head))
    for row in rows:
        table.add_row(*map(Text, row))
    return table
