"""Ends a test whose deadline has passed, also one that blocks in C or swallows every exception.

pytest-timeout raises in the test. Where that does not end it within a grace, a thread of the interpreter's own, which
needs no lock of Python's, writes where each thread stands and ends the process.
"""

from __future__ import annotations

import faulthandler
import os
import signal
from collections.abc import Callable, Generator
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any

import pytest
import pytest_timeout  # type: ignore[import-untyped]  # it ships no types

from envmatrix.runs.killed import KilledTest

if TYPE_CHECKING:
    from pathlib import Path

GRACE = 5.0
"""Seconds from the exception to the end by force; as long as the deadline where that is shorter."""

_AGAIN = 0.1
"""Seconds from a deadline's exception that ended only a subtest to the next, which is to end the test."""

_SETTINGS = pytest.StashKey[Any]()
"""pytest-timeout's settings for an item whose deadline covers setup and teardown."""


class TestDeadline:
    """Holds each try of each test to its deadline: the environment's default, or the user's own."""

    __test__ = False

    def __init__(self, seconds: float, path: Path | None) -> None:
        self._seconds = seconds
        self._path = path
        """The file to write the stacks to before the process is ended; `None` is its standard error."""
        self._descriptor = -1
        self._armed = False
        self._is_running = False
        """Whether a phase of a test runs: a report that is made meanwhile is of a part of it, a subtest."""

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Open the file, which must be writable when Python code no longer runs."""
        if self._path is not None:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        elif capture := session.config.pluginmanager.getplugin("capturemanager"):
            with capture.global_and_fixture_disabled():
                self._descriptor = os.dup(2)

    def pytest_unconfigure(self) -> None:
        """Remove the file: no test had to be ended by force."""
        faulthandler.cancel_dump_traceback_later()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            if self._path is not None:
                self._path.unlink(missing_ok=True)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Give each test its deadline, unless the user gives one to all of them, or to this one."""
        own = (config.getoption("timeout"), os.environ.get("PYTEST_TIMEOUT"), config.getini("timeout") or None)
        if any(seconds is not None for seconds in own):
            return
        default = pytest.mark.timeout(self._seconds)
        for item in items:
            if item.get_closest_marker("timeout") is None:
                item.add_marker(default)

    @pytest.hookimpl(optionalhook=True, wrapper=True)
    def pytest_timeout_set_timer(self, item: pytest.Item, settings: Any) -> Generator[None, object, object]:
        """Set the end by force behind pytest-timeout's own timer; never under a debugger."""
        result = yield
        self._arm(item, settings)
        return result

    def _arm(self, item: pytest.Item, settings: Any) -> None:
        self._armed = True
        if not settings.func_only:
            item.stash[_SETTINGS] = settings
        if self._descriptor < 0 or _is_debugging(settings):
            return
        if callable(alarm := signal.getsignal(signal.SIGALRM)):
            signal.signal(signal.SIGALRM, partial(_on_alarm, alarm, settings))
        if self._path is not None:
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, KilledTest.first_line(item.nodeid, settings.timeout))
        grace = min(GRACE, settings.timeout)
        faulthandler.dump_traceback_later(settings.timeout + grace, exit=True, file=self._descriptor)

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_timeout_cancel_timer(self) -> bool | None:
        """Cancel the end by force together with pytest-timeout's own timer; neither while the test goes on."""
        if self._is_running:
            return True
        self._armed = False
        faulthandler.cancel_dump_traceback_later()
        return None

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        """Note that the test's body runs."""
        self._is_running = True
        try:
            return (yield)
        finally:
            self._is_running = False

    def pytest_enter_pdb(self) -> None:
        """Cancel the end by force while somebody debugs."""
        faulthandler.cancel_dump_traceback_later()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Give each try of a test that is tried again its own time; pytest-timeout gives all of them one."""
        self._rearm(item)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """Stop the clock where a phase failed: collecting evidence is not the test's time."""
        if self._is_running:
            if (
                self._armed
                and callable(signal.getsignal(signal.SIGALRM))
                and not any(signal.getitimer(signal.ITIMER_REAL))
            ):
                signal.setitimer(signal.ITIMER_REAL, _AGAIN)  # a subtest took the exception for its own failure
        elif call.excinfo is not None and _SETTINGS in item.stash:
            item.config.hook.pytest_timeout_cancel_timer(item=item)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, None, None]:
        """Give the teardown after a failure its own time, where pytest-timeout gives it no end."""
        self._rearm(item)
        try:
            yield
        finally:
            if _SETTINGS in item.stash:
                item.config.hook.pytest_timeout_cancel_timer(item=item)

    def _rearm(self, item: pytest.Item) -> None:
        settings = item.stash.get(_SETTINGS, None)
        if settings is not None and not self._armed:
            item.config.hook.pytest_timeout_set_timer(item=item, settings=settings)


def _is_debugging(settings: Any) -> bool:
    return not settings.disable_debugger_detection and pytest_timeout.is_debugging()


def _on_alarm(
    then: Callable[[int, FrameType | None], None], settings: Any, signum: int, frame: FrameType | None
) -> None:
    """Cancel the end by force if a debugger was started meanwhile, as pytest-timeout does."""
    __tracebackhide__ = True
    if _is_debugging(settings):
        faulthandler.cancel_dump_traceback_later()
    then(signum, frame)
