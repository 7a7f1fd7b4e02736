"""Open the file of the history, make it, or set it aside if it cannot be read.

Every write is one transaction; in WAL mode readers never wait. A file of ours that is damaged or older is set aside
and never deleted, by one process at a time: the others find the fresh one. Any other file is left alone.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from envmatrix.exceptions import HistoryError
from envmatrix.safety.input_files import sqlite_numbers

SCHEMA = 3
"""The file's `user_version`; raised with each change that an older reader would misread."""

DEFAULT = Path(".envmatrix", "history.sqlite")
"""Below the project's root."""

WAIT = 3.0
"""Seconds to wait for a locked file: longer than any write of ours takes, shorter than a person's patience."""

_APPLICATION = 0x656E766D
"""The file's `application_id`, by which it is ours: `envm`."""

_BESIDE = ("-wal", "-shm", "")
"""What SQLite keeps beside its file, then the file: a log that stays behind would be played into the fresh one."""

_TABLES = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL UNIQUE,
    environment TEXT NOT NULL,
    label TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    dirty INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    finished INTEGER NOT NULL,
    events TEXT NOT NULL
) STRICT;
CREATE INDEX runs_by_time ON runs (environment, started_at);
CREATE INDEX runs_by_commit ON runs (commit_id);
CREATE TABLE tests (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE cells (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    position INTEGER NOT NULL,
    test INTEGER NOT NULL REFERENCES tests,
    outcome TEXT NOT NULL,
    cause TEXT,
    rule TEXT,
    summary TEXT,
    reason TEXT,
    duration REAL NOT NULL,
    attempts INTEGER NOT NULL,
    body TEXT,
    measured TEXT,
    PRIMARY KEY (run, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX cells_by_test ON cells (test, run);
"""

VIEWS = """
CREATE VIEW entries AS
    SELECT cells.run, cells.test AS test_id, runs.environment, tests.name AS test, runs.label, runs.commit_id, runs.dirty,
           runs.started_at, runs.run_id, cells.outcome, cells.cause, cells.rule, cells.summary, cells.duration, cells.attempts,
           cells.measured
    FROM cells JOIN runs ON runs.id = cells.run JOIN tests ON tests.id = cells.test;
CREATE VIEW ages AS
    SELECT id AS run, row_number() OVER (PARTITION BY environment ORDER BY started_at DESC, id DESC) AS age FROM runs;
"""
"""What questions are asked of, in SQLite and DuckDB alike."""

_ANOTHER = "Name another file with --history"


class UnusableError(Exception):
    """The file is no history that this version can use; the text says why, and what to do."""


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open an existing history.

    Raises:
        HistoryError: it is missing, no history of ours, or cannot be read.
    """
    if not path.exists():
        raise HistoryError(path, "is missing")
    try:
        connection = _connect(path, "rw")
        try:
            is_ready = _is_ready(connection)
        except BaseException:
            connection.close()
            raise
    except UnusableError as error:
        raise HistoryError(path, str(error)) from None
    except (sqlite3.Error, OSError) as error:
        raise HistoryError(path, f"cannot be read: {error}") from None
    if not is_ready:
        connection.close()
        raise HistoryError(path, "is empty")
    return connection


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open a history, or make it.

    Raises:
        UnusableError: what is there cannot be used; `set_aside` makes room for a fresh one if it is ours.
        sqlite3.Error: it is locked, or the disk is full or read-only.
        OSError: its directory cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = _connect(path, "rwc")
    try:
        if not _is_ready(connection):
            with _alone(path):
                if not _is_ready(connection):
                    _make(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def write(path: Path, record: Callable[[sqlite3.Connection], object]) -> str:
    """Have something recorded, all of it or nothing; return a warning in one line, or an empty text.

    A file of ours that is damaged or older is set aside, never deleted, and a fresh one started; any other is left alone.
    """
    try:
        return _write(path, record)
    except (sqlite3.Error, OSError, UnusableError) as error:
        return f"history {path}: not recorded: {error}"


def _write(path: Path, record: Callable[[sqlite3.Connection], object]) -> str:
    try:
        with closing(open_for_writing(path)) as connection, transaction(connection):
            record(connection)
    except UnusableError as error:
        why = str(error)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        why = f"is damaged: {error}"
    else:
        return ""
    aside = set_aside(path)
    with closing(open_for_writing(path)) as connection, transaction(connection):
        record(connection)
    return f"history {path} {why}. It is set aside as {aside.name}, and a fresh one begun" if aside else ""


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write all or nothing, and nobody else meanwhile."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def set_aside(path: Path) -> Path | None:
    """Rename an unusable history and return its new name; `None` if another process has done so already.

    Raises:
        UnusableError: it is no history of ours, or one of a newer version: then it stays.
        OSError: it cannot be renamed.
    """
    with _alone(path):
        # Asked first: the numbers of a file that another process has just made are still in its log.
        try:
            with closing(_connect(path, "rw")) as connection:
                if _is_ready(connection) and connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",):
                    return None
        except (UnusableError, sqlite3.DatabaseError):
            pass
        version, application = sqlite_numbers(path) or (0, 0)
        if application != _APPLICATION:
            raise UnusableError(f"it is no history of ours, and left alone. {_ANOTHER}")
        if version > SCHEMA:
            raise UnusableError(f"it is of schema {version}; this envmatrix writes schema {SCHEMA}. {_ANOTHER}")
        name = f"{path.name}.corrupt-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
        for suffix in _BESIDE:
            beside = path.with_name(path.name + suffix)
            if beside.exists():
                beside.rename(path.with_name(name + suffix))
    return path.with_name(name)


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether the file is no database or damaged, rather than locked or the disk full."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=WAIT, isolation_level=None)
    connection.text_factory = lambda data: data.decode(errors="surrogatepass")
    return connection


def _is_ready(connection: sqlite3.Connection) -> bool:
    """Return whether a file is a history of ours; false if it is still empty.

    Raises:
        UnusableError: it is something else.
    """
    try:
        # One statement sees one moment: another process may be making the file.
        ours, version, tables = connection.execute(
            "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)"
            " FROM pragma_application_id, pragma_user_version"
        ).fetchone()
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            raise UnusableError(f"is no history: {error}") from None
        raise
    if not tables:
        return False
    if ours != _APPLICATION:
        raise UnusableError("is a database of something else")
    if version != SCHEMA:
        raise UnusableError(f"is of schema {version}; this envmatrix reads schema {SCHEMA}")
    return True


def _make(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(
        f"BEGIN IMMEDIATE; {_TABLES} {VIEWS} PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {SCHEMA}; COMMIT;"
    )


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Lock the directory, so that two processes do not make or set aside one file at the same time.

    Raises:
        TimeoutError: another process holds it for too long.
    """
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        end = time.monotonic() + WAIT
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise TimeoutError(f"{path.parent} is locked") from None
                time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def encoded(text: str) -> bytes:
    """Return text as bytes for SQLite; a test's name may hold half a surrogate pair."""
    return text.encode(errors="surrogatepass")


def normal_time(moment: str) -> str:
    """Return a time in UTC, in a form that sorts as text; any other text is left as it is."""
    try:
        return datetime.fromisoformat(moment).astimezone(UTC).isoformat(timespec="milliseconds")
    except ValueError:
        return moment
