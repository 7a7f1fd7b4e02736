"""The last part of the page: when services started, and what was used meanwhile."""

from __future__ import annotations

from itertools import chain

from envmatrix.matrix.table import Column
from envmatrix.report.page import data
from envmatrix.report.page.details import samples_of
from envmatrix.report.page.source import PageSource
from envmatrix.report.usage import growth_lines
from envmatrix.runs.cells import Run
from envmatrix.runs.samples import attempts_of, latency_series, series_of


def time(source: PageSource) -> data.Time:
    """Return what happened when, environment by environment."""
    return data.Time([_timeline(column) for column in source.judged.matrix.columns])


def _timeline(column: Column) -> data.Timeline:
    run = column.run
    if not isinstance(run, Run):
        return data.Timeline([], [], [])
    series = series_of(samples_of(column))
    latencies = latency_series(attempts_of(run)) if run.sampled else ()
    return data.Timeline(
        services=[
            data.ServiceStart(name, round(began * 1000), round(ready * 1000))
            for name, (began, ready) in run.starts.items()
        ],
        series=[
            data.Series(each.of, each.metric, [(round(at * 1000), value) for at, value in each.points])
            for each in chain(series, latencies)
        ],
        growing=list(growth_lines(series)),
    )
