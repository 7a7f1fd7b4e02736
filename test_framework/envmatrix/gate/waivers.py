"""Waivers: failures that are known, owned and due. One that is due, or fits nothing any more, fails the gate by its name."""

from __future__ import annotations

import fnmatch
import itertools
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from envmatrix.environments import read_toml
from envmatrix.environments.edit import rewrite
from envmatrix.exceptions import DeclarationError, UnknownKeyError, nearest
from envmatrix.gate.verdict import Answer, Code, Reason
from envmatrix.runs.cells import Cell, Run
from envmatrix.runs.outcomes import Cause, Outcome

_HEADER = re.compile(r"\s*\[\[\s*waiver\s*\]\]")


class Waiver(BaseModel):
    """One `[[waiver]]` table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    test: str = Field(min_length=1)
    """A node id; `*` stands for anything."""
    environment: str = Field(min_length=1)
    """An environment's name; `*` stands for anything."""
    cause: Cause
    """What it may fail for; for another cause it is another failure."""
    issue: str = Field(pattern=r"^https?://\S+$")
    """Where it is being mended."""
    owner: str = Field(min_length=1)
    """Who mends it."""
    expires: date
    """The last day on which it holds."""
    reason: str = ""
    """Anything else that a reader wants to know."""

    @property
    def name(self) -> str:
        """Return what it is called in messages."""
        return f"waiver of {self.test} in {self.environment} ({self.cause}, {self.owner}, {self.issue})"

    def covers(self, environment: str, test: str) -> bool:
        """Return whether it is about this test there, whatever became of it."""
        return fnmatch.fnmatchcase(environment, self.environment) and _matches(test, self.test)


def _matches(test: str, pattern: str) -> bool:
    # A parametrized id has brackets of its own, which are no pattern: only stars are.
    return fnmatch.fnmatchcase(test, pattern.replace("[", "[[]").replace("?", "[?]"))


@dataclass(frozen=True, slots=True)
class Waived:
    """What waivers make of a matrix."""

    tests: dict[str, dict[str, Waiver]]
    """Environment → failed test → the waiver that excuses it."""
    problems: tuple[Reason, ...]
    """What is wrong with those that do not hold."""
    stale: tuple[Waiver, ...]
    """Those that fit nothing any more: what they were about passes, or is gone."""
    broken: tuple[Reason, ...]
    """What is wrong with the others that do not hold: a person decides on them."""


def read_waivers(path: Path) -> tuple[Waiver, ...]:
    """Read a file of waivers; none where there is no file.

    Raises:
        DeclarationError: it is no file of waivers.
    """
    if not path.exists():
        return ()
    file = read_toml(path)
    entries = file.data.get("waiver", [])
    if unknown := sorted(file.data.keys() - {"waiver"}):
        raise UnknownKeyError(path, f"unknown key {unknown[0]!r}", file.line_of((unknown[0],)), "Write [[waiver]]")
    if not isinstance(entries, list):
        raise DeclarationError(path, "waiver is one table", file.line_of(("waiver",)), "Write [[waiver]]")
    lines = [number for number, line in enumerate(file.text.splitlines(), start=1) if _HEADER.match(line)]
    if len(lines) != len(entries):
        lines = [0] * len(entries)  # written inline: nobody knows where each stands
    return tuple(_waiver(path, *each) for each in zip(itertools.count(1), lines, entries, strict=False))


def _waiver(path: Path, number: int, line: int, entry: object) -> Waiver:
    try:
        return Waiver.model_validate(entry)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
        first = min(errors, key=lambda each: each["type"] != "extra_forbidden")  # a key mistyped is also one missing
        key = str(first["loc"][0]) if first["loc"] else ""
        if first["type"] == "extra_forbidden":
            what = f"waiver {number} has an unknown key {key!r}"
            raise UnknownKeyError(path, what, line, nearest(key, Waiver.model_fields)) from None
        how = "Write a link, as https://example.com/issues/12" if key == "issue" else ""
        raise DeclarationError(path, f"waiver {number}: {key}: {first['msg']}", line, how) from None


