"""The two answers of `envmatrix history`: one test over time, or an overview of all tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from envmatrix.history import PastCell, Timeline

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class TestHistory:
    """One test over time, in each environment."""

    __test__ = False  # no test, though its name begins so

    test: str
    timelines: Sequence[Timeline]
    limit: int
    """Runs to show of each environment."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The tests that are most worth a look."""

    flakiest: Sequence[tuple[str, Timeline]]
    slowest: Sequence[tuple[str, str, float]]
    """Environment, test, seconds."""


def newest(timeline: Timeline, limit: int) -> Sequence[PastCell]:
    """Return the last runs of a timeline, the newest first."""
    return timeline.cells[: -limit - 1 : -1]
