"""What tests did over time, as one JSON document."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from envmatrix.history import PastCell, Timeline
from envmatrix.report.documents import as_json
from envmatrix.report.history.answers import SCHEMA, Overview, TestHistory, newest


def render(answer: TestHistory | Overview) -> str:
    """Return one test's history, the newest of its runs first, or the overview."""
    return as_json({"schema": SCHEMA, **(_overview(answer) if isinstance(answer, Overview) else _history(answer))})


def _history(history: TestHistory) -> dict[str, Any]:
    return {
        "test": history.test,
        "environments": [
            {
                "name": timeline.environment,
                "runs": len(timeline.cells),
                **_rates(timeline),
                "duration": timeline.duration,
                "trend": timeline.trend,
                "last_good": timeline.last_good or None,
                "first_bad": timeline.first_bad or None,
                "entries": [
                    {**_entry(entry), "other_branch": entry.commit in timeline.elsewhere}
                    for entry in newest(timeline, history.limit)
                ],
            }
            for timeline in history.timelines
        ],
    }


def _overview(overview: Overview) -> dict[str, Any]:
    return {
        "flakiest": [
            {"test": test, "environment": timeline.environment, **_rates(timeline)}
            for test, timeline in overview.flakiest
        ],
        "slowest": [
            {"test": test, "environment": environment, "duration": took} for environment, test, took in overview.slowest
        ],
    }


def _rates(timeline: Timeline) -> dict[str, float | None]:
    return {"pass_rate": timeline.pass_rate, "flake_rate": timeline.flake_rate}


def _entry(entry: PastCell) -> dict[str, Any]:
    return {**asdict(entry), "rule": entry.rule or None, "summary": entry.summary or None}
