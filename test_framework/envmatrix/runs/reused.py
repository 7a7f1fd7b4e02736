"""Reuse cells of an earlier run: choose those that no change leads to, and write them into the new run file."""

from __future__ import annotations

import json
import platform
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import islice
from pathlib import Path

from msgspec.structs import replace

from envmatrix.exceptions import DeclarationError, RunFileError
from envmatrix.runs.cells import Cell, Run
from envmatrix.runs.contexts import NO_CONTEXTS, Contexts, merged, read_contexts
from envmatrix.runs.events import CONTRACT_VERSION, Bodies, Footer, Header, Reused
from envmatrix.runs.file import digest, event_line, read_event, read_header
from envmatrix.runs.lines import raw_lines
from envmatrix.runs.nodeid import function_of
from envmatrix.runs.outcomes import Outcome
from envmatrix.safety.input_files import read_json
from envmatrix.safety.output_files import replacing

_MOST = 64 << 20
"""Bytes of a list of node ids."""


def versions() -> dict[str, str]:
    """Return the versions that a run depends on besides the commit."""
    return {
        "contract": CONTRACT_VERSION,
        "envmatrix": version("envmatrix"),
        "pytest": version("pytest"),
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
    }


def is_settled(cell: Cell) -> bool:
    """Return whether the same code would end the same way again."""
    return cell.outcome is not Outcome.NOT_RUN and (cell.cause is None or cell.cause.blames_product)


@dataclass(frozen=True, slots=True)
class Reuse:
    """The cells that one environment reuses from an earlier run."""

    run: Run
    """The earlier run, of the commit since which the changes are known."""
    tests: tuple[str, ...]
    """Its tests that no change leads to; the others are run."""
    starts: bool = True
    """Whether anything is left to run."""
    contexts: Contexts = NO_CONTEXTS
    """What the tests of the earlier run ran."""

    @classmethod
    def of(cls, run: Run, selected: Collection[str], known: Collection[str], contexts: Contexts = NO_CONTEXTS) -> Reuse:
        """Choose the cells to reuse.

        Args:
            run: A complete run of the earlier commit.
            selected: Functions, as node ids without parameters, that a change leads to.
            known: All functions that the suite has now.
            contexts: What the tests of that run ran, as far as it was recorded.
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
        starts = bool((set(known) | by_function.keys()) - kept)
        return cls(run, tests, starts=starts, contexts=contexts.only(kept))

    @property
    def commit(self) -> str:
        """Return the commit of the earlier run."""
        return self.run.header.commit

    def write_list(self, path: Path) -> None:
        """Write the node ids of the reused tests, which pytest leaves out."""
        path.write_text(json.dumps(self.tests))

    def events(self) -> list[Reused]:
        """Return the reused cells as events of a run file."""
        return [_event(self.run.cells[test], self.commit) for test in self.tests]

    def write_contexts(self, run_file: Path) -> None:
        """Add the contexts of the reused tests to those of a run: nothing that they ran is changed."""
        if self.contexts.tests:
            merged([read_contexts(run_file), self.contexts]).write(run_file)


def read_list(path: Path) -> frozenset[str]:
    """Read the node ids that `Reuse.write_list` wrote.

    Raises:
        DeclarationError: it is no list of texts.
    """
    tests = read_json(path, _MOST)
    if not isinstance(tests, list) or not all(isinstance(test, str) for test in tests):
        raise DeclarationError(path, "is no JSON list of node ids")
    return frozenset(tests)


def complete(path: Path, reuse: Reuse) -> None:
    """Add the reused cells to the run file of the others; do nothing where that is missing or has no header.

    Raises:
        RunFileError: it cannot be written.
    """
    try:
        header = read_header(path)
    except RunFileError:
        return
    tests = set(reuse.tests) - set(header.planned)
    events = [event for event in reuse.events() if event.test in tests]
    order = [test for test in reuse.run.cells if test in tests or test in set(header.planned)]
    planned = tuple(dict.fromkeys([*order, *header.planned]))
    lines = []
    for number, _, written in islice(raw_lines(path), 1, None):
        line = written
        event = read_event(path, number, line) if b'"type":"attempt"' not in line[:20] else None
        if isinstance(event, Bodies):
            bodies = {**reuse.run.bodies, **dict(zip(header.planned, event.digests, strict=False))}
            line = event_line(Bodies(digests=tuple(bodies.get(test, "") for test in planned)))
        elif isinstance(event, Footer):
            left_out = max(0, event.deselected - len(events))
            line = event_line(replace(event, deselected=left_out))
        lines.append(line)
    header = replace(header, planned=planned, planned_digest=digest(planned))
    _write(path, header, events, lines)


def write_unstarted(path: Path, reuse: Reuse, *, commit: str, dirty: bool) -> None:
    """Write the run file of an environment whose cells are all reused.

    Raises:
        RunFileError: it cannot be written.
    """
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    header = replace(
        reuse.run.header,
        run_id=uuid.uuid4().hex,
        started_at=now,
        commit=commit,
        dirty=dirty,
        planned=reuse.tests,
        planned_digest=digest(reuse.tests),
        files={},
    )
    bodies = Bodies(digests=tuple(reuse.run.bodies.get(test, "") for test in reuse.tests))
    footer = Footer(ended_at=now, duration=0.0, exit_code=0)
    _write(path, header, reuse.events(), [event_line(bodies), event_line(footer)])


def _event(cell: Cell, commit: str) -> Reused:
    """Return a cell's event; one that was reused before keeps the commit where it was run."""
    evidence = cell.evidence
    return Reused(
        test=cell.test,
        outcome=cell.outcome,
        commit=cell.reused_from or commit,
        duration=round(cell.duration, 6),
        reason=cell.reason,
        cause=cell.cause,
        rule=evidence.rule if evidence else "",
        summary=evidence.summary if evidence else "",
    )


def _write(path: Path, header: Header, events: Iterable[Reused], lines: Sequence[bytes]) -> None:
    try:
        with replacing(path) as fresh, fresh.open("wb") as stream:
            stream.write(event_line(header))
            stream.writelines(map(event_line, events))
            stream.writelines(lines)
    except OSError as error:
        raise RunFileError(path, f"cannot be written: {error.strerror}") from None
