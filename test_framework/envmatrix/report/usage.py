"""What was used, in words and tables: of a whole run, or while one test ran."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from rich.table import Table
from rich.text import Text

from envmatrix.report.console import short
from envmatrix.runs.samples import Metric, Series, percentile, shown


def usage_table(series: Sequence[Series]) -> Table:
    """Return a row for each service or process, with its highest values; of processor time the mean."""
    cells = {(each.of, each.metric): each.mean if each.metric is Metric.CPU else each.highest for each in series}
    metrics = [metric for metric in Metric if any(metric is known for _, known in cells)]
    rows = (
        (short(of), *(shown(metric, cells[of, metric]) if (of, metric) in cells else "" for metric in metrics))
        for of in dict.fromkeys(of for of, _ in cells)
    )
    return grid(("", *metrics), rows)


def requests_table(requests: Mapping[str, Collection[float]]) -> Table:
    """Return a row for each route, with its number of requests and their percentiles."""
    rows = (
        (short(route), str(len(times)), *(f"{value:.1f} ms" for value in percentiles(times).values()))
        for route, times in requests.items()
    )
    return grid(("", "requests", *_SHARES), rows)


def percentiles(times: Collection[float]) -> dict[str, float]:
    """Return the percentiles that are shown of a route's milliseconds, by their names."""
    return {name: percentile(times, share) for name, share in _SHARES.items()}


_SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "highest": 1.0}


def growth_lines(series: Sequence[Series]) -> Iterator[str]:
    """Yield a line for each series that grows without an end."""
    for each in series:
        if (leak := each.leak) is not None:
            by = shown(each.metric, leak.slope * 60)
            sure = min(leak.confidence, _SUREST)
            yield f"{each.of}: {each.metric} still grows, by {by} a minute (confidence {sure:.1%}, {len(each.points)} samples)"


_SUREST = 0.999
"""Confidence that is shown at most: values of neighbouring moments resemble each other, so the test is too sure."""


def grid(head: Sequence[str], rows: Iterator[Sequence[str]]) -> Table:
    """Return a table whose first column has names and whose others have numbers."""
    table = Table.grid(padding=(0, 2))
    table.add_column(overflow="fold")
    for _ in head[1:]:
        table.add_column(justify="right", no_wrap=True)
    table.add_row(*(Text(each, "dim") for each in head))
    for row in rows:
        table.add_row(*map(Text, row))
    return table
