"""The run file: JSON Lines, one event a line, each written in one `write`.

A header once the tests are known, an attempt per test, findings and attestations as they are seen, a footer at the end.
A killed run loses at most the test in flight; a file without its footer is incomplete, and every planned test without an
attempt is `not_run`.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from itertools import islice
from operator import is_
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from envmatrix.exceptions import RunFileError, SchemaError
from envmatrix.runs.cells import (
    SCHEMA,
    Attempt,
    Attestation,
    Bodies,
    Carried,
    Cause,
    Cell,
    Evidence,
    FindingRecord,
    Footer,
    Header,
    Outcome,
    Run,
    Suite,
    digest,
)
from envmatrix.runs.garbage import paused
from envmatrix.runs.lines import parse_line, quote, raw_lines

Event = Header | Footer | Attestation | Bodies | Carried | FindingRecord | Suite
"""What a run file holds beside attempts."""


def event_line(event: Event) -> str:
    """Return an event as its line."""
    return _line(event.model_dump(mode="json", by_alias=True))


def attempt_line(attempt: Attempt) -> str:
    """Return one try of a test as its line."""
    line: dict[str, Any] = {
        "type": "attempt",
        "test": attempt.test,
        "outcome": attempt.outcome,
        "duration": round(attempt.duration, 6),
    }
    if attempt.worker:
        line["worker"] = attempt.worker
    if attempt.services:
        line["services"] = attempt.services
    if attempt.capabilities:
        line["capabilities"] = attempt.capabilities
    if attempt.reason:
        line["reason"] = attempt.reason
    if attempt.cause is not None:
        line["cause"] = attempt.cause
    if attempt.evidence is not None:
        line["evidence"] = asdict(attempt.evidence)
    return _line(line)


def _line(event: Mapping[str, Any]) -> str:
    return json.dumps(event, separators=(",", ":")) + "\n"


class RunWriter:
    """Writes one run file.

    Raises:
        OSError: the file exists already, or the disk is full.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def event(self, event: Event) -> None:
        """Append an event."""
        self._write(event_line(event))

    def passed(
        self,
        test: str,
        duration: float,
        worker: str = "",
        services: tuple[str, ...] = (),
        capabilities: tuple[str, ...] = (),
    ) -> None:
        """Append a passed test: by far the most common line, so written without a detour (5 times faster)."""
        more = f',"worker":{quote(worker)}' if worker else ""
        if services:
            more += f',"services":{json.dumps(services)}'
        if capabilities:
            more += f',"capabilities":{json.dumps(capabilities)}'
        self._write(f'{{"type":"attempt","test":{quote(test)},"outcome":"passed","duration":{duration:.6f}{more}}}\n')

    def attempt(self, attempt: Attempt) -> None:
        """Append what became of one try."""
        self._write(attempt_line(attempt))

    def _write(self, line: str) -> None:
        data = line.encode()
        written = 0
        try:
            while written < len(data):  # one write, but for a nearly full disk, which takes a part and then says why
                written += os.write(self._descriptor, data[written:])
        except OSError:
            # The next line, once there is room again, must not be glued to a torn one.
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
            raise

    def close(self) -> None:
        """Close the file; the footer is the caller's to write."""
        os.close(self._descriptor)


@paused()
def read_run(path: Path, like: Run | None = None) -> Run:
    """Read a run file, whole or cut short; names are shared with a run that it may be like.

    Raises:
        RunFileError: it is no run file, or of a schema that this version does not read.
    """
    from envmatrix.runs.attempts import attempt_of

    header = read_header(path)
    like = like if like and like.header.planned == header.planned else None
    planned = like.header.planned if like else tuple(map(sys.intern, header.planned))
    header = header.model_copy(update={"planned": planned})
    events: dict[type[Event], list[Any]] = {kind: [] for kind in (Attestation, Bodies, FindingRecord, Footer, Suite)}
    cells: dict[str, Cell] = {}
    ahead = iter(planned)
    likely = next(ahead, "")
    for number, _, line in islice(raw_lines(path), 1, None):
        event = attempt_of(line, likely) or read_event(path, number, line)
        if isinstance(event, Attempt):
            cell = _first(event)
            known = cells.setdefault(event.test, cell)
            if known is not cell:
                cells[event.test] = _again((*known.attempts, event))
            if event.test is likely:
                likely = next(ahead, "")
        elif isinstance(event, Carried):
            cells[sys.intern(event.test)] = event.cell
        elif event is not None:
            events[type(event)].append(event)
    footer: Footer | None = events[Footer][-1] if events[Footer] else None
    if len(cells) < len(planned) or not all(map(is_, planned, cells)):
        cells = {test: cells.get(test) or _not_run(test, footer) for test in planned} | cells
    digests = events[Bodies][-1].digests if events[Bodies] else ()
    if digests and len(digests) != len(planned):
        raise RunFileError(path, f"is damaged: {len(digests)} bodies of {len(planned)} planned tests")
    same = like.bodies if like else {}
    bodies = same if tuple(same.values()) == digests else dict(zip(planned, digests, strict=False))
    return Run(header, cells, footer, tuple(events[FindingRecord]), tuple(events[Attestation]), bodies, path)


def read_header(path: Path) -> Header:
    """Read the first line of a run file.

    Raises:
        RunFileError: it is no run file, or of a schema that this version does not read.
    """
    for number, _, line in raw_lines(path):
        header = read_event(path, number, line)
        if isinstance(header, Header):
            return header
    raise RunFileError(path, _EMPTY)


