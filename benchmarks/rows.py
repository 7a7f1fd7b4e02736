"""Rows of the report, and how they are measured: ours and the peer in turns, so that a busy machine slows both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the report."""

    name: str
    ours: float
    """Our median, in `unit`."""
    peer_name: str
    peer: float
    """The peer's median in the same run, in `unit`."""
    unit: str = "s"
    goal: str = ""
    """The goal, in words."""
    samples: int = 1

    @property
    def ratio(self) -> float:
        """Return how many times the peer ours takes."""
        return self.ours / self.peer

    def dump(self) -> dict[str, str | float]:
        """Return plain values."""
        return {**vars(self), "ratio": round(self.ratio, 4)}


def in_turns(rounds: int, candidates: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    """Return each candidate's median over some rounds; in a round every candidate is measured once."""
    samples: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, measure in candidates.items():
            samples[name].append(measure())
    return {name: statistics.median(times) for name, times in samples.items()}


def seconds(action: Callable[[], object], times: int = 1) -> float:
    """Return the seconds one call takes, as the mean of several in a row."""
    began = time.perf_counter()
    for _ in range(times):
        action()
    return (time.perf_counter() - began) / times
