"""What is left of a test that nothing in Python could end: where it stood when its process was ended by force.

Written by a thread of the interpreter's own that runs no Python, read by whoever sees the process gone.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from envmatrix.exceptions import RunFileError
from envmatrix.runs.cells import Attempt, Cause, Evidence, Footer, Outcome
from envmatrix.runs.file import attempt_line, event_line, read_run

_INNERMOST = re.compile(r"\(most recent call first\):\n  File \"(?P<file>.*)\", line (?P<line>\d+) in (?P<function>.*)")

EXIT_CODE = 1
"""Of a process that faulthandler ends."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """A test whose process was ended by force, since its deadline had passed and it did not end."""

    test: str
    deadline: float
    """Seconds."""
    stack: str
    """Where each thread stood; the main one is the last."""

    @staticmethod
    def beside(run_file: Path) -> Path:
        """Return where the process that writes a run file leaves word of itself."""
        return run_file.with_suffix(".stuck")

    @staticmethod
    def of_worker(run_dir: Path, worker: str) -> Path:
        """Return where a worker of xdist leaves word of itself."""
        return run_dir / f"{worker}.stuck"

    @staticmethod
    def first_line(test: str, deadline: float) -> bytes:
        """Return what stands in the file before the stack: which test it would be."""
        return json.dumps({"test": test, "deadline": deadline}).encode() + b"\n"

    @classmethod
    def read(cls, path: Path) -> Stuck | None:
        """Read what a process left; `None` where its end was another."""
        try:
            first, _, stack = path.read_text(errors="replace").partition("\n")
            about = json.loads(first)
            return cls(str(about["test"]), float(about["deadline"]), stack.strip()) if stack.strip() else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @property
    def summary(self) -> str:
        """Say it in one line."""
        stood = _INNERMOST.findall(self.stack)
        where = f"; it stood in {stood[-1][2]}, {stood[-1][0]}:{stood[-1][1]}" if stood else ""
        return (
            f"the deadline of {self.deadline:g} s passed and it did not end, so its process was ended by force{where}"
        )


def finish_run(run_file: Path) -> None:
    """Write what a run could not write any more whose process was ended by force: the test in flight, and a footer."""
    beside = Stuck.beside(run_file)
    stuck = Stuck.read(beside)
    beside.unlink(missing_ok=True)
    try:
        run = read_run(run_file) if stuck else None
    except RunFileError:
        return
    if stuck is None or run is None or run.footer is not None:
        return
    summary = f"{stuck.test}: {stuck.summary}"
    evidence = Evidence("H301", stuck.summary, phase="call", detail=stuck.stack)
    now = datetime.now(UTC)
    footer = Footer(
        ended_at=now.isoformat(timespec="milliseconds"),
        duration=max(0.0, (now - datetime.fromisoformat(run.header.started_at)).total_seconds()),
        exit_code=EXIT_CODE,
        reason=summary,
    )
    attempt = Attempt(stuck.test, Outcome.FAILED, stuck.deadline, cause=Cause.HARNESS, evidence=evidence)
    written = run_file.read_bytes()
    with run_file.open("r+b") as stream:
        stream.seek(stream.truncate(written.rfind(b"\n") + 1))  # a torn line would be glued to the next
        stream.write((attempt_line(attempt) + event_line(footer)).encode())
