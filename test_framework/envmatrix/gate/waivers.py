"""Waivers: expected failures with an issue, an owner and an expiry. An expired or unused one fails the gate."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from envmatrix.environments import read_toml
from envmatrix.environments.edit import rewrite
from envmatrix.environments.explain import explained
from envmatrix.environments.toml_file import TomlFile
from envmatrix.exceptions import DeclarationError, UnknownKeyError
from envmatrix.gate.verdict import Answer, Code, Reason
from envmatrix.runs.cells import Cell, Run
from envmatrix.runs.outcomes import Cause, Outcome

_HEADER = re.compile(r"\s*\[\[\s*waiver\s*\]\]")


def _link(text: str) -> str:
    if not re.fullmatch(r"https?://\S+", text):
        raise ValueError("is no link such as https://example.com/issues/12")
    return text


class Waiver(BaseModel):
    """One `[[waiver]]` table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    test: str = Field(min_length=1)
    """A node id; `*` matches anything."""
    environment: str = Field(min_length=1)
    """An environment's name; `*` matches anything."""
    cause: Cause
    """The cause of the expected failure; another cause is another failure."""
    issue: Annotated[str, AfterValidator(_link)]
    """Link to the issue."""
    owner: str = Field(min_length=1)
    """The person or team that fixes it."""
    expires: date
    """The last day on which the waiver holds."""
    reason: str = ""
    """A note for readers."""

    @property
    def name(self) -> str:
        """Return the waiver's name in messages."""
        return f"waiver of {self.test} in {self.environment} ({self.cause}, {self.owner}, {self.issue})"

    def covers(self, environment: str, test: str) -> bool:
        """Return whether the waiver is for this test in this environment, whatever its outcome."""
        return fnmatch.fnmatchcase(environment, self.environment) and _matches(test, self.test)


def _matches(test: str, pattern: str) -> bool:
    # A parametrized id has brackets of its own, which are no pattern: only stars are.
    return fnmatch.fnmatchcase(test, pattern.replace("[", "[[]").replace("?", "[?]"))


@dataclass(frozen=True, slots=True)
class AppliedWaivers:
    """What waivers excuse in a matrix, and what is wrong with them."""

    tests: dict[str, dict[str, Waiver]]
    """Environment → failed test → the waiver that excuses it."""
    problems: tuple[Reason, ...]
    """What is wrong with waivers that do not hold."""
    stale: tuple[Waiver, ...]
    """Waivers whose tests pass, or are gone."""
    broken: tuple[Reason, ...]
    """What is wrong with the other waivers that do not hold: a person decides on them."""


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
    return tuple(_waiver(file, str(index), entry) for index, entry in enumerate(entries))


def _waiver(file: TomlFile, index: str, entry: object) -> Waiver:
    try:
        return Waiver.model_validate(entry)
    except ValidationError as error:
        raise explained(file, error, Waiver, ("waiver", index), may_show=True) from None


def counts_as_failed(cell: Cell) -> bool:
    """Return whether a test failed, or a failed prerequisite kept it from running."""
    return cell.outcome is Outcome.FAILED or cell.is_blocked


def apply(
    waivers: Iterable[Waiver], runs: Iterable[Run], today: date, places: Collection[str] | None = None
) -> AppliedWaivers:
    """Return what waivers excuse in some runs, and the waivers that do not hold.

    `places` are all environments, run or not; `None` if unknown. A waiver for one that was not run is passed over: another
    reason says so.
    """
    excused: dict[str, dict[str, Waiver]] = {}
    problems: list[Reason] = []
    stale: list[Waiver] = []
    broken: list[Reason] = []
    by_name = {run.header.environment: run for run in runs}
    for waiver in waivers:
        about = [name for name, run in by_name.items() if fnmatch.fnmatchcase(run.header.judged_as, waiver.environment)]
        if not about and (places is None or any(fnmatch.fnmatchcase(name, waiver.environment) for name in places)):
            continue
        cells = [
            (name, cell)
            for name in about
            for cell in by_name[name].cells.values()
            if waiver.covers(by_name[name].header.judged_as, cell.test)
        ]
        fitting = [(name, cell) for name, cell in cells if counts_as_failed(cell) and cell.cause is waiver.cause]
        if not cells and waiver.expires >= today and any(by_name[name].header.narrowed for name in about):
            continue  # nobody asked for its test
        problem = _problem(waiver, [cell for _, cell in cells], about, has_fitting=bool(fitting), today=today)
        if problem:
            problems.append(Reason(Code.WAIVER, problem, Answer.INCOMPATIBLE, tuple(cell.test for _, cell in cells)))
            if about and not any(counts_as_failed(cell) for _, cell in cells):
                stale.append(waiver)
            else:
                broken.append(problems[-1])
        else:
            for name, cell in fitting:
                excused.setdefault(name, {})[cell.test] = waiver
    return AppliedWaivers(excused, tuple(problems), tuple(stale), tuple(broken))


def _problem(waiver: Waiver, cells: list[Cell], about: list[str], *, has_fitting: bool, today: date) -> str:
    """Return why a waiver does not hold; empty if it does."""
    if waiver.expires < today:
        return f"expired on {waiver.expires}: {waiver.name}"
    if not cells:
        return f"matches no {'test' if about else 'environment'}: {waiver.name}"
    if has_fitting:
        return ""
    others = {str(cell.cause) for cell in cells if counts_as_failed(cell)}
    if others:
        return f"fails for another cause, {' and '.join(sorted(others))}: {waiver.name}"
    if any(cell.outcome.counts_as_passed for cell in cells):
        return f"passes now, drop it: {waiver.name}"
    return ""  # skipped or not run: that tells neither way


def update_waivers(path: Path, stale: Iterable[Waiver]) -> None:
    """Remove waivers from a file, each with the comment right above it; all else stays as written.

    Raises:
        DeclarationError: the file cannot be read or written, or we cannot tell where a waiver ends.
    """
    removed = list(stale)
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
        kept += [] if waiver in removed else lines[start:end]
    rewrite(file, "".join(kept), read_waivers)


def _starts(lines: list[str]) -> Iterator[int]:
    """Yield the index of each waiver's first line: its header, or the comment right above that."""
    for number, line in enumerate(lines):
        if _HEADER.match(line):
            start = number
            while start and lines[start - 1].lstrip().startswith("#"):
                start -= 1
            yield start
