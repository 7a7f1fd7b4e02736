"""The run file: JSON Lines, one event a line, each written in one `write`.

A header once the tests are known, an attempt per test, findings and attestations as they are seen, a footer at the end.
A killed run loses at most the test in flight; a file without its footer is incomplete, and every planned test without an
attempt is `not_run`.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from operator import is_
from pathlib import Path
from typing import Any, NoReturn

import msgspec
from msgspec.structs import force_setattr, replace

from envmatrix.exceptions import DamagedLineError, RunFileError, RunNameError, SchemaError
from envmatrix.runs.cells import Cell, Run
from envmatrix.runs.events import (
    MOST_SECONDS,
    SCHEMA,
    Attempt,
    Attestation,
    Bodies,
    Event,
    Evidence,
    FindingRecord,
    Fingerprint,
    Footer,
    Header,
    Reused,
    Sample,
    Starts,
    Suite,
)
from envmatrix.runs.garbage import paused
from envmatrix.runs.lines import raw_lines
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.rules import RuleCode
from envmatrix.safety.names import is_name
from envmatrix.safety.unpatched import HeldFile

_EMPTY = "is empty: the run ended before its tests were collected"
_NO_HEADER = "is no run file: the first line is not a header"
_UNREADABLE = (msgspec.MsgspecError, RecursionError, TypeError, ValueError)

_UNBOUNDED = (Header, Suite, Bodies, Fingerprint)
"""The events that grow with the suite or the product, and hold nothing that a running test chooses."""

_MAX_EVENT_BYTES = 1 << 20
"""Bytes of any other event; what is longer is cut."""

_MAX_CHARACTERS = 1 << 14
"""Characters of a text, where an event must be cut."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Event).decode


class _Kind(msgspec.Struct):
    """What the first line must say before it is read as a header."""

    type: str = ""
    schema: Any = None


class _Named(msgspec.Struct, tag_field="type", tag="attempt", gc=False):
    """An attempt, of which only the name is wanted."""

    test: str


_decode_kind = msgspec.json.Decoder(_Kind).decode
_decode_name = msgspec.json.Decoder(_Named).decode


def event_line(event: Event) -> bytes:
    """Return an event as its line, one that is read again whatever a test has put into the event."""
    is_unbounded = isinstance(event, _UNBOUNDED)
    try:
        line = _encode(event) + b"\n"
        if is_unbounded:
            return line
        if len(line) <= _MAX_EVENT_BYTES:
            _decode(line)
            return line
    except _UNREADABLE:
        pass  # half a surrogate pair in a test's name, or what no reader takes
    value = msgspec.to_builtins(event)
    return json.dumps(value if is_unbounded else _mended(value), separators=(",", ":")).encode() + b"\n"