def is_held(cell: Cell) -> bool:
    """Return whether it is held against a change: it failed, or was not run since what it stands on had failed."""
    return cell.outcome is Outcome.FAILED or cell.is_blocked


def apply(waivers: Iterable[Waiver], runs: Iterable[Run], today: date, places: Collection[str] | None = None) -> Waived:
    """Find what waivers excuse in some runs, and the waivers that do not hold.

    `places` are the environments that there are, run or not; `None` where nobody knows. A waiver of one that was not run
    is left alone: that it was not is said already.
    """
    excused: dict[str, dict[str, Waiver]] = {}
    problems: list[Reason] = []
    stale: list[Waiver] = []
    broken: list[Reason] = []
    by_name = {run.header.environment: run for run in runs}
    for waiver in waivers:
        about = [name for name in by_name if fnmatch.fnmatchcase(name, waiver.environment)]
        if not about and (places is None or any(fnmatch.fnmatchcase(name, waiver.environment) for name in places)):
            continue
        cells = [
            (name, cell) for name in about for cell in by_name[name].cells.values() if waiver.covers(name, cell.test)
        ]
        fitting = [(name, cell) for name, cell in cells if is_held(cell) and cell.cause is waiver.cause]
        if not cells and waiver.expires >= today and any(by_name[name].header.narrowed for name in about):
            continue  # nobody asked for its test
        problem = _problem(waiver, [cell for _, cell in cells], about, has_fitting=bool(fitting), today=today)
        if problem:
            problems.append(Reason(Code.WAIVER, problem, Answer.INCOMPATIBLE, tuple(cell.test for _, cell in cells)))
            if about and not any(is_held(cell) for _, cell in cells):
                stale.append(waiver)
            else:
                broken.append(problems[-1])
        else:
            for name, cell in fitting:
                excused.setdefault(name, {})[cell.test] = waiver
    return Waived(excused, tuple(problems), tuple(stale), tuple(broken))


def _problem(waiver: Waiver, cells: list[Cell], about: list[str], *, has_fitting: bool, today: date) -> str:
    """Say why a waiver does not hold; empty where it does."""
    if waiver.expires < today:
        return f"expired on {waiver.expires}: {waiver.name}"
    if not cells:
        return f"matches no {'test' if about else 'environment'}: {waiver.name}"
    if has_fitting:
        return ""
    others = {str(cell.cause) for cell in cells if is_held(cell)}
    if others:
        return f"fails for another cause, {' and '.join(sorted(others))}: {waiver.name}"
    if any(cell.outcome.counts_as_passed for cell in cells):
        return f"passes now, drop it: {waiver.name}"
    return ""  # skipped or not run: that tells neither way


def update_waivers(path: Path, stale: Iterable[Waiver]) -> None:
    """Take waivers out of a file, each with the comment right above it; all else stays as it is written.

    Raises:
        DeclarationError: the file cannot be read or written, or is written so that we cannot tell where a waiver ends.
    """
    gone = list(stale)
    waivers = read_waivers(path)
    file = read_toml(path)
    lines = file.text.splitlines(keepends=True)
    starts = list(_starts(lines))
    if len(starts) != len(waivers):
        raise DeclarationError(
            path, "is written so that waivers cannot be told apart", 0, "Write [[waiver]] on its own line"
        )
    ends = [*starts[1:], len(lines)]
    kept = lines[: starts[0]] if starts else lines
    for waiver, start, end in zip(waivers, starts, ends, strict=True):
        kept += [] if waiver in gone else lines[start:end]
    rewrite(file, "".join(kept), read_waivers)


def _starts(lines: list[str]) -> Iterator[int]:
    """Yield where each waiver begins: at its header, or at the comment right above that."""
    for number, line in enumerate(lines):
        if _HEADER.match(line):
            start = number
            while start and lines[start - 1].lstrip().startswith("#"):
                start -= 1
            yield start
