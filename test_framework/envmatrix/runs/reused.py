"""Cells that need not be run: which of an earlier run still hold, and how they are written beside those that were run."""

from __future__ import annotations

import json
import platform
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from envmatrix.exceptions import RunFileError
from envmatrix.runs.cells import (
    CONTRACT_VERSION,
    Bodies,
    Carried,
    Cause,
    Cell,
    Footer,
    Header,
    Outcome,
    Run,
    digest,
)
from envmatrix.runs.file import event_line, read_event, read_header
from envmatrix.runs.lines import raw_lines

_TELLS_NOTHING = frozenset({Cause.INFRASTRUCTURE, Cause.HARNESS, Cause.UNDETERMINED})
"""Causes of which nobody knows what they would be now."""


def versions() -> dict[str, str]:
    """Return what a run depends on beside the commit."""
    return {
        "contract": CONTRACT_VERSION,
        "envmatrix": version("envmatrix"),
        "pytest": version("pytest"),
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
    }


def function_of(test: str) -> str:
    """Return a test's node id without its parameters."""
    file, separator, rest = test.partition("::")
    return f"{file}{separator}{rest.partition('[')[0]}"


def is_settled(cell: Cell) -> bool:
    """Return whether a cell says what the same code would come to again."""
    return cell.outcome is not Outcome.NOT_RUN and cell.cause not in _TELLS_NOTHING


@dataclass(frozen=True, slots=True)
class Carry:
    """What one environment takes over from an earlier run."""

    run: Run
    """That run, of the commit since which the changes are known."""
    tests: tuple[str, ...]
    """Its tests that nothing which changed leads to; the others are run."""
    starts: bool = True
    """Whether anything is left to run."""

    @classmethod
    def of(cls, run: Run, selected: Collection[str], known: Collection[str]) -> Carry:
        """Choose what to take over.

        Args:
            run: A complete run of the earlier commit.
            selected: Functions, as node ids without parameters, that something which changed leads to.
            known: All functions that the suite has now.
        """
        by_function: dict[str, list[Cell]] = {}
        for cell in run.cells.values():
            by_function.setdefault(function_of(cell.test), []).append(cell)
        # What nobody sees in the source, yet was run, may have been made by anything: it is run again.
        kept = {
            function
            for function, cells in by_function.items()
            if function in known and function not in selected and all(map(is_settled, cells))
        }
        tests = tuple(cell.test for function in by_function if function in kept for cell in by_function[function])
        return cls(run, tests, starts=bool((set(known) | by_function.keys()) - kept))

    @property
    def commit(self) -> str:
        """Return the commit that it was run at."""
        return self.run.header.commit

    def write_list(self, path: Path) -> None:
        """Write the tests' node ids for pytest, which leaves them out."""
        path.write_text(json.dumps(self.tests))

    def events(self) -> list[Carried]:
        """Return what is taken over as lines of a run file."""
        return [Carried.of(self.run.cells[test], self.commit) for test in self.tests]


def read_list(path: Path) -> frozenset[str]:
    """Read the node ids that `Carry.write_list` wrote."""
    return frozenset(json.loads(path.read_bytes()))


def complete(path: Path, carry: Carry) -> None:
    """Add what was taken over to the run file of what was run; nothing where there is none, or it says nothing.

    Raises:
        RunFileError: it cannot be written.
    """
    try:
        header = read_header(path)
    except RunFileError:
        return
    tests = set(carry.tests) - set(header.planned)
    events = [event for event in carry.events() if event.test in tests]
    order = [test for test in carry.run.cells if test in tests or test in set(header.planned)]
    planned = tuple(dict.fromkeys([*order, *header.planned]))
    lines = []
    for number, _, written in raw_lines(path):
        line = written
        event = read_event(path, number, line) if b'"type":"attempt"' not in line[:20] else None
        if isinstance(event, Header):
            continue
        if isinstance(event, Bodies):
            bodies = {**carry.run.bodies, **dict(zip(header.planned, event.digests, strict=False))}
            line = event_line(Bodies(digests=tuple(bodies.get(test, "") for test in planned))).encode()
        elif isinstance(event, Footer):
            left_out = max(0, event.deselected - len(events))
            line = event_line(event.model_copy(update={"deselected": left_out})).encode()
        lines.append(line)
    header = header.model_copy(update={"planned": planned, "planned_digest": digest(planned)})
    _write(path, header, events, lines)


def write_unstarted(path: Path, carry: Carry, *, commit: str, dirty: bool) -> None:
    """Write the run file of an environment of which nothing had to be run.

    Raises:
        RunFileError: it cannot be written.
    """
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    header = carry.run.header.model_copy(
        update={
            "run_id": uuid.uuid4().hex,
            "started_at": now,
            "commit": commit,
            "dirty": dirty,
            "planned": carry.tests,
            "planned_digest": digest(carry.tests),
        }
    )
    bodies = Bodies(digests=tuple(carry.run.bodies.get(test, "") for test in carry.tests))
    footer = Footer(ended_at=now, duration=0.0, exit_code=0)
    _write(path, header, carry.events(), [event_line(bodies).encode(), event_line(footer).encode()])


def _write(path: Path, header: Header, events: Iterable[Carried], lines: Sequence[bytes]) -> None:
    fresh = path.with_name(f".{path.name}")
    try:
        with fresh.open("wb") as stream:
            stream.write(event_line(header).encode())
            stream.writelines(event_line(event).encode() for event in events)
            stream.writelines(lines)
        fresh.replace(path)
    except OSError as error:
        raise RunFileError(path, f"cannot be written: {error.strerror}") from None
