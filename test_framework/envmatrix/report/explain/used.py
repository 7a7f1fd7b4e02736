"""What was used while one test ran, of a run that was sampled."""

from __future__ import annotations

from typing import Any

from envmatrix.report.explain.run_index import RunIndex
from envmatrix.report.usage import highest, route_numbers
from envmatrix.runs.cells import Cell
from envmatrix.runs.samples import requests_of, samples_during, series_of


def used(index: RunIndex, cell: Cell) -> dict[str, Any]:
    """Return the fields of an explanation that tell it."""
    samples = index.samples and samples_during(index.samples, cell.attempts)
    return {
        "used": highest(series_of(samples)),
        "requests": route_numbers(requests_of(cell.attempts)),
        "measured": cell.measured,
        "growing": index.growing,
        "limits": index.limits(cell.test),
    }
