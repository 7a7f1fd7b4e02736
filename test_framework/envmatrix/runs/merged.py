"""Write one environment's shards as one run, the same as the uncut run: line by line, in the order of the suite.

Memory holds, beside the names of the suite, where each test's lines are; the lines themselves are copied as they are.
"""

from __future__ import annotations

import hashlib
import os
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from msgspec.structs import replace

from envmatrix.exceptions import DamagedLineError, RunFileError
from envmatrix.runs.archives import GatheredFile
from envmatrix.runs.events import Attempt, Bodies, Evidence, Footer, Header, Sample, Suite
from envmatrix.runs.file import damage_of, digest, event_line, read_event, test_of
from envmatrix.runs.lines import is_suite, raw_lines
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.rules import RuleCode
from envmatrix.runs.shards import Shard
from envmatrix.safety.output_files import replacing

_NOWHERE = -1


class Order:
    """The tests of a whole suite, in their order; the environments of one matrix mostly share one."""

    def __init__(self, tests: Iterable[str]) -> None:
        self.position = {test: position for position, test in enumerate(dict.fromkeys(tests))}
        self.tests = tuple(self.position)
        self.digest = digest(self.tests)


@dataclass(frozen=True, slots=True)
class Part:
    """One run file: a shard, or a whole run."""

    file: GatheredFile
    header: Header
    """The header, without the names of its tests."""
    order: Order
    planned: array[int]
    """Positions of its planned tests in that order."""
    shard: Shard | None

    def planned_in(self, order: Order) -> Iterable[int]:
        """Return the positions of its tests in another order of the same suite."""
        return self.planned if order is self.order else (order.position[self.order.tests[n]] for n in self.planned)

    @property
    def number(self) -> int:
        """Return which part it is, from 1."""
        return self.shard.number if self.shard else 1

    @property
    def name(self) -> str:
        """Return the part's name in a sentence: `shard 2/4`."""
        return f"shard {self.shard}" if self.shard else "the whole run"


@dataclass(slots=True)
class _Rest:
    """A run file's events besides attempts."""

    events: list[bytes] = field(default_factory=list)
    bodies: tuple[str, ...] = ()
    """The digest of each planned test's body."""
    footer: Footer | None = None


def write_merged(parts: Sequence[Part], target: Path, lost: Mapping[int, str]) -> list[str]:
    """Write the run that parts of one environment make; return what is missing for a whole, a line each.

    `lost` says of parts that left only a damaged file what is wrong. A test whose part is lost or was killed is `not_run`.

    Raises:
        RunFileError: it cannot be written.
    """
    parts = sorted(parts, key=lambda part: part.number)
    lines = _Lines(parts[0].order)
    rest: dict[int, _Rest] = {}
    problems: dict[int, str] = {}
    for part in parts:
        try:
            rest[part.number] = lines.read(part)
        except RunFileError as error:
            lines.forget(part.number)
            problems[part.number] = f"{part.name}: {RunFileError(Path(part.file.name), error.what, error.line)}"
        else:
            if part.shard and rest[part.number].footer is None:
                problems[part.number] = f"{part.name} has no footer: its process was killed, or ended without one"
    total = parts[0].shard.total if parts[0].shard else 1
    for number in sorted({*range(1, total + 1)} - {part.number for part in parts}):
        why = f": {lost[number]}" if number in lost else " left no run file"
        problems[number] = f"shard {Shard(number, total)}{why}"
    owed = _Owed(parts, lines.order, problems) if parts[0].shard else None
    footer = None if problems else _footer([(part, rest[part.number].footer) for part in parts])
    try:
        with replacing(target) as fresh, fresh.open("wb", buffering=1 << 20) as stream, ExitStack() as stack:
            for line in _head(parts, lines.order, rest):
                stream.write(line)
            lines.write(stream, {part.number: stack.enter_context(part.file.path.open("rb")) for part in parts}, owed)
            stream.write(event_line(footer) if footer else b"")
    except OSError as error:
        raise RunFileError(target, f"cannot be written: {error.strerror}") from None
    return [problems[number] for number in sorted(problems)]


