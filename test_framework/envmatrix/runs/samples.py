"""Samples as series of one metric each, and what a series says: its highest value, and whether it grows."""

from __future__ import annotations

import enum
import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from envmatrix.runs.cells import Run
from envmatrix.runs.events import Attempt, Sample
from envmatrix.runs.trends import Trend, growth


class Metric(enum.StrEnum):
    """What is measured of a service, or of a process that runs tests."""

    CPU = "cpu"
    """Processor time since the look before, as a share of that time: 1 is one core."""
    RSS = "rss"
    """Bytes of memory that its processes have resident, what they share counted once."""
    DESCRIPTORS = "descriptors"
    """Open file descriptors."""
    SOCKETS = "sockets"
    """How many of these are sockets."""
    THREADS = "threads"
    """Threads of all its processes."""
    CONNECTIONS = "connections"
    """Client connections of PostgreSQL and of Redis, the sampler's own left out."""
    LOCKS = "locks"
    """Locks of PostgreSQL that are held."""
    WAITING = "waiting"
    """Locks of PostgreSQL that a session waits for."""
    MEMORY = "memory"
    """Bytes that Redis has allocated."""
    KEYS = "keys"
    """Keys of Redis, in all its databases."""
    P95 = "p95"
    """Milliseconds within which 95 of 100 requests of one test were answered."""

    @property
    def is_bytes(self) -> bool:
        """Return whether it is a size in bytes."""
        return self in {Metric.RSS, Metric.MEMORY}

    @property
    def may_leak(self) -> bool:
        """Return whether a steady growth of it is worth a word."""
        return self not in {Metric.CPU, Metric.LOCKS, Metric.WAITING, Metric.P95}


@dataclass(frozen=True)
class Series:
    """One metric of one service or process over a run."""

    of: str
    metric: Metric
    points: Sequence[tuple[float, float]]
    """Seconds since the run began, and the value; at least one."""

    @cached_property
    def values(self) -> list[float]:
        """Return the values, in their order."""
        return [value for _, value in self.points]

    @property
    def highest(self) -> float:
        """Return the highest value."""
        return max(self.values)

    @property
    def mean(self) -> float:
        """Return the mean of the values."""
        return fmean(self.values)

    @cached_property
    def leak(self) -> Trend | None:
        """Return the growth that does not end, if there is one."""
        return growth(self.points) if self.metric.may_leak else None


def series_of(samples: Iterable[Sample]) -> list[Series]:
    """Return the series that samples make; a metric of another version has none."""
    points: dict[tuple[str, Metric], list[tuple[float, float]]] = {}
    for sample in samples:
        for of, used in sample.used.items():
            for name, value in used.items():
                if name in _METRICS:
                    points.setdefault((of, Metric(name)), []).append((sample.at, value))
    return [Series(of, metric, each) for (of, metric), each in sorted(points.items())]


_METRICS = frozenset(Metric)


def latency_series(attempts: Iterable[Attempt]) -> Iterator[Series]:
    """Yield for each service the 95th percentile of its requests in each test, at the test's end."""
    points: dict[str, list[tuple[float, float]]] = {}
    for attempt in attempts:
        for service, times in times_of(attempt).items():
            points.setdefault(service, []).append((attempt.began + attempt.duration, percentile(times, 0.95)))
    for service, of_service in points.items():
        yield Series(service, Metric.P95, sorted(of_service))


def times_of(attempt: Attempt) -> dict[str, list[float]]:
    """Map each service to the milliseconds of the attempt's requests to it."""
    times: dict[str, list[float]] = {}
    for route, each in attempt.requests.items():
        times.setdefault(route.partition(" ")[0], []).extend(each)
    return times


def requests_of(attempts: Iterable[Attempt]) -> dict[str, list[float]]:
    """Map each route to the milliseconds of all its requests."""
    found: dict[str, list[float]] = {}
    for attempt in attempts:
        for route, times in attempt.requests.items():
            found.setdefault(route, []).extend(times)
    return dict(sorted(found.items()))


def percentile(values: Collection[float], share: float) -> float:
    """Return the smallest value that at least this share of all values do not exceed (the nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def shown(metric: Metric, value: float) -> str:
    """Return a value for people: `212.4 MiB`, `0.31`, `14`, `12.5 ms`."""
    if metric.is_bytes:
        return f"{value / (1 << 20):.1f} MiB"
    if metric is Metric.P95:
        return f"{value:.1f} ms"
    return f"{value:.2f}" if metric is Metric.CPU else f"{value:.0f}"


def attempts_of(run: Run) -> list[Attempt]:
    """Return every attempt of a run."""
    return [attempt for cell in run.cells.values() for attempt in cell.attempts]


def samples_during(samples: Sequence[Sample], attempts: Iterable[Attempt]) -> list[Sample]:
    """Return the samples taken while a test ran, and the first after it: a short test has none of its own."""
    found = dict[float, Sample]()
    for attempt in attempts:
        end = attempt.began + attempt.duration
        after = next((sample.at for sample in samples if sample.at >= end), end)
        if attempt.began:  # else it is of an earlier run, whose cell is reused
            found |= {sample.at: sample for sample in samples if attempt.began <= sample.at <= after}
    return list(found.values())
