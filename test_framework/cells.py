"""What became of each test in one environment, and the run file that says so.

A run file is JSON Lines, one event a line, each written in one `write`: a header once the tests are known, an attempt
per test, findings and pings as they are seen, a footer at the end. A killed run loses at most the test in flight; a
file without its footer is incomplete, and every planned test without an attempt is `not_run`. This is the one room
that the run wing and the matrix wing share: the first only writes such files, the second only reads them.
"""

from __future__ import annotations

import enum
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from test_framework.exceptions import RunFileError

SCHEMA = 1
"""Raised with each change that an older reader would misread."""

_MAX_LINE_BYTES = 64 << 20
"""A header with 300,000 long node ids is about that; anything longer is no run file of ours."""


class Outcome(enum.StrEnum):
    """How a test ended in one environment, best first."""

    PASSED = "passed"
    """Reached its end."""
    XFAILED = "xfailed"
    """Failed, as its mark expects."""
    FLAKY = "flaky"
    """Failed, then passed when tried again."""
    SKIPPED = "skipped"
    """Not applicable here; the reason says why."""
    XPASSED = "xpassed"
    """Passed, although its mark expects a failure."""
    FAILED = "failed"
    """Did not reach its end, or its setup or teardown did not; the cause says why."""
    NOT_RUN = "not_run"
    """Planned, never ended."""


class Cause(enum.StrEnum):
    """Why a test did not pass."""

    CONTRACT = "contract"
    """The fixture is missing, or a field of it is missing or untrue."""
    INFRASTRUCTURE = "infrastructure"
    """A service that the test used is down, by evidence."""
    LOGIC = "logic"
    """The product or the test is wrong: the services are healthy."""
    HARNESS = "harness"
    """A worker crashed, a deadline passed, a signal came, or we have a bug."""
    UNDETERMINED = "undetermined"
    """The evidence conflicts."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What decided the cause. Texts are masked already."""

    rule: str
    """Code of the rule that decided: `I201`."""
    summary: str
    """One line for a person."""
    phase: str = ""
    """`setup`, `call`, `teardown` or `collect`."""
    place: str = ""
    """`file:line` of what broke."""
    exceptions: tuple[str, ...] = ()
    """The chain, outermost first: `AssertionError: …`."""
    pings: tuple[Mapping[str, Any], ...] = ()
    """What each service that the test used said right after the failure."""
    detail: str = ""
    """The failure as pytest shows it, cut to a bearable length."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of one test."""

    test: str
    """The node id."""
    outcome: Outcome
    duration: float = 0.0
    """Seconds of a monotonic clock, setup and teardown included."""
    worker: str = ""
    """xdist's name for the process, empty without xdist."""
    reason: str = ""
    """Why it was skipped, or expected to fail."""
    cause: Cause | None = None
    evidence: Evidence | None = None
    services: tuple[str, ...] = ()
    """Services that the test used, observed through its fixtures."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What became of one test in one environment, all attempts together."""

    test: str
    outcome: Outcome
    attempts: tuple[Attempt, ...] = ()
    cause: Cause | None = None
    evidence: Evidence | None = None
    reason: str = ""

    @property
    def duration(self) -> float:
        """Return the seconds spent on all attempts."""
        return sum(attempt.duration for attempt in self.attempts)


_quote = json.encoder.encode_basestring_ascii
"""A string as JSON, as json.dumps would write it."""


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Header(_Event):
    """The first line: what was about to be run, where, and of which commit."""

    type: Literal["header"] = "header"
    schema_version: int = Field(default=SCHEMA, alias="schema", serialization_alias="schema")
    run_id: str
    environment: str
    label: str
    """The column's name: `staging (twin)`."""
    started_at: str
    """ISO 8601, UTC."""
    commit: str
    """`unknown` outside a git checkout."""
    dirty: bool = False
    sources: dict[str, str]
    """Service → embedded, process, remote, stub or absent."""
    versions: dict[str, str]
    planned: tuple[str, ...]
    """The node ids that must end, each, in exactly one state."""


class Footer(_Event):
    """The last line: the run ended by itself or by a signal that it could answer."""

    type: Literal["footer"] = "footer"
    ended_at: str
    duration: float
    """Seconds."""
    exit_code: int
    """pytest's, or 128 + signal."""
    reason: str = ""
    """Why it ended early, in one line."""


class FindingRecord(_Event):
    """A breach that belongs to the run rather than to one test: a fixture that nobody provides, a service down."""

    type: Literal["finding"] = "finding"
    rule: str
    message: str
    place: str = ""
    hint: str = ""
    tests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """All cells of one environment at one commit."""

    header: Header
    cells: Mapping[str, Cell]
    """By node id, in the order planned; tests that ran unplanned come last."""
    footer: Footer | None
    findings: tuple[FindingRecord, ...] = ()
    file: Path | None = field(default=None, compare=False)

    @property
    def complete(self) -> bool:
        """Return whether the run ended in order: a footer, and every planned test with an end."""
        return self.footer is not None and all(cell.outcome is not Outcome.NOT_RUN for cell in self.cells.values())


