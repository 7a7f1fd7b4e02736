"""Corrects the seconds of a test's phases where a tool stopped the clock that pytest measures them by."""

from __future__ import annotations

import time

import pytest

from envmatrix.safety.unpatched import REAL

_CLOCK = time.perf_counter


class Stopwatch:
    """Measures from report to report: a hook around each phase would cost more than all else that we do for a test."""

    def __init__(self) -> None:
        self._phase: str | None = None
        self._began = self._reported = REAL.clock()
        self._was_stopped = False

    def complete(self, report: pytest.TestReport) -> None:
        """Put the seconds since the phase before on a report, if pytest's clock was replaced at either end."""
        now = REAL.clock()
        if report.when != self._phase:  # a subtest's report has the phase of its test
            self._phase, self._began = report.when, self._reported
        self._reported = now
        is_stopped = time.perf_counter is not _CLOCK
        if is_stopped or self._was_stopped:
            report.duration = now - self._began
        self._was_stopped = is_stopped