def read_suite(path: Path, header: Header) -> tuple[str, ...]:
    """Read the whole suite that a shard is a part of.

    Raises:
        RunFileError: the file ends before it, or has lost tests of it.
    """
    for number, _, line in raw_lines(path):
        event = read_event(path, number, line)
        if isinstance(event, Suite):
            if digest(event.tests) != header.suite_digest:
                raise RunFileError(
                    path, "has lost tests of its suite: its header's digest is of other node ids", number
                )
            return event.tests
    raise RunFileError(path, "ends before it says what the whole suite is")


def read_event(path: Path, number: int, line: bytes) -> Event | Attempt | None:
    """Read one line, the first as a header; `None` for what a newer version adds without changing the others' meaning.

    Raises:
        RunFileError: it is damaged, or of a schema that this version does not read.
    """
    event = parse_line(path, number, line)
    kind = str(event.get("type"))
    if (kind == "header") is (number > 1):
        what = "holds a second header: two runs wrote to one file" if number > 1 else _NO_HEADER
        raise RunFileError(path, what, number)
    try:
        read = _READERS.get(kind)
        return _header(path, event) if number == 1 else read(event) if read else None
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise RunFileError(path, f"is damaged: {_what(error)}", number) from None


def read_durations(path: Path) -> dict[str, float]:
    """Return the seconds that each test of a run file took, all attempts together.

    Raises:
        RunFileError: it is no run file.
    """
    durations: dict[str, float] = {}
    for number, _, line in raw_lines(path):
        event = read_event(path, number, line)
        if isinstance(event, Attempt | Carried):
            durations[event.test] = durations.get(event.test, 0.0) + event.duration
    return durations


_EMPTY = "is empty: the run ended before its tests were collected"
_NO_HEADER = "is no run file: the first line is not a header"


def _what(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"it has no {error}" if isinstance(error, KeyError) else str(error)


def _header(path: Path, event: Mapping[str, Any]) -> Header:
    version = event.get("schema")
    if version != SCHEMA:
        what = f"is of schema {version!r}; this envmatrix reads schema {SCHEMA}"
        raise SchemaError(path, f"{what}. Read it with the version that wrote it")
    header = Header.model_validate(event)
    if header.planned_digest and header.planned_digest != digest(header.planned):
        raise RunFileError(path, "has lost planned tests: its header's digest is of other node ids", 1)
    return header


def _attempt(event: Mapping[str, Any]) -> Attempt:
    evidence = event.get("evidence")
    duration = float(event.get("duration", 0.0))
    if not (isinstance(event["test"], str) and 0.0 <= duration < math.inf):
        raise ValueError("an attempt needs a test's name and a duration")
    return Attempt(
        test=event["test"],
        outcome=Outcome(event["outcome"]),
        duration=duration,
        worker=str(event.get("worker", "")),
        reason=str(event.get("reason", "")),
        cause=None if event.get("cause") is None else Cause(event["cause"]),
        evidence=None if evidence is None else _evidence(evidence),
        services=tuple(map(str, event.get("services", ()))),
        capabilities=tuple(map(str, event.get("capabilities", ()))),
    )


def _evidence(held: Mapping[str, Any]) -> Evidence:
    return Evidence(
        rule=str(held["rule"]),
        summary=str(held["summary"]),
        phase=str(held.get("phase", "")),
        place=str(held.get("place", "")),
        exceptions=tuple(map(str, held.get("exceptions", ()))),
        pings_before=tuple(map(dict, held.get("pings_before", ()))),
        pings=tuple(map(dict, held.get("pings", ()))),
        exchanges=tuple(map(str, held.get("exchanges", ()))),
        logs={str(name): str(text) for name, text in dict(held.get("logs", {})).items()},
        detail=str(held.get("detail", "")),
    )


_READERS: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "attempt": _attempt,
    "attestation": Attestation.model_validate,
    "bodies": Bodies.model_validate,
    "carried": Carried.model_validate,
    "finding": FindingRecord.model_validate,
    "footer": Footer.model_validate,
    "suite": Suite.model_validate,
}
"""How each kind of event after the header is read."""


def _first(only: Attempt) -> Cell:
    return Cell(only.test, only.outcome, (only,), only.cause, only.evidence, only.reason)


def _again(attempts: tuple[Attempt, ...]) -> Cell:
    last = attempts[-1]
    failed = next((attempt for attempt in reversed(attempts) if attempt.outcome is Outcome.FAILED), None)
    if failed is None:
        return Cell(last.test, last.outcome, attempts, last.cause, last.evidence, last.reason)
    # Only a pass takes a failure back; skipped or expected to fail when tried again does not.
    outcome = Outcome.FLAKY if last.outcome is Outcome.PASSED else Outcome.FAILED
    return Cell(last.test, outcome, attempts, failed.cause, failed.evidence, failed.reason)


def _not_run(test: str, footer: Footer | None) -> Cell:
    why = (footer.reason or f"pytest ended with exit code {footer.exit_code}") if footer else "the run was killed"
    evidence = Evidence(rule="H303", summary=f"planned and never ended: {why}")
    return Cell(test, Outcome.NOT_RUN, (), Cause.HARNESS, evidence, why)