class RunWriter:
    """Writes one run file.

    Raises:
        OSError: the file exists already, or the disk is full.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def event(self, event: Header | Footer | FindingRecord) -> None:
        """Append an event."""
        self._line(event.model_dump(mode="json", by_alias=True))

    def passed(self, test: str, duration: float, worker: str = "", services: tuple[str, ...] = ()) -> None:
        """Append a passed test: by far the most common line, so written without a detour (5 times faster)."""
        more = f',"worker":{_quote(worker)}' if worker else ""
        if services:
            more += f',"services":{json.dumps(services)}'
        self._write(f'{{"type":"attempt","test":{_quote(test)},"outcome":"passed","duration":{duration:.6f}{more}}}\n')

    def attempt(self, attempt: Attempt) -> None:
        """Append what became of one try."""
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
        if attempt.reason:
            line["reason"] = attempt.reason
        if attempt.cause is not None:
            line["cause"] = attempt.cause
        if attempt.evidence is not None:
            line["evidence"] = asdict(attempt.evidence)
        self._line(line)

    def _line(self, event: Mapping[str, Any]) -> None:
        self._write(json.dumps(event, separators=(",", ":")) + "\n")

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


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each line's number and event; a last line without its end is dropped, as a killed run leaves it.

    Raises:
        RunFileError: the file cannot be read, or a line in it is no event.
    """
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(iter(lambda: stream.readline(_MAX_LINE_BYTES + 1), b""), start=1):
                if len(line) > _MAX_LINE_BYTES:
                    raise RunFileError(path, "is no run file: a line is longer than 64 MiB", number)
                if not line.endswith(b"\n"):
                    return
                try:
                    event = json.loads(line)
                except (ValueError, RecursionError):
                    raise RunFileError(path, "is no run file: not JSON", number) from None
                if not isinstance(event, dict):
                    raise RunFileError(path, "is no run file: not a JSON object", number)
                yield number, event
    except OSError as error:
        raise RunFileError(path, f"cannot be read: {error.strerror}") from None


def read_run(path: Path) -> Run:
    """Read a run file, whole or cut short.

    Raises:
        RunFileError: it is no run file, or of a schema that this version does not read.
    """
    header: Header | None = None
    footer: Footer | None = None
    findings: list[FindingRecord] = []
    attempts: dict[str, list[Attempt]] = {}
    for number, event in read_lines(path):
        try:
            match event.get("type"):
                case "header" if header is None:
                    _check_schema(path, event)
                    header = Header.model_validate(event)
                case _ if header is None:
                    raise RunFileError(path, "is no run file: the first line is not a header", number)
                case "header":
                    raise RunFileError(path, "holds a second header: two runs wrote to one file", number)
                case "attempt":
                    attempt = _attempt(event)
                    attempts.setdefault(attempt.test, []).append(attempt)
                case "finding":
                    findings.append(FindingRecord.model_validate(event))
                case "footer":
                    footer = Footer.model_validate(event)
                case _:
                    pass  # an event that a newer version adds without changing the meaning of the others
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise RunFileError(path, f"is damaged: {_what(error)}", number) from None
    if header is None:
        raise RunFileError(path, "is empty: the run ended before its tests were collected")
    planned = dict.fromkeys([*header.planned, *attempts])
    cells = {test: _cell(test, attempts.get(test, []), footer) for test in planned}
    return Run(header, cells, footer, tuple(findings), path)


def _what(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"it has no {error}" if isinstance(error, KeyError) else str(error)


def _check_schema(path: Path, event: Mapping[str, Any]) -> None:
    version = event.get("schema")
    if version != SCHEMA:
        what = f"is of schema {version!r}; this envmatrix reads schema {SCHEMA}"
        raise RunFileError(path, f"{what}. Read it with the version that wrote it")


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
        cause=Cause(event["cause"]) if "cause" in event else None,
        evidence=None if evidence is None else _evidence(evidence),
        services=tuple(map(str, event.get("services", ()))),
    )


def _evidence(held: Mapping[str, Any]) -> Evidence:
    return Evidence(
        rule=str(held["rule"]),
        summary=str(held["summary"]),
        phase=str(held.get("phase", "")),
        place=str(held.get("place", "")),
        exceptions=tuple(map(str, held.get("exceptions", ()))),
        pings=tuple(map(dict, held.get("pings", ()))),
        detail=str(held.get("detail", "")),
    )


def _cell(test: str, attempts: list[Attempt], footer: Footer | None) -> Cell:
    if not attempts:
        why = (footer.reason or f"pytest ended with exit code {footer.exit_code}") if footer else "the run was killed"
        evidence = Evidence(rule="H303", summary=f"planned and never ended: {why}")
        return Cell(test, Outcome.NOT_RUN, (), Cause.HARNESS, evidence, why)
    last = attempts[-1]
    failed = next((attempt for attempt in reversed(attempts) if attempt.outcome is Outcome.FAILED), None)
    if failed is None:
        return Cell(test, last.outcome, tuple(attempts), last.cause, last.evidence, last.reason)
    # Only a pass takes a failure back; skipped or expected to fail when tried again does not.
    outcome = Outcome.FLAKY if last.outcome is Outcome.PASSED else Outcome.FAILED
    return Cell(test, outcome, tuple(attempts), failed.cause, failed.evidence, failed.reason)
