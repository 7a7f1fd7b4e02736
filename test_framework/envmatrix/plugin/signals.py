"""Answers SIGTERM, which pytest ignores: teardown, footer, exit 143, all within five seconds."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator
from types import FrameType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from envmatrix.plugin.process import Process
    from envmatrix.plugin.recorder import Recorder

GRACE = 5.0
"""Seconds from the signal to the end; GitHub, Kubernetes and systemd kill after 7.5, 30 and 90."""

EXIT_SIGTERM = 128 + signal.SIGTERM


class SignalWatch:
    """Turns SIGTERM into an orderly end, and ends by force what would not."""

    def __init__(self, process: Process, recorder: Recorder | None, deadline: float | None = None) -> None:
        """`deadline`: seconds that the run may take."""
        self._process = process
        self._recorder = recorder
        self._deadline = deadline
        self._timer: threading.Timer | None = None
        self._why = "terminated by SIGTERM"
        self._terminated = False
        self._before: signal.Handlers | int | Callable[[int, FrameType | None], object] | None = None

    def pytest_sessionstart(self) -> None:
        """Install our handler; only the main thread may, and an embedding program may run us in another."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._on_sigterm)
            if self._deadline is not None:
                self._timer = threading.Timer(self._deadline, self._on_deadline)
                self._timer.daemon = True
                self._timer.start()

    def pytest_unconfigure(self) -> None:
        """Leave nothing behind: pytest may run inside another program."""
        self._stop_timer()
        self.restore()

    def restore(self) -> None:
        """Restore the former handler."""
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Set the exit code of a run that was terminated, whatever became of its teardown.

        Raises:
            Exit: a teardown or a plugin failed after the signal.
        """
        self._stop_timer()
        if not self._terminated:
            return (yield)
        session.exitstatus = EXIT_SIGTERM
        try:
            return (yield)
        except Exception as error:
            raise pytest.exit.Exception(f"{self._why}; then {type(error).__name__}", EXIT_SIGTERM) from error

    def _on_sigterm(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002  the signal module's call
        if self._terminated:
            return
        self._terminated = True
        if self._recorder is not None:
            self._recorder.early_end = self._why
        force = threading.Timer(GRACE - 1.0, self._end_by_force)
        force.daemon = True
        force.start()
        # Like Ctrl-C, which pytest tears down after: `except Exception` in a test does not swallow it.
        raise KeyboardInterrupt(self._why)

    def _on_deadline(self) -> None:
        """End the run as SIGTERM would; if the main thread is stuck, the test's own deadline ends it."""
        self._why = f"deadline of {self._deadline:g} s passed"
        os.kill(os.getpid(), signal.SIGTERM)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _end_by_force(self) -> None:
        """End a process whose main thread never came back: blocked in C, or the interrupt was swallowed."""
        if self._recorder is not None:
            self._recorder.finish(EXIT_SIGTERM)
        self._process.stop(deadline=0.5)
        os._exit(EXIT_SIGTERM)
