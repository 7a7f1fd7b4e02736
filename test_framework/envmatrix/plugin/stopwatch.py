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
    def pytest_runtest_setup(self) -> Generator[None, object, object]:
        """Measure the setup."""
        return (yield from self._measured())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        """Measure the test itself."""
        return (yield from self._measured())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, object, object]:
        """Measure the teardown."""
        return (yield from self._measured())

    def _measured(self) -> Generator[None, object, object]:
        __tracebackhide__ = True
        self._seconds = None
        began = REAL.clock()
        try:
            return (yield)
        finally:
            self._seconds = REAL.clock() - began

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put the seconds on the report."""
        report = yield
        if self._seconds is not None:
            report.duration, self._seconds = self._seconds, None
        return report
