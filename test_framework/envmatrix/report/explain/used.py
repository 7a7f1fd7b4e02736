"""What was used while one test ran, of a run that was sampled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from envmatrix.report.usage import growth_lines, highest, route_numbers
from envmatrix.runs.cells import Cell, Run
from envmatrix.runs.events import Sample
from envmatrix.runs.rules import RuleCode
from envmatrix.runs.samples import requests_of, samples_during, series_of


def used(run: Run, cell: Cell, samples: Sequence[Sample]) -> dict[str, Any]:
    """Return the fields of an explanation that tell it."""
    return {
        "used": highest(series_of(samples_during(samples, cell.attempts))),
        "requests": route_numbers(requests_of(cell.attempts)),
        "measured": cell.measured,
        "growing": list(growth_lines(series_of(samples))),
        "limits": [
            f"{each.rule} {each.message}"
            for each in run.findings
            if each.rule == RuleCode.LIMIT_CROSSED and cell.test in each.tests
        ],
    }
