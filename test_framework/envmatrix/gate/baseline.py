"""The baseline: how each test ended before, as a JSON file for reviews. Only what got worse counts against a change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from envmatrix.exceptions import BaselineError, DeclarationError
from envmatrix.matrix.table import Matrix
from envmatrix.runs.cells import Cell
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.safety.input_files import read_json
from envmatrix.safety.output_files import replacing

SCHEMA = 1
_MOST = 256 << 20
"""Bytes; 100,000 tests in ten environments are about 100 MB."""


@dataclass(frozen=True, slots=True)
class Known:
    """The outcome and the cause of a test when the baseline was made."""

    outcome: Outcome
    cause: Cause | None = None

    @classmethod
    def of(cls, cell: Cell) -> Known:
        """Return the part of a cell that the gate compares."""
        return cls(cell.outcome, cell.cause if cell.outcome.counts_as_failed else None)

    @staticmethod
    @cache  # there are a dozen of them, and as many lines as cells
    def read(text: str) -> Known:
        """Parse the text that `str` makes.

        Raises:
            ValueError: it is something else.
        """
        outcome, _, cause = text.partition(" ")
        return Known(Outcome(outcome), Cause(cause) if cause else None)

    def __str__(self) -> str:
        return f"{self.outcome} {self.cause}" if self.cause else str(self.outcome)


@dataclass(frozen=True, slots=True)
class Baseline:
    """A matrix, reduced to the outcomes and causes that the gate compares."""

    commit: str
    made_at: str
    """ISO 8601, UTC."""
    environments: Mapping[str, Mapping[str, Known]]
    """Environment → node id → how it ended."""

    @classmethod
    def of(cls, matrix: Matrix, made_at: str) -> Baseline:
        """Make a baseline of the runs of a matrix.

        A test that was not run is left out, unless a failed prerequisite kept it from running.
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

    def age(self, now: datetime) -> float:
        """Return the age in days."""
        return (now - datetime.fromisoformat(self.made_at)).total_seconds() / 86_400


def read_baseline(path: Path) -> Baseline:
    """Read a baseline.

    Raises:
        BaselineError: it is missing, cannot be read, or is not what `envmatrix baseline update` wrote.
    """
    document = _document(path)
    try:
        if document["schema"] != SCHEMA:
            raise BaselineError(path, f"is of schema {document['schema']!r}; this envmatrix reads schema {SCHEMA}")
        if document.pop("digest") != _digest(document):
            raise BaselineError(path, "was edited by hand: its digest is of something else")
        datetime.fromisoformat(document["made_at"])
        cells = {
            name: {test: Known.read(text) for test, text in tests.items()}
            for name, tests in document["environments"].items()
        }
        return Baseline(document["commit"], document["made_at"], cells)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BaselineError(path, f"is no baseline: {type(error).__name__}: {error}") from None


def environments_of(path: Path) -> tuple[str, ...]:
    """Return the environments that a baseline names, even if it was edited; none where there is no file.

    Raises:
        BaselineError: it cannot be read, or is not JSON.
    """
    environments = _document(path).get("environments") if path.exists() else None
    return tuple(environments) if isinstance(environments, dict) else ()


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Write a baseline whole or not at all: sorted, one cell a line, so that a review shows what changed.

    Raises:
        BaselineError: it cannot be written.
    """
    environments = {
        name: {test: str(known) for test, known in sorted(tests.items())}
        for name, tests in sorted(baseline.environments.items())
    }
    document = {
        "schema": SCHEMA,
        "commit": baseline.commit,
        "made_at": baseline.made_at,
        "environments": environments,
    }
    text = json.dumps({"digest": _digest(document), **document}, indent=1) + "\n"
    try:
        with replacing(path) as fresh:
            fresh.write_text(text, encoding="ascii")
    except OSError as error:
        raise BaselineError(path, f"cannot be written: {error.strerror}") from None


def _document(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise BaselineError(path, "is missing")
    try:
        document = read_json(path, _MOST)
    except DeclarationError as error:
        raise BaselineError(path, error.what) from None
    if not isinstance(document, dict):
        raise BaselineError(path, "is no baseline: not a JSON object")
    return document


def _digest(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of all that a document says besides its digest: it shows an edit by hand."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def now() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(UTC)
