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

from envmatrix.plugin.guard import Guard
from envmatrix.runs.killed import KilledTest
from envmatrix.safety.unpatched import REAL, HeldCopy, HeldFile, weakly

if TYPE_CHECKING:
    from pathlib import Path

GRACE = 5.0
"""Seconds from the exception to the end by force; as long as the deadline where that is shorter."""

_AGAIN = 0.1
"""Seconds from a deadline's exception that ended only a subtest to the next, which is to end the test."""

_LEAST = 0.001
"""Seconds; faulthandler refuses less."""

_SETTINGS = pytest.StashKey[Any]()
"""pytest-timeout's settings for an item whose deadline covers setup and teardown."""


class TestDeadline:
    """Holds each try of each test to its deadline: the environment's default, or the user's own."""

    __test__ = False

    def __init__(self, seconds: float, path: Path | None, guard: Guard) -> None:
        self._seconds = seconds
        self._path = path
        """The file to write the stacks to before the process is ended; `None` is its standard error."""
        self._guard = guard
        self._file: HeldCopy | None = None
        self._armed = False
        self._is_running = False
        """Whether a phase of a test runs: a report that is made meanwhile is of a part of it, a subtest."""
        self._due = 0.0
        """When the process is ended by force, by our clock; 0 where it is not to be."""
        os.register_at_fork(before=weakly(self._pause), after_in_parent=weakly(self._go_on))

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Open the file, which must be writable when Python code no longer runs."""
        if self._path is not None:
            self._file = HeldFile(self._path, os.O_TRUNC, 0o600)
        elif capture := session.config.pluginmanager.getplugin("capturemanager"):
            with capture.global_and_fixture_disabled():
                self._file = HeldCopy(2)

    def pytest_unconfigure(self) -> None:
        """Remove the file: no test had to be ended by force."""
        self._disarm()
        if self._file is not None:
            self._file.close()
            self._file = None
            if self._path is not None:
                self._path.unlink(missing_ok=True)

    def _pause(self) -> None:
        """Stop the thread that ends the process before a fork: a child would wait for ever for one that it has not."""
        if self._due:
            faulthandler.cancel_dump_traceback_later()

    def _go_on(self) -> None:
        """Start it again in the parent."""
        if self._due and self._file is not None:
            left = max(self._due - REAL.clock(), _LEAST)
            faulthandler.dump_traceback_later(left, exit=True, file=self._file.descriptor)

    def _disarm(self) -> None:
        self._due = 0.0
        faulthandler.cancel_dump_traceback_later()

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
        with self._guard:
            self._arm(item, settings)
        return result

    def _arm(self, item: pytest.Item, settings: Any) -> None:
        self._armed = True
        if not settings.func_only:
            item.stash[_SETTINGS] = settings
        if self._file is None or _is_debugging(settings):
            return
        if callable(alarm := signal.getsignal(signal.SIGALRM)):
            signal.signal(signal.SIGALRM, partial(self._on_alarm, alarm, settings))
        if isinstance(self._file, HeldFile):
            self._file.empty()
            self._file.write(KilledTest.first_line(item.nodeid, settings.timeout))
        seconds = settings.timeout + min(GRACE, settings.timeout)
        self._due = REAL.clock() + seconds
        faulthandler.dump_traceback_later(seconds, exit=True, file=self._file.descriptor)

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_timeout_cancel_timer(self) -> bool | None:
        """Cancel the end by force together with pytest-timeout's own timer; neither while the test goes on."""
        if self._is_running:
            return True
        self._armed = False
        self._disarm()
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
        self._disarm()

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

    def _on_alarm(
        self, then: Callable[[int, FrameType | None], None], settings: Any, signum: int, frame: FrameType | None
    ) -> None:
        """Cancel the end by force if a debugger was started meanwhile, as pytest-timeout does."""
        __tracebackhide__ = True
        if _is_debugging(settings):
            self._disarm()
        then(signum, frame)


def _is_debugging(settings: Any) -> bool:
    return not settings.disable_debugger_detection and pytest_timeout.is_debugging()
