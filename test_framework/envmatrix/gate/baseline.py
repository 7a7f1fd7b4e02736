"""The baseline: what was so before, as a TOML file that a review can read. Only what got worse is held against a change."""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from envmatrix.exceptions import BaselineError
from envmatrix.gate.lines import quoted, rewritten, told
from envmatrix.matrix.table import Matrix
from envmatrix.runs.cells import Cell
from envmatrix.runs.outcomes import Cause, Outcome

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Known:
    """How a test ended when the baseline was made."""

    outcome: Outcome
    cause: Cause | None = None

    @classmethod
    def of(cls, cell: Cell) -> Known:
        """Keep of a cell what the gate compares."""
        return cls(cell.outcome, cell.cause if cell.outcome.counts_as_failed else None)

    @staticmethod
    @cache  # there are a dozen of them, and as many lines as cells
    def read(text: str) -> Known:
        """Read what `str` writes.

        Raises:
            ValueError: it is something else.
        """
        outcome, _, cause = text.partition(" ")
        return Known(Outcome(outcome), Cause(cause) if cause else None)

    def __str__(self) -> str:
        return f"{self.outcome} {self.cause}" if self.cause else str(self.outcome)


@dataclass(frozen=True, slots=True)
class Baseline:
    """A matrix, reduced to what the gate compares."""

    commit: str
    made_at: str
    """ISO 8601, UTC."""
    environments: Mapping[str, Mapping[str, Known]]
    """Environment → node id → how it ended."""

    @classmethod
    def of(cls, matrix: Matrix, made_at: str) -> Baseline:
        """Make a baseline of a matrix, of the environments that have a run.

        What was not run says nothing about then, unless what it stands on had failed: it still does, or got better.
        """
        return cls(
            commit=", ".join(matrix.commits),
            made_at=made_at,
            environments={
                run.header.environment: {
                    test: Known.of(cell)
                    for test, cell in run.cells.items()
                    if (cell.outcome is not Outcome.NOT_RUN or cell.is_blocked) and _is_text(test)
                }
                for run in matrix.runs
            },
        )

    @property
    def digest(self) -> str:
        """Return what shows that nobody changed it by hand: SHA-256 of all it says, in hexadecimal digits."""
        cells = {
            name: {test: str(known) for test, known in sorted(tests.items())}
            for name, tests in sorted(self.environments.items())
        }
        text = json.dumps([SCHEMA, self.commit, self.made_at, cells], ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def age(self, now: datetime) -> float:
        """Return how many days old it is."""
        return (now - datetime.fromisoformat(self.made_at)).total_seconds() / 86_400


def _is_text(name: str) -> bool:
    """Return whether a name can stand in a file: half a surrogate pair cannot, and is new to the gate each time."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_baseline(path: Path) -> Baseline:
    """Read a baseline.

    Raises:
        BaselineError: it is missing, cannot be read, or is not what `envmatrix baseline update` wrote.
    """
    text = _text(path)
    return _quick(text) or _whole(path, text)


def environments_of(path: Path) -> tuple[str, ...]:
    """Return the environments that a file seems to hold, whatever is wrong with it; none where there is no file."""
    try:
        return tuple(told(_text(path))[1])
    except (BaselineError, ValueError):
        return ()


def _quick(text: str) -> Baseline | None:
    """Return what the lines say; `None` where that is not what was written."""
    try:
        top, tables = told(text)
        cells = {name: {test: Known.read(known) for test, known in table.items()} for name, table in tables.items()}
        baseline = Baseline(top["commit"], top["made_at"], cells)
        datetime.fromisoformat(baseline.made_at)
        is_ours = top["schema"] == str(SCHEMA) and top["digest"] == baseline.digest
    except (KeyError, ValueError):
        return None
    return baseline if is_ours else None


def _whole(path: Path, text: str) -> Baseline:
    data = _parsed(path, text)
    try:
        if data["schema"] != SCHEMA:
            raise BaselineError(path, f"is of schema {data['schema']!r}; this envmatrix reads schema {SCHEMA}")
        baseline = Baseline(
            commit=str(data["commit"]),
            made_at=str(data["made_at"]),
            environments={
                name: {test: Known.read(text) for test, text in tests.items()}
                for name, tests in data.get("environments", {}).items()
            },
        )
        datetime.fromisoformat(baseline.made_at)
        written = str(data["digest"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BaselineError(path, f"is no baseline: {type(error).__name__}: {error}") from None
    if written != baseline.digest:
        raise BaselineError(path, "was edited by hand: its digest is of something else")
    return baseline


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Write a baseline; comments and order of what an older one already says are kept.

    Raises:
        BaselineError: what is there cannot be read, or is written so that we cannot change it; or the file cannot be written.
    """
    top = {"commit": baseline.commit, "made_at": baseline.made_at, "digest": baseline.digest}
    cells = {
        name: {test: f'"{known}"' for test, known in tests.items()} for name, tests in baseline.environments.items()
    }
    before = _text(path) if path.exists() else _PREAMBLE
    try:
        _parsed(path, before)
        text = rewritten(before, {"schema": str(SCHEMA), **{key: quoted(value) for key, value in top.items()}}, cells)
        _whole(path, text)
    except (BaselineError, ValueError):
        raise BaselineError(path, "is written so that it cannot be changed line by line: delete it first") from None
    _replace(path, text)


_PREAMBLE = """\
# What was so before: `envmatrix gate` holds only what got worse against a change.
# Made by `envmatrix baseline update`, which keeps comments; edited by hand it is refused.
"""


def now() -> datetime:
    """Return the time, with its zone."""
    return datetime.now(UTC)


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises:
        BaselineError: it cannot be written.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_bytes(text.encode())
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise BaselineError(path, f"cannot be written: {error.strerror}") from None


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        raise BaselineError(path, "is missing") from None
    except OSError as error:
        raise BaselineError(path, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BaselineError(path, "is no baseline: not UTF-8") from None


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BaselineError(path, f"is no baseline: {error}") from None
