"""Run the commands of docker, podman and Compose, each with a deadline."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from envmatrix.masking import MASKER

_LOOK = 0.1
"""Seconds between two looks at whether a command is to be cut short."""
_LONGEST = 300
"""Characters of the line that says why a command failed."""


class CommandError(Exception):
    """A command failed, was not found, or did not end in time. The text is one line, masked."""

    def __init__(self, words: Sequence[str], what: str, output: str = "") -> None:
        self.output = MASKER.mask(output)
        """What it wrote to its standard error, masked."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        errors = [line for line in lines if "error" in line.lower()]
        why = (errors or lines or [""])[-1][:_LONGEST]
        super().__init__(f"{' '.join(words)} {what}{': ' if why else ''}{why}")


@dataclass(frozen=True)
class Commands:
    """Runs commands in one directory and environment."""

    cwd: Path
    variables: Mapping[str, str]
    """The whole environment. Compose fills in a file's `${VARIABLE}` from it."""
    stopping: threading.Event = field(default_factory=threading.Event)
    """Once set, a long command is cut short."""

    def run(
        self, words: Sequence[str], deadline: float, more: Mapping[str, str] | None = None, *, is_long: bool = False
    ) -> str:
        """Run a command to its end; return what it printed. `more` is added to its environment.

        Raises:
            CommandError: it failed, or was cut short.
        """
        short = [Path(words[0]).name, *(word for word in words[1:2] if not word.startswith("-"))]
        # Into files: a pipe would stay open as long as what watches over a container.
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            try:
                process = subprocess.Popen(  # noqa: S603  found by its name, as the user's shell would
                    words,
                    cwd=self.cwd,
                    env={**self.variables, **(more or {})},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=errors,
                    start_new_session=True,
                )
            except OSError as error:
                raise CommandError(short, f"cannot be run: {error.strerror}") from None
            self._wait(process, short, deadline, is_long=is_long)
            output.seek(0)
            errors.seek(0)
            if process.returncode:
                text = errors.read().decode(errors="replace")
                raise CommandError(short, f"ended with exit code {process.returncode}", text)
            return output.read().decode(errors="replace")

    def _wait(self, process: subprocess.Popen[bytes], words: Sequence[str], deadline: float, *, is_long: bool) -> None:
        end = time.monotonic() + deadline
        while True:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK)
                return
            if (is_stopping := is_long and self.stopping.is_set()) or time.monotonic() > end:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise CommandError(words, "was cut short" if is_stopping else f"did not end within {deadline:g} s")


def found(name: str) -> str | None:
    """Return the path of a command; podman-compose may be installed beside the interpreter that runs us."""
    beside = os.path.dirname(sys.executable)  # noqa: PTH120  of a PATH
    return shutil.which(name) or shutil.which(name, path=beside)