class _Lines:
    """Where each test's lines are in the files."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self._part = array("i", [_NOWHERE]) * len(order.tests)
        self._start = array("q", [0]) * len(order.tests)
        self._size = array("i", [0]) * len(order.tests)
        self._again: dict[int, list[tuple[int, int, int]]] = {}
        """Further lines of a test that was tried again."""
        self._unplanned: dict[str, int] = {}

    def read(self, part: Part) -> _Rest:
        """Note where a part's attempts are; return the rest of it.

        Raises:
            RunFileError: it is damaged.
        """
        rest = _Rest()
        position_of = self.order.position.get
        parts, starts, sizes, this = self._part, self._start, self._size, part.number
        for number, start, line in raw_lines(part.file.path):
            test = test_of(line)
            if test is None and number > 1:
                test = self._other(part, number, line, rest)
            if test is None:
                continue
            position = position_of(test)
            if position is None:
                position = self._unplanned.get(test)
                if position is None:
                    position = self._add(test)
            size = len(line)
            if parts[position] == _NOWHERE:
                parts[position] = this
                starts[position] = start
                sizes[position] = size
            else:
                self._again.setdefault(position, []).append((this, start, size))
        return rest

    def _add(self, test: str) -> int:
        position = self._unplanned[test] = len(self._part)
        self._part.append(_NOWHERE)
        self._start.append(0)
        self._size.append(0)
        return position

    def _other(self, part: Part, number: int, line: bytes, rest: _Rest) -> str | None:
        """Keep an event that is no attempt; return the test of an attempt that another program wrote."""
        if is_suite(line):
            return None  # it was read, once for all shards
        try:
            event = read_event(part.file.path, number, line)
        except DamagedLineError as error:
            event, line = None, event_line(damage_of(error, line))
        if isinstance(event, Attempt):
            return event.test
        if isinstance(event, Footer):
            rest.footer = event
        elif isinstance(event, Suite | Sample):
            return None  # samples of shards have no common time: each shard's own file keeps them
        elif isinstance(event, Bodies):
            if len(event.digests) != len(part.planned):
                what = f"is damaged: {len(event.digests)} bodies of {len(part.planned)} planned tests"
                raise RunFileError(part.file.path, what, number)
            rest.bodies = event.digests
        else:
            rest.events.append(line)
        return None

    def forget(self, part: int) -> None:
        """Drop a part's lines: it turned out to be damaged."""
        for position in range(len(self._part)):
            left = [line for line in self._of(position) if line[0] != part]
            self._part[position], self._start[position], self._size[position] = left[0] if left else (_NOWHERE, 0, 0)
            self._again.pop(position, None)
            if left[1:]:
                self._again[position] = left[1:]

    def _of(self, position: int) -> Iterator[tuple[int, int, int]]:
        if self._part[position] != _NOWHERE:
            yield self._part[position], self._start[position], self._size[position]
            yield from self._again.get(position, ())

    def write(self, stream: BinaryIO, files: Mapping[int, BinaryIO], owed: _Owed | None) -> None:
        """Copy the attempts, in the order of the suite; those of unplanned tests come last, by name."""
        descriptors = {number: file.fileno() for number, file in files.items()}
        planned = range(len(self.order.tests))
        for position, number, start, size in zip(planned, self._part, self._start, self._size, strict=False):
            if number != _NOWHERE:
                stream.write(os.pread(descriptors[number], size, start))
                if position in self._again:
                    self._copy(stream, descriptors, self._again[position])
            elif owed is not None:
                stream.write(owed.line(position))
        for test in sorted(self._unplanned):
            self._copy(stream, descriptors, self._of(self._unplanned[test]))

    @staticmethod
    def _copy(stream: BinaryIO, descriptors: Mapping[int, int], lines: Iterable[tuple[int, int, int]]) -> None:
        stream.writelines(os.pread(descriptors[number], size, start) for number, start, size in lines)


