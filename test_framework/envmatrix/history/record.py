"""Record runs in the history, each once; a failure to do so never changes a verdict."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from envmatrix.exceptions import HistoryError
from envmatrix.history.file import encoded, normal_time, open_for_reading, transaction, write
from envmatrix.history.health import forget_changes
from envmatrix.history.rows import CellRow, KeptRun, Known, RunRow, rows_of
from envmatrix.runs.cells import Run


def remember(path: Path, runs: Iterable[Run]) -> str:
    """Record runs, each once; return a warning in one line, or an empty text.

    A shard is not recorded: the run that it is merged into is.
    """
    whole = [run for run in runs if not run.header.shard]
    return write(path, partial(_record_all, kept=list(map(rows_of, whole)))) if whole else ""


def adopt(path: Path, runs: Callable[[Known], Iterable[KeptRun]]) -> tuple[int, str]:
    """Record runs of another history, each once; return their number, and a warning in one line or an empty text.

    `runs` returns those that are not known.
    """
    number = 0

    def record(connection: sqlite3.Connection) -> None:
        nonlocal number
        known = {
            (run_id, bool(finished)) for run_id, finished in connection.execute("SELECT run_id, finished FROM runs")
        }
        number = _record_all(connection, runs(known))

    warning = write(path, record)
    return number, warning


def forget(path: Path, days: float, now: datetime) -> int:
    """Delete runs and changes of health of more than some days ago, shrink the file, and return the number of runs.

    Raises:
        HistoryError: the history is missing, no history, or locked.
    """
    oldest = normal_time((now - timedelta(days=days)).isoformat())
    with closing(open_for_reading(path)) as connection:
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            with transaction(connection):
                forget_changes(connection, oldest)
                number = connection.execute("DELETE FROM runs WHERE started_at < ?", (oldest,)).rowcount
                connection.execute("DELETE FROM tests WHERE id NOT IN (SELECT test FROM cells)")
            if number:
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise HistoryError(path, f"cannot be written: {error}") from None
    return number


def _record_all(connection: sqlite3.Connection, kept: Iterable[KeptRun]) -> int:
    """Record runs, each once; return how many were new. A whole run replaces its incomplete record."""
    return sum(_record(connection, *each) for each in kept)


def _record(connection: sqlite3.Connection, run: RunRow, cells: Sequence[CellRow]) -> bool:
    if run.finished:
        # A merge that parts were missing from has another id than the whole, and the same beginning.
        connection.execute(
            "DELETE FROM runs WHERE NOT finished AND (run_id = CAST(? AS TEXT) OR (environment = CAST(? AS TEXT)"
            " AND commit_id = CAST(? AS TEXT) AND started_at = CAST(? AS TEXT)))",
            _bound((run.run_id, run.environment, run.commit_id, run.started_at)),
        )
    inserted = connection.execute(
        "INSERT OR IGNORE INTO runs (run_id, environment, label, commit_id, dirty, started_at, finished, events)"
        " VALUES (CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), ?, CAST(? AS TEXT), ?, CAST(? AS TEXT))",
        _bound(run),
    )
    if not inserted.rowcount:
        return False
    tests = _tests(connection, [cell.test for cell in cells])
    text = "CAST(? AS TEXT)"
    connection.executemany(
        f"INSERT INTO cells VALUES (?, ?, ?, {text}, {text}, {text}, {text}, {text}, ?, ?, {text}, {text})",  # noqa: S608
        ((inserted.lastrowid, cell.position, tests[cell.test], *_bound(cell[2:])) for cell in cells),
    )
    return True


def _tests(connection: sqlite3.Connection, names: Collection[str]) -> Mapping[str, int]:
    """Return the row ids of tests; new tests are inserted."""
    ids: dict[str, int] = dict(connection.execute("SELECT name, id FROM tests").fetchall())
    new = [name for name in names if name not in ids]
    for name in new:
        inserted = connection.execute("INSERT INTO tests (name) VALUES (CAST(? AS TEXT))", (encoded(name),))
        ids[name] = inserted.lastrowid or 0
    return ids


def _bound(values: Iterable[object]) -> tuple[object, ...]:
    """Return values as parameters for SQLite; any text may hold half a surrogate pair."""
    return tuple(encoded(value) if isinstance(value, str) else value for value in values)