def _mended(value: Any) -> Any:
    """Return a value with its texts cut, and with zero for what is no number of seconds."""
    if isinstance(value, str):
        return value[:_MAX_CHARACTERS]
    if isinstance(value, dict):
        return {_mended(key): _mended(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_mended(each) for each in value[:_MAX_CHARACTERS]]
    if isinstance(value, int | float) and not 0 <= value <= MOST_SECONDS:
        return 0
    return value


class RunWriter:
    """Writes one run file.

    Raises:
        OSError: the file exists already, or the disk is full.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = HeldFile(path, os.O_EXCL, 0o644)

    def write(self, event: Event) -> None:
        """Append an event."""
        self._file.write(event_line(event))

    def close(self) -> None:
        """Close the file; the footer is the caller's to write."""
        self._file.close()


@paused()
def read_run(path: Path, like: Run | None = None) -> Run:
    """Read a run file, whole or cut short; names are shared with a run that it may be like.

    A damaged line costs the test that it is about, and is a finding.

    Raises:
        RunFileError: it is no run file, or of a schema that this version does not read.
    """
    header = read_header(path)
    like = like if like and like.header.planned == header.planned else None
    planned = like.header.planned if like else tuple(map(sys.intern, header.planned))
    header = replace(header, planned=planned)
    kept = (Attestation, Bodies, FindingRecord, Fingerprint, Footer, Starts, Suite)
    events: dict[type[Event], list[Any]] = {kind: [] for kind in kept}
    cells: dict[str, Cell] = {}
    ahead = iter(planned)
    likely = next(ahead, "")
    shared: dict[tuple[str, ...], tuple[str, ...]] = {}
    damage: dict[str, str] = {}
    sampled = False
    for number, _, line in islice(raw_lines(path), 1, None):
        try:
            event = read_event(path, number, line)
        except DamagedLineError as error:
            finding = damage_of(error, line)
            damage[finding.tests[0] if finding.tests else ""] = finding.message
            events[FindingRecord].append(finding)
            continue
        if type(event) is Attempt:
            # Most environments have the same tests, and most tests the same services: a million cells share them.
            test = likely if event.test == likely else sys.intern(event.test)
            force_setattr(event, "test", test)
            force_setattr(event, "worker", sys.intern(event.worker))
            force_setattr(event, "services", shared.setdefault(event.services, event.services))
            force_setattr(event, "capabilities", shared.setdefault(event.capabilities, event.capabilities))
            known = cells.get(test)
            cells[test] = Cell.of((*known.attempts, event) if known else (event,))
            if test is likely:
                likely = next(ahead, "")
        elif isinstance(event, Reused):
            cells[sys.intern(event.test)] = _reused(event)
        elif isinstance(event, Sample):
            sampled = True  # they are many, and few ask for them
        elif event is not None:
            events[type(event)].append(event)
    footer: Footer | None = events[Footer][-1] if events[Footer] else None
    if len(cells) < len(planned) or not all(map(is_, planned, cells)):
        lost = damage.get("", "")
        cells = {test: cells.get(test) or _not_run(test, footer, damage.get(test, lost)) for test in planned} | cells
    digests = events[Bodies][-1].digests if events[Bodies] else ()
    if digests and len(digests) != len(planned):
        raise RunFileError(path, f"is damaged: {len(digests)} bodies of {len(planned)} planned tests")
    same = like.bodies if like else {}
    bodies = same if tuple(same.values()) == digests else dict(zip(planned, digests, strict=False))
    fingerprint = _whole(events[Fingerprint]) if events[Fingerprint] else None
    seen = tuple(events[FindingRecord]), tuple(events[Attestation])
    starts = {name: moments for each in events[Starts] for name, moments in each.services.items()}
    return Run(header, cells, footer, *seen, bodies, fingerprint, starts, sampled, path)


def _whole(fingerprints: Iterable[Fingerprint]) -> Fingerprint:
    """Put together the fingerprints of shards, which may have used different services."""
    services = {name: parts for each in fingerprints for name, parts in each.services.items()}
    return Fingerprint(services, {name: why for each in fingerprints for name, why in each.unread.items()})


def read_header(path: Path) -> Header:
    """Read the first line of a run file.

    Raises:
        RunFileError: it is no run file, or of a schema that this version does not read.
    """
    for _, _, line in raw_lines(path):
        return _header(path, line)
    raise RunFileError(path, _EMPTY)


def read_suite(path: Path, header: Header) -> tuple[str, ...]:
    """Read the whole suite that a shard is a part of.

    Raises:
        RunFileError: the file ends before it, or has lost tests of it.
    """
    for number, _, line in islice(raw_lines(path), 1, None):
        event = read_event(path, number, line)
        if isinstance(event, Suite):
            if digest(event.tests) != header.suite_digest:
                what = "has lost tests of its suite: its header's digest is of other node ids"
                raise RunFileError(path, what, number)
            return event.tests
    raise RunFileError(path, "ends before it says what the whole suite is")


def read_footer(path: Path) -> Footer | None:
    """Return the last line of a run file, if it is a footer."""
    try:
        ((_, _, last),) = deque(raw_lines(path), maxlen=1)
        event = _decode(last)
    except (RunFileError, *_UNREADABLE):
        return None
    return event if isinstance(event, Footer) else None


def read_durations(path: Path) -> dict[str, float]:
    """Return the seconds that each test of a run file took, all attempts together.

    Raises:
        RunFileError: it is no run file.
    """
    durations: dict[str, float] = {}
    read_header(path)
    for number, _, line in islice(raw_lines(path), 1, None):
        event = read_event(path, number, line)
        if isinstance(event, Attempt | Reused):
            durations[event.test] = durations.get(event.test, 0.0) + event.duration
    return durations


def read_samples(path: Path) -> list[Sample]:
    """Return the samples of a run file; a damaged line is `read_run`'s to tell.

    Raises:
        RunFileError: it is no run file.
    """
    samples = []
    read_header(path)
    for number, _, line in islice(raw_lines(path), 1, None):
        with suppress(DamagedLineError):
            if isinstance(event := read_event(path, number, line), Sample):
                samples.append(event)
    return samples


def read_event(path: Path, number: int, line: bytes) -> Event | None:
    """Read one line after the header; `None` for what a newer version adds without changing the others' meaning.

    Raises:
        RunFileError: it is damaged, or a second header.
    """
    try:
        event: Event | None = _decode(line)
    except _UNREADABLE:
        event = _read_slowly(path, number, line)
    if type(event) is Header:
        raise RunFileError(path, "holds a second header: two runs wrote to one file", number)
    return event


def damage_of(error: DamagedLineError, line: bytes) -> FindingRecord:
    """Return the finding on a damaged line: it names the test that the line was about, where that can be read."""
    test = test_of(line)
    message = f"line {error.line} of the run file {error.what}"
    return FindingRecord(
        RuleCode.NEVER_ENDED, message, f"{error.file.name}:{error.line}", tests=(test,) if test else ()
    )


def test_of(line: bytes) -> str | None:
    """Return the test of an attempt's line, reading nothing else of it; `None` for any other line."""
    try:
        return _decode_name(line).test
    except _UNREADABLE:
        return None


def digest(planned: Iterable[str]) -> str:
    """Return the SHA-256 of node ids in their order, as hexadecimal digits."""
    return hashlib.sha256("\n".join(planned).encode(errors="surrogatepass")).hexdigest()


def _header(path: Path, line: bytes) -> Header:
    try:
        first = _decode_kind(line)
    except msgspec.ValidationError:
        raise RunFileError(path, _NO_HEADER, 1) from None
    except _UNREADABLE:
        first = msgspec.convert(_json(path, 1, line), _Kind)
    if first.type != "header":
        raise RunFileError(path, _NO_HEADER, 1)
    if first.schema != SCHEMA:
        what = f"is of schema {first.schema!r}; this envmatrix reads schema {SCHEMA}"
        raise SchemaError(path, f"{what}. Read it with the version that wrote it")
    try:
        header: Event | None = _decode(line)
    except _UNREADABLE:
        header = _read_slowly(path, 1, line)
    if not isinstance(header, Header):
        raise RunFileError(path, _NO_HEADER, 1)
    if wrong := next((name for name in (header.environment, header.judged_as) if not is_name(name)), None):
        what = f"{wrong[:200]!r} is no name of an environment"
        raise RunNameError(path, what, 1)
    if header.planned_digest and header.planned_digest != digest(header.planned):
        raise RunFileError(path, "has lost planned tests: its header's digest is of other node ids", 1)
    return header


def _read_slowly(path: Path, number: int, line: bytes) -> Event | None:
    """Read half surrogate pairs, which msgspec's JSON refuses, and new kinds of events; or say what is wrong.

    Raises:
        RunFileError: it is damaged.
    """
    data = _json(path, number, line)
    if isinstance(data, dict) and isinstance(kind := data.get("type"), str) and kind not in _KINDS:
        return None
    try:
        event: Event = msgspec.convert(data, Event)
    except (msgspec.MsgspecError, RecursionError, OverflowError) as error:
        raise DamagedLineError(path, f"is damaged: {error}", number) from None
    return event


_KINDS = frozenset(kind.__struct_config__.tag for kind in Event.__args__)


def _json(path: Path, number: int, line: bytes) -> Any:
    try:
        return json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        what = "is no run file: not JSON" if number == 1 else "is damaged: not JSON"
        raise DamagedLineError(path, what, number) from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _reused(event: Reused) -> Cell:
    attempt = Attempt(event.test, event.outcome, event.duration, reason=event.reason, cause=event.cause)
    evidence = Evidence(event.rule, event.summary) if event.rule else None
    return Cell(event.test, event.outcome, (attempt,), event.cause, evidence, event.reason, event.commit)


def _not_run(test: str, footer: Footer | None, damage: str) -> Cell:
    end = (
        (footer.reason or f"pytest ended with exit code {footer.exit_code}") if footer else "the run file has no footer"
    )
    why = damage or end
    evidence = Evidence(RuleCode.NEVER_ENDED, f"planned and never ended: {why}")
    return Cell(test, Outcome.NOT_RUN, (), Cause.HARNESS, evidence, why)
