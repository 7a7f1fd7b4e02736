"""Record runs in the history, each once; a failure to do so never changes a verdict."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import to_builtins
from msgspec.structs import replace

from envmatrix.exceptions import HistoryError
from envmatrix.history.file import encoded, normal_time, open_for_reading, transaction, write
from envmatrix.history.health import forget_changes
from envmatrix.runs.cells import Cell, Run


def remember(path: Path, runs: Iterable[Run]) -> str:
    """Record runs, each once; return a warning in one line, or an empty text.

    A shard is not recorded: the run that it is merged into is.
    """
    whole = [run for run in runs if not run.header.shard]
    return write(path, partial(_record_all, runs=whole)) if whole else ""


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


def _record_all(connection: sqlite3.Connection, runs: Iterable[Run]) -> None:
    """Record runs; a whole run replaces its incomplete record."""
    for run in runs:
        _record(connection, run)


def _record(connection: sqlite3.Connection, run: Run) -> None:
    header = run.header
    if run.footer is not None:
        # A merge that parts were missing from has another id than the whole, and the same beginning.
        connection.execute(
            "DELETE FROM runs WHERE NOT finished AND"
            " (run_id = ? OR (environment = CAST(? AS TEXT) AND commit_id = ? AND started_at = ?))",
            (header.run_id, encoded(header.judged_as), header.commit, normal_time(header.started_at)),
        )
    inserted = connection.execute(
        "INSERT OR IGNORE INTO runs (run_id, environment, label, commit_id, dirty, started_at, finished, events)"
        " VALUES (?, CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, ?, ?, ?)",
        (
            header.run_id,
            encoded(header.judged_as),
            encoded(header.label),
            header.commit,
            header.dirty,
            normal_time(header.started_at),
            run.footer is not None,
            json.dumps(_events(run), separators=(",", ":")),
        ),
    )
    if not inserted.rowcount:
        return
    tests = _tests(connection, run.cells)
    connection.executemany(
        "INSERT INTO cells VALUES (?, ?, ?, ?, ?, ?, CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, ?, CAST(? AS TEXT))",
        (
            (inserted.lastrowid, position, tests[test], *_row(cell), run.bodies.get(test), _numbers(cell))
            for position, (test, cell) in enumerate(run.cells.items())
            if not cell.reused_from  # it is remembered where it was run
        ),
    )


def _tests(connection: sqlite3.Connection, names: Collection[str]) -> Mapping[str, int]:
    """Return the row ids of tests; new tests are inserted."""
    ids: dict[str, int] = dict(connection.execute("SELECT name, id FROM tests").fetchall())
    new = [name for name in names if name not in ids]
    for name in new:
        inserted = connection.execute("INSERT INTO tests (name) VALUES (CAST(? AS TEXT))", (encoded(name),))
        ids[name] = inserted.lastrowid or 0
    return ids


def _events(run: Run) -> Mapping[str, Any]:
    """Return the events of a run besides its cells, as JSON values."""
    return {
        "header": to_builtins(replace(run.header, planned=(), planned_digest="", files={})),
        "footer": to_builtins(run.footer),
        "reused": {commit: list(tests) for commit, tests in run.reused.items()},
        "findings": to_builtins(run.findings),
        "attestations": to_builtins(run.attestations),
    }


def _numbers(cell: Cell) -> bytes | None:
    return encoded(json.dumps(cell.measured, ensure_ascii=False)) if cell.measured else None


def _row(cell: Cell) -> tuple[object, ...]:
    evidence = cell.evidence
    return (
        cell.outcome,
        cell.cause,
        evidence.rule if evidence else None,
        encoded(evidence.summary) if evidence else None,
        encoded(cell.reason) if cell.reason else None,
        cell.duration,
        len(cell.attempts),
    )
