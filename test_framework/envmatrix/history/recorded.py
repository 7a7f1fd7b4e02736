"""All recorded runs, as they were recorded: in SQLite here, by another engine in a class below this one."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from msgspec import convert
from msgspec.structs import replace

from envmatrix.exceptions import HistoryError
from envmatrix.history.file import encoded, open_for_reading
from envmatrix.history.rows import CellRow, KeptRun, Known, RunRow
from envmatrix.masking import one_line
from envmatrix.matrix.table import Matrix
from envmatrix.runs.cells import Cell, Run
from envmatrix.runs.events import Attempt, Attestation, Evidence, FindingRecord, Footer, Header
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.safety.names import is_name


class Connection(Protocol):
    """What answers SQL: SQLite, or DuckDB over Parquet."""

    def execute(self, sql: str, parameters: Any = ..., /) -> Any:
        """Return what has the rows, as tuples."""

    def close(self) -> None:
        """Let go of what is open."""


class RecordedRuns:
    """All recorded runs; a context manager, since every question may find the file damaged.

    Raises:
        HistoryError: it is missing, damaged or no history; questions inside of its context raise it too.
    """

    _error: type[Exception] | tuple[type[Exception], ...] = sqlite3.Error
    """What reading a damaged file raises."""

    def __init__(self, path: Path) -> None:
        self._place: Path | str = path
        self._connection: Connection = open_for_reading(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        if isinstance(error, self._error):
            raise HistoryError(self._place, f"cannot be read: {one_line(str(error).partition(chr(10))[0])}") from None

    @staticmethod
    def _text(text: str) -> object:
        """Return text that may hold half a surrogate pair as a parameter."""
        return encoded(text)

    def _rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        rows: list[Any] = self._connection.execute(sql, parameters).fetchall()
        return rows

    def latest(self) -> Matrix:
        """Return the last run of each environment side by side.

        One that is narrowed, or has another name than the environment, counts only if there is no other. As in
        `matrix_of`, of a cell's evidence there are rule and summary alone.
        """
        rows = self._rows(
            "SELECT id, events FROM (SELECT id, events, environment, row_number() OVER"
            " (PARTITION BY environment ORDER BY coalesce(CAST(json_extract(events, '$.header.base') AS TEXT), '') NOT IN ('', '\"\"'),"
            " coalesce(json_array_length(events, '$.header.narrowed'), 0) > 0,"
            " started_at DESC, id DESC) AS age FROM runs) WHERE age = 1 ORDER BY environment"
        )
        return Matrix.from_runs([self._run(number, json.loads(events)) for number, events in rows], mixed_commits=True)

    def matrix_of(self, commit: str) -> Matrix | None:
        """Return the last run of each environment at a commit, by its full name; `None` if there is none.

        One that is narrowed, or has another name than the environment, counts only if there is no other, a dirty one
        never. Of a cell's evidence only rule and summary are recorded, and not how each attempt ended.
        """
        rows = self._rows(
            "SELECT id, events FROM (SELECT id, events, environment, row_number() OVER"
            " (PARTITION BY environment ORDER BY coalesce(CAST(json_extract(events, '$.header.base') AS TEXT), '') NOT IN ('', '\"\"'),"
            " coalesce(json_array_length(events, '$.header.narrowed'), 0) > 0,"
            " finished DESC, started_at DESC, id DESC) AS age"
            " FROM runs WHERE commit_id = ? AND NOT dirty) WHERE age = 1 ORDER BY environment",
            (commit,),
        )
        return Matrix.from_runs([self._run(number, json.loads(events)) for number, events in rows]) if rows else None

    def kept_runs(self, known: Known = ()) -> Iterator[KeptRun]:
        """Yield the runs that are not known, the oldest first."""
        for number, run_id, environment, label, commit, dirty, started_at, finished, events in self._rows(
            "SELECT id, run_id, environment, label, commit_id, dirty, started_at, finished, events FROM runs"
            " ORDER BY started_at, id"
        ):
            run = RunRow(run_id, environment, label, commit, bool(dirty), started_at, bool(finished), events)
            if (run_id, run.finished) not in known:
                yield KeptRun(run, self._cells_of(number))

    def _cells_of(self, run: int) -> list[CellRow]:
        rows = self._rows(
            "SELECT position, tests.name, outcome, cause, rule, summary, reason, duration, attempts, body, measured"
            " FROM cells JOIN tests ON tests.id = cells.test WHERE run = ? ORDER BY position",
            (run,),
        )
        return [CellRow(*row) for row in rows]

    def _run(self, number: int, events: Mapping[str, Any]) -> Run:
        cells: dict[str, Cell] = {}
        bodies: dict[str, str] = {}
        for _, test, outcome, cause, rule, summary, reason, duration, attempts, body, measured in self._cells_of(
            number
        ):
            ended, why = Outcome(outcome), Cause(cause) if cause else None
            numbers = json.loads(measured) if measured else {}
            tries = (Attempt(test, ended, duration, measured=numbers),) if attempts else ()
            evidence = Evidence(rule, summary or "") if rule else None
            cells[test] = Cell(test, ended, tries, why, evidence, reason or "")
            if body:
                bodies[test] = body
        header = convert(events["header"], Header)
        for name in (header.environment, header.judged_as):
            if not is_name(name):  # Parquet may be of somebody else, and an environment becomes a path
                raise HistoryError(self._place, f"names an environment {name[:200]!r}, which is no name")
        for commit, reused in events["reused"].items():
            cells |= self._reused(header.judged_as, commit, frozenset(reused))
        return Run(
            header=replace(header, planned=tuple(cells)),
            cells=cells,
            footer=convert(events["footer"], Footer | None),
            findings=convert(events["findings"], tuple[FindingRecord, ...]),
            attestations=convert(events["attestations"], tuple[Attestation, ...]),
            bodies=bodies,
        )

    def _reused(self, environment: str, commit: str, tests: frozenset[str]) -> Mapping[str, Cell]:
        """Return the cells of reused tests, from the commit that they were run at."""
        rows = self._rows(
            "SELECT tests.name, outcome, cause, rule, summary, reason, duration FROM cells"
            " JOIN tests ON tests.id = cells.test JOIN runs ON runs.id = cells.run"
            " WHERE environment = CAST(? AS TEXT) AND commit_id = ? AND NOT dirty ORDER BY started_at, runs.id, position",
            (self._text(environment), commit),
        )
        cells = {}
        for test, outcome, cause, rule, summary, reason, duration in rows:
            if test in tests:
                ended, why = Outcome(outcome), Cause(cause) if cause else None
                evidence = Evidence(rule, summary or "") if rule else None
                cells[test] = Cell(test, ended, (Attempt(test, ended, duration),), why, evidence, reason or "", commit)
        return cells
