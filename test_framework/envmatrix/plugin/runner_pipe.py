"""Ends a run whose runner is gone, also after SIGKILL, which leaves the runner no time to say anything.

The runner loads this with `-p` and hands down the reading end of a pipe to which it alone holds the writing end.
"""

from __future__ import annotations

import os
import signal
import threading

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option by which the runner names the pipe; it is no option for people."""
    parser.addoption("--matrix-runner-pipe", type=int, metavar="FD", help="end when this pipe does (set by envmatrix)")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Watch the pipe, in the run's main process alone: its workers end with it."""
    pipe: int | None = session.config.getoption("--matrix-runner-pipe")
    if pipe is not None and not hasattr(session.config, "workerinput"):
        threading.Thread(target=_watch, args=(pipe,), name="envmatrix-runner-pipe", daemon=True).start()


def _watch(pipe: int) -> None:
    """Wait until the runner's end is closed; then ask this process to end, as the runner would have."""
    while os.read(pipe, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
