"""Run a declared command to its end: one that shows a service's health, or prints a token."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence

from envmatrix.services.probes.reason import NoAnswerError


def run_command(words: Sequence[str], deadline: float) -> str:
    """Run a command for at most `deadline` seconds; return what it printed.

    Raises:
        NoAnswerError: it could not be started, or ended with another exit code than 0.
        TimeoutError: it was stopped at the deadline, with what it had started.
    """
    try:
        process = subprocess.Popen(  # noqa: S603  the declared command
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise NoAnswerError(f"{words[0]} cannot be started: {error.strerror}") from None
    with process:
        try:
            out, err = process.communicate(timeout=deadline)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise TimeoutError from None
    if process.returncode:
        lines = err.decode(errors="replace").strip().splitlines()
        words_last = f": {lines[-1]}" if lines else ""
        raise NoAnswerError(f"{words[0]} ends with exit code {process.returncode}{words_last}")
    return out.decode(errors="replace")
