"""How environments differ, as one JSON document. Nothing is shortened."""

from __future__ import annotations

from typing import Any

from envmatrix.matrix.drift import Drift, Split
from envmatrix.report.documents import as_json

SCHEMA = 1


def render(drift: Drift) -> str:
    """Return the document."""
    document = {
        "schema": SCHEMA,
        "exit_code": drift.exit_code,
        "sides": list(drift.sides),
        "splits": [_split(drift, split) for split in drift.splits],
        "unknown": list(drift.unknown),
    }
    return as_json(document)


def _split(drift: Drift, split: Split) -> dict[str, Any]:
    return {
        "groups": [[drift.sides[number] for number in group] for group in split.groups],
        "differences": [
            {"service": each.service, "trait": each.trait, "values": list(each.values)} for each in split.differences
        ],
        "results": {
            test: [{"passed": passed, "failed": failed} for passed, failed in counts]
            for test, counts in split.results.items()
        },
    }
