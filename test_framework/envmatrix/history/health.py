"""Changes of health over time: a table beside those of the runs, made when the first change is recorded.

It is no part of the file's schema: an older version does not miss it, and an older file need not be set aside.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import convert

from envmatrix.exceptions import HistoryError
from envmatrix.history.file import normal_time, open_for_reading, write

if TYPE_CHECKING:
    from envmatrix.services.health import Change

_TABLE = """
CREATE TABLE IF NOT EXISTS health_changes (at TEXT NOT NULL, environment TEXT NOT NULL, change TEXT NOT NULL) STRICT
"""


def remember_changes(path: Path, changes: Iterable[Change]) -> str:
    """Record changes of health; return a warning in one line, or an empty text."""

    def record(connection: sqlite3.Connection) -> None:
        connection.execute(_TABLE)
        connection.executemany(
            "INSERT INTO health_changes VALUES (?, ?, ?)",
            (
                (
                    normal_time(datetime.fromtimestamp(each.at, UTC).isoformat()),
                    each.environment,
                    json.dumps(asdict(each)),
                )
                for each in changes
            ),
        )

    return write(path, record)


def past_changes(path: Path, environment: str, limit: int) -> tuple[Change, ...]:
    """Return the last changes of health of an environment, of all where it is empty, the newest first.

    Raises:
        HistoryError: the history is missing, no history, or locked.
    """
    from envmatrix.services.health import Change  # here, since whoever records a run needs no service

    with closing(open_for_reading(path)) as connection:
        try:
            rows = connection.execute(
                "SELECT change FROM health_changes WHERE ? IN ('', environment) ORDER BY at DESC, rowid DESC LIMIT ?",
                (environment, limit),
            ).fetchall()
        except sqlite3.Error as error:
            if "no such table" in str(error):
                return ()
            raise HistoryError(path, f"cannot be read: {error}") from None
    return tuple(convert(json.loads(change), Change) for (change,) in rows)


def forget_changes(connection: sqlite3.Connection, oldest: str) -> None:
    """Delete the changes of health before a time in the history's form."""
    connection.execute(_TABLE)
    connection.execute("DELETE FROM health_changes WHERE at < ?", (oldest,))
