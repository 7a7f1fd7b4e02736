"""Runs as Parquet, one immutable object a run: written, asked like the history, and read back into one.

The first row of an object is the run, each other row a cell. A lone surrogate in a text stands there as Python escapes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from envmatrix.exceptions import HistoryError, MissingExtraError
from envmatrix.history.file import VIEWS, normal_time
from envmatrix.history.objects import Place
from envmatrix.history.queries import SHOWN_RUNS, History
from envmatrix.history.rows import CellRow, KeptRun, RunRow
from envmatrix.runs.outcomes import Outcome
from envmatrix.safety.names import check_name, is_name

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SCHEMA = 1
"""Of an object; raised with each change that an older reader would misread."""

_SCHEMA = {"schema": "INTEGER"}
_RUN = {
    "run_id": "VARCHAR",
    "environment": "VARCHAR",
    "label": "VARCHAR",
    "commit_id": "VARCHAR",
    "dirty": "BOOLEAN",
    "started_at": "VARCHAR",
    "finished": "BOOLEAN",
    "events": "VARCHAR",
}
_CELL = {
    "position": "INTEGER",
    "test": "VARCHAR",
    "outcome": "VARCHAR",
    "cause": "VARCHAR",
    "rule": "VARCHAR",
    "summary": "VARCHAR",
    "reason": "VARCHAR",
    "duration": "DOUBLE",
    "attempts": "INTEGER",
    "body": "VARCHAR",
    "measured": "VARCHAR",
}
_SAFE: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
}
"""Nothing is downloaded, and no name in a question is a variable of ours."""

_TABLES = """
CREATE TABLE runs AS
    SELECT row_number() OVER (ORDER BY started_at, run_id) AS id, filename AS file, run_id, environment, label, commit_id,
           dirty, started_at, finished, events
    FROM (SELECT *, count(*) FILTER (finished) OVER (PARTITION BY environment, commit_id, started_at) AS whole
          FROM objects WHERE events IS NOT NULL)
    WHERE finished OR NOT whole
    QUALIFY row_number() OVER (PARTITION BY run_id ORDER BY finished DESC, filename) = 1;
CREATE VIEW cells AS
    SELECT runs.id AS run, position, test, outcome, cause, rule, summary, reason, duration, attempts, body, measured
    FROM objects JOIN runs ON runs.file = objects.filename WHERE objects.events IS NULL;
CREATE TABLE tests AS SELECT DISTINCT test AS id, test AS name FROM cells;
"""
"""The tables of the history's own file. A whole run takes the place of its incomplete record, as it does there."""


def export(runs: Iterable[KeptRun], place: Place) -> int:
    """Write runs that a place does not hold yet; return their number.

    Raises:
        HistoryError: the place cannot be read or written.
        MissingExtraError: DuckDB is not installed.
    """
    held = set(place.names())
    number = 0
    with closing(_connected()) as connection:
        for kept in runs:
            if (name := object_name(kept.run)) not in held:
                place.put(name, partial(_write, connection, kept))
                number += 1
    return number


def object_name(run: RunRow) -> str:
    """Return the name of a run's object: by date, environment and run id. An incomplete run has one of its own.

    Raises:
        UsageError: the environment's name is none.
    """
    try:
        date = datetime.fromisoformat(run.started_at).date().isoformat()
    except ValueError:
        date = "unknown"
    name = run.run_id
    if not is_name(name):  # it comes from a file, and becomes a path
        name = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()
    part = "" if run.finished else ".incomplete"
    return f"date={date}/environment={check_name(run.environment)}/{name}{part}.parquet"


def clean(text: str) -> str:
    """Return text with lone surrogates escaped, which Parquet cannot hold."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


class ParquetHistory(History):
    """The runs of a place, asked like the history in SQLite, with the same answers.

    Raises:
        HistoryError: there is no object, one cannot be read, or it is no run.
        MissingExtraError: DuckDB is not installed.
    """

    def __init__(self, place: Place, where: str) -> None:
        connection = _connected()
        import duckdb  # after the error for a missing one

        self._place = where
        self._connection = connection
        self._error = (duckdb.Error, msgspec.ValidationError, ValueError, TypeError, LookupError)
        try:
            self._open(place.files())
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise

    def _open(self, files: Sequence[Path]) -> None:
        if not files:
            raise HistoryError(self._place, "holds no run as Parquet")
        columns = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in (_SCHEMA | _RUN | _CELL).items())
        names = ", ".join(map(_quoted, files))
        self._connection.execute(f"CREATE VIEW objects AS SELECT {columns}, filename FROM read_parquet([{names}])")  # noqa: S608  quoted
        ((schema,),) = self._rows("SELECT max(schema) FROM objects")
        if schema != SCHEMA:
            raise HistoryError(self._place, f"is of schema {schema}; this envmatrix reads schema {SCHEMA}")
        self._connection.execute(_TABLES + VIEWS)

    def past_outcomes(self, environment: str, moment: str) -> Mapping[str, Sequence[Outcome]]:
        """Map each test to how it ended in the last runs of an environment before a time (ISO 8601), the oldest first."""
        rows = self._rows(
            "SELECT test, list(outcome ORDER BY started_at, run) FROM entries JOIN (SELECT id FROM runs"
            " WHERE environment = CAST(? AS TEXT) AND started_at < ? ORDER BY started_at DESC, id DESC LIMIT ?) AS last"
            " ON last.id = run GROUP BY test",
            (clean(environment), normal_time(moment), SHOWN_RUNS),
        )
        return {test: tuple(map(Outcome, outcomes)) for test, outcomes in rows}

    @staticmethod
    def _text(text: str) -> object:
        return clean(text)

    def _cells_of(self, run: int) -> list[CellRow]:
        """Return the cells of a run from its own object: the others need not be opened."""
        ((file,),) = self._rows("SELECT file FROM runs WHERE id = ?", (run,))
        rows = self._rows(
            "SELECT position, test, outcome, cause, rule, summary, reason, duration, attempts, body, measured"
            " FROM read_parquet(?) WHERE events IS NULL ORDER BY position",
            ([file],),
        )
        return [CellRow(*row) for row in rows]


def _connected() -> DuckDBPyConnection:
    try:
        import duckdb
    except ImportError:
        raise MissingExtraError("duckdb", "parquet") from None
    return duckdb.connect(config=_SAFE)


def _write(connection: DuckDBPyConnection, kept: KeptRun, path: Path) -> None:
    """Write an object.

    Raises:
        OSError: it cannot be written.
    """
    import duckdb

    run = ", ".join(
        f"CASE WHEN position IS NULL THEN ?::{kind} END AS events" if name == "events" else f"?::{kind} AS {name}"
        for name, kind in _RUN.items()
    )
    cells = ", ".join(f"unnest(?::{kind}[]) AS {name}" for name, kind in _CELL.items())
    columns = list(zip((None,) * len(_CELL), *kept.cells, strict=True))
    values = [*kept.run, *columns]
    try:
        connection.execute(
            f"COPY (SELECT {SCHEMA} AS schema, {run}, cells.* FROM (SELECT {cells}) AS cells)"  # noqa: S608  our own names
            f" TO {_quoted(path)} (FORMAT parquet, COMPRESSION zstd)",
            [_plain(value) for value in values],
        )
    except duckdb.Error as error:
        raise OSError(str(error)) from None


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return clean(value) if isinstance(value, str) else value


def _quoted(path: Path) -> str:
    text = str(path).replace("'", "''")
    return f"'{text}'"
