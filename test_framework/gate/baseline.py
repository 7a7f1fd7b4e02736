"""The baseline: what was so before, as a TOML file that a review can read. Only what got worse is held against a change."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import tomlkit
from tomlkit.exceptions import ParseError

from test_framework.cells import Cause, Cell, Outcome
from test_framework.exceptions import BaselineError
from test_framework.matrix import Matrix

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Known:
    """How a test ended when the baseline was made."""

    outcome: Outcome
    cause: Cause | None = None

    @classmethod
    def of(cls, cell: Cell) -> Known:
        """Keep of a cell what the gate compares."""
        return cls(cell.outcome, cell.cause if cell.outcome in {Outcome.FAILED, Outcome.NOT_RUN} else None)

    @classmethod
    def read(cls, text: str) -> Known:
        """Read what `str` writes.

        Raises:
            ValueError: it is something else.
        """
        outcome, _, cause = text.partition(" ")
        return cls(Outcome(outcome), Cause(cause) if cause else None)

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
                    if cell.outcome is not Outcome.NOT_RUN or cell.is_blocked
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


def read_baseline(path: Path) -> Baseline:
    """Read a baseline.

    Raises:
        BaselineError: it is missing, cannot be read, or is not what `envmatrix baseline update` wrote.
    """
    data = _document(path).unwrap()
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
        BaselineError: what is there cannot be read, or the file cannot be written.
    """
    document = _document(path) if path.exists() else tomlkit.parse(_PREAMBLE)
    for key, value in (("schema", SCHEMA), ("commit", baseline.commit), ("made_at", baseline.made_at)):
        document[key] = value
    document["digest"] = baseline.digest
    tables = document.setdefault("environments", tomlkit.table(is_super_table=True))
    for name in [name for name in tables if name not in baseline.environments]:
        del tables[name]
    for name, tests in baseline.environments.items():
        if name not in tables:
            tables[name] = tomlkit.table()
        table = tables[name]
        for test in [test for test in table if test not in tests]:
            del table[test]
        for test, known in tests.items():
            if table.get(test) != str(known):
                table[test] = str(known)
    _replace(path, tomlkit.dumps(document))


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
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise BaselineError(path, f"cannot be written: {error.strerror}") from None


def _document(path: Path) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(path.read_bytes().decode())
    except FileNotFoundError:
        raise BaselineError(path, "is missing") from None
    except OSError as error:
        raise BaselineError(path, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BaselineError(path, "is no baseline: not UTF-8") from None
    except ParseError as error:
        raise BaselineError(path, f"is no baseline: {error}") from None
