"""What a sampled run used, as every format shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from envmatrix.runs.cells import Run
from envmatrix.runs.events import FindingRecord, Sample
from envmatrix.runs.rules import RuleCode
from envmatrix.runs.samples import Series, attempts_of, latency_series, requests_of, series_of


@dataclass(frozen=True)
class Usage:
    """What the services and the processes of one run used."""

    label: str
    """The environment's."""
    samples: int
    seconds: float
    """From the run's start to the last sample."""
    series: Sequence[Series]
    requests: Mapping[str, Sequence[float]]
    """Route → milliseconds."""
    measured: Mapping[str, Mapping[str, float]]
    """Test → the numbers that it recorded."""
    findings: Sequence[FindingRecord]
    """The limits that were crossed."""

    @classmethod
    def of(cls, run: Run, samples: Sequence[Sample]) -> Usage:
        """Return what a run used by its samples and by the requests of its tests."""
        attempts = attempts_of(run)
        return cls(
            label=run.header.label,
            samples=len(samples),
            seconds=samples[-1].at if samples else 0.0,
            series=[*series_of(samples), *latency_series(attempts)],
            requests=requests_of(attempts),
            measured={attempt.test: attempt.measured for attempt in attempts if attempt.measured},
            findings=[finding for finding in run.findings if finding.rule == RuleCode.LIMIT_CROSSED],
        )

    @property
    def exit_code(self) -> int:
        """Return the exit code: 1 where a limit was crossed, 3 where nothing was sampled."""
        if not self.samples:
            return 3
        return 1 if self.findings else 0
