"""The stack of a test that nothing in Python could end, when its process was killed at the deadline.

A thread of the interpreter that runs no Python writes it; the process that outlives the killed one reads it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from envmatrix.exceptions import RunFileError
from envmatrix.runs.cells import Run
from envmatrix.runs.events import Attempt, Evidence, Footer
from envmatrix.runs.file import event_line, read_run
from envmatrix.runs.nodeid import without_number
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.rules import RuleCode

_INNERMOST = re.compile(r"\(most recent call first\):\n  File \"(?P<file>.*)\", line (?P<line>\d+) in (?P<function>.*)")

EXIT_CODE = 1
"""Exit code of a process that faulthandler ends."""


@dataclass(frozen=True, slots=True)
class KilledTest:
    """A test whose process was killed, since it did not end at its deadline."""

    test: str
    deadline: float
    """Seconds."""
    stack: str
    """The stack of each thread; the main one is the last."""

    @staticmethod
    def beside(run_file: Path) -> Path:
        """Return the file of the process that writes a run file."""
        return run_file.with_suffix(".killed")

    @staticmethod
    def of_worker(run_dir: Path, worker: str) -> Path:
        """Return the file of an xdist worker."""
        return run_dir / f"{worker}.killed"

    @staticmethod
    def first_line(test: str, deadline: float) -> bytes:
        """Return the line before the stack: the test that is about to run."""
        return json.dumps({"test": test, "deadline": deadline}).encode() + b"\n"

    @classmethod
    def read(cls, path: Path) -> KilledTest | None:
        """Read a process's file; `None` where it ended in another way."""
        try:
            first, _, stack = path.read_text(errors="replace").partition("\n")
            about = json.loads(first)
            return cls(str(about["test"]), float(about["deadline"]), stack.strip()) if stack.strip() else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @property
    def summary(self) -> str:
        """Return what happened, in one line."""
        frames = _INNERMOST.findall(self.stack)
        where = f"; it stood in {frames[-1][2]}, {frames[-1][0]}:{frames[-1][1]}" if frames else ""
        return (
            f"the deadline of {self.deadline:g} s passed and it did not end, so its process was ended by force{where}"
        )


def finish_run(run_file: Path) -> None:
    """Complete the run file of a process that was killed: the test in flight, and a footer."""
    beside = KilledTest.beside(run_file)
    killed = KilledTest.read(beside)
    beside.unlink(missing_ok=True)
    try:
        run = read_run(run_file) if killed else None
    except RunFileError:
        return
    if killed is None or run is None or run.footer is not None:
        return
    summary = f"{killed.test}: {killed.summary}"
    evidence = Evidence(RuleCode.WORKER_CRASHED, killed.summary, phase="call", detail=killed.stack)
    now = datetime.now(UTC)
    footer = Footer(
        ended_at=now.isoformat(timespec="milliseconds"),
        duration=max(0.0, (now - datetime.fromisoformat(run.header.started_at)).total_seconds()),
        exit_code=EXIT_CODE,
        reason=summary,
    )
    attempt = Attempt(_name(run, killed.test), Outcome.FAILED, killed.deadline, cause=Cause.HARNESS, evidence=evidence)
    written = run_file.read_bytes()
    with run_file.open("r+b") as stream:
        stream.seek(stream.truncate(written.rfind(b"\n") + 1))  # a torn line would be glued to the next
        stream.write(event_line(attempt) + event_line(footer))


def _name(run: Run, test: str) -> str:
    """Return the name of the killed test: of several with its node id, the first that had not ended."""
    ended = run.ended[Outcome.NOT_RUN]
    return next((cell.test for cell in ended if test in {cell.test, without_number(cell.test)}), test)