class _Owed:
    """Lines for the tests that a lost or killed shard has not run."""

    def __init__(self, parts: Sequence[Part], order: Order, problems: Mapping[int, str]) -> None:
        self._order = order
        self._problems = problems
        self._parts = parts
        present = {part.number for part in parts}
        self._lost = " or ".join(problems[number] for number in sorted(problems) if number not in present)
        """The reason of a test that no remaining part planned: one of these, and nobody knows which."""

    @cached_property
    def _owner(self) -> array[int]:
        owner = array("i", [0]) * len(self._order.tests)
        for part in self._parts:
            for position in part.planned_in(self._order):
                owner[position] = part.number
        return owner

    def line(self, position: int) -> bytes:
        """Return the line that says why a test was not run."""
        owner = self._owner[position]
        reason = self._problems.get(owner, f"shard {owner} ended early") if owner else self._lost
        evidence = Evidence(RuleCode.NEVER_ENDED, f"planned and never ended: {reason}")
        attempt = Attempt(
            self._order.tests[position], Outcome.NOT_RUN, reason=reason, cause=Cause.HARNESS, evidence=evidence
        )
        return event_line(attempt)


def _head(parts: Sequence[Part], order: Order, rest: Mapping[int, _Rest]) -> Iterator[bytes]:
    """Yield what stands before the attempts: the header, the bodies, and each event once."""
    yield event_line(_header(parts, order))
    if any(each.bodies for each in rest.values()):
        bodies = [""] * len(order.tests)
        for part in parts:
            digests = rest[part.number].bodies if part.number in rest else ()
            for position, body in zip(part.planned_in(order), digests, strict=False):
                bodies[position] = body
        yield event_line(Bodies(digests=tuple(bodies)))
    yield from dict.fromkeys(line for number in sorted(rest) for line in rest[number].events)


def _header(parts: Sequence[Part], order: Order) -> Header:
    headers = [part.header for part in parts]
    runs = sorted(header.run_id for header in headers)
    keys = sorted({key for header in headers for key in header.versions})
    return replace(
        headers[0],
        run_id=runs[0] if len(runs) == 1 else hashlib.sha256("\n".join(runs).encode()).hexdigest()[:32],
        started_at=min(header.started_at for header in headers),
        commit="+".join(sorted({header.commit for header in headers})),
        dirty=any(header.dirty for header in headers),
        versions={
            key: ", ".join(sorted({header.versions[key] for header in headers if key in header.versions}))
            for key in keys
        },
        planned=order.tests,
        planned_digest=order.digest,
        files=dict(sorted(_files(parts))),
        narrowed=tuple(sorted({word for header in headers for word in header.narrowed})),
        shard="",
        suite_size=0,
        suite_digest="",
        cut_digest="",
    )


def _footer(ends: Sequence[tuple[Part, Footer | None]]) -> Footer | None:
    """Return how the whole ended: as badly as its worst part; it took as long as its longest."""
    footers = [(part, footer) for part, footer in ends if footer is not None]
    if len(footers) < len(ends):
        return None
    codes = {footer.exit_code for _, footer in footers}
    versions = Counter(file for file, _ in _files(part for part, _ in ends))
    differing = [file for file, number in versions.items() if number > 1]
    early_ends = [footer.exit_code for _, footer in footers if not footer.ended_by_itself]
    reasons = dict.fromkeys(
        f"{part.name}: {footer.reason}" if part.shard else footer.reason for part, footer in footers if footer.reason
    )
    return Footer(
        ended_at=max(footer.ended_at for _, footer in footers),
        duration=max(footer.duration for _, footer in footers),
        exit_code=max(early_ends, default=1 if 1 in codes else min(codes)),
        reason="; ".join(reasons),
        raised=any(footer.raised for _, footer in footers),
        deselected=max(footer.deselected for _, footer in footers),
        commits=tuple(sorted({commit for _, footer in footers for commit in footer.commits})),
        changed=tuple(sorted({*differing, *(file for _, footer in footers for file in footer.changed)})),
    )


def _files(parts: Iterable[Part]) -> set[tuple[str, str]]:
    """Return the suite's files with their digests; a file of which shards had different versions is there several times."""
    return {pair for part in parts for pair in part.header.files.items()}
