"""Measures each phase of a test by a clock that no test can stop: pytest's own stands still with frozen time."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from envmatrix.safety.unpatched import REAL


class Stopwatch:
    """Puts the seconds of each phase on its report, which takes them to the recorder, wherever that is."""

    def __init__(self) -> None:
        self._seconds: float | None = None
        """Of the phase that has just ended; `None` while one runs, whose reports are those of subtests."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def _measured(self) -> Generator[None, object, object]:
        __tracebackhide__ = True
        self._seconds = None
        began = REAL.clock()
        try:
            return (yield)
        finally:
            self._seconds = REAL.clock() - began

    pytest_runtest_setup = pytest_runtest_call = pytest_runtest_teardown = _measured

    def complete(self, report: pytest.TestReport) -> None:
        """Put the seconds on a phase's report."""
        if self._seconds is not None:
            report.duration, self._seconds = self._seconds, None
