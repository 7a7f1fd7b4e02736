"""What a declaration's limits say of a sampled run: each that was crossed, with the test that did it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from envmatrix.environments import ServiceSpec
from envmatrix.runs.events import Attempt, FindingRecord, Sample
from envmatrix.runs.rules import RuleCode
from envmatrix.runs.samples import Metric, percentile, shown, times_of

_METRICS = {"max_rss": Metric.RSS, "max_connections": Metric.CONNECTIONS}
"""Key of the declaration → what it limits."""

_NAMED = 5
"""Tests that a finding names: those that ran when a limit was first seen crossed."""


def crossed(
    services: Mapping[str, ServiceSpec], samples: Sequence[Sample], attempts: Sequence[Attempt]
) -> Iterator[FindingRecord]:
    """Yield a finding for each limit that was crossed."""
    for name, spec in services.items():
        for key, metric in _METRICS.items():
            limit = getattr(spec, key)
            values = [sample.used.get(name, {}).get(metric, 0.0) for sample in samples]
            if limit is None or not values or (highest := max(values)) <= limit:
                continue
            first = next(number for number, value in enumerate(values) if value > limit)
            begin, end = samples[first - 1].at if first else 0.0, samples[first].at
            message = f"{name}: {metric} {shown(metric, highest)}, above {key} {shown(metric, limit)}; first after {end:.1f} s"
            yield _finding(message, [test.test for test in attempts if _ran_between(test, begin, end)])
        if spec.p95_ms is not None:
            yield from _of_requests(name, spec.p95_ms, attempts)


def has_limits(spec: ServiceSpec) -> bool:
    """Return whether a service has a limit."""
    return any(getattr(spec, key) is not None for key in (*_METRICS, "p95_ms"))


def _of_requests(name: str, limit: float, attempts: Sequence[Attempt]) -> Iterator[FindingRecord]:
    times = {attempt.test: of_service for attempt in attempts if (of_service := times_of(attempt).get(name))}
    every = list(chain.from_iterable(times.values()))
    if every and (p95 := percentile(every, 0.95)) > limit:
        tests = sorted(times, key=lambda test: percentile(times[test], 0.95), reverse=True)
        message = f"{name}: 95 of 100 requests within {p95:.1f} ms, above p95_ms {limit:g}, of {len(every)} requests"
        yield _finding(message, [test for test in tests if percentile(times[test], 0.95) > limit])


def _ran_between(attempt: Attempt, begin: float, end: float) -> bool:
    return attempt.began <= end and attempt.began + attempt.duration >= begin


def _finding(message: str, tests: Iterable[str]) -> FindingRecord:
    return FindingRecord(RuleCode.LIMIT_CROSSED, message, tests=tuple(dict.fromkeys(tests))[:_NAMED])
