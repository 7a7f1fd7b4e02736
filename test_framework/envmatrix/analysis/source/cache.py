"""Cache facts of files by the digest of their bytes, and summaries of whole trees.

A cache only saves time: one that cannot be opened, is locked, broken or full counts as empty.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
import stat
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from envmatrix.safety.input_files import sqlite_numbers

DEFAULT = Path(".envmatrix", "audit-cache.sqlite")
"""Below a tree's root."""

_APPLICATION = 0x656D6163  # "emac", in the header of SQLite's file: whose it is
_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (key BLOB PRIMARY KEY, facts BLOB NOT NULL, day INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS heads (
    path BLOB PRIMARY KEY, mtime INTEGER NOT NULL, ctime INTEGER NOT NULL, size INTEGER NOT NULL, inode INTEGER NOT NULL,
    key BLOB NOT NULL, head BLOB NOT NULL, day INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS views (view BLOB PRIMARY KEY, state INTEGER NOT NULL, inputs BLOB NOT NULL, day INTEGER NOT NULL)
WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS summaries (
    view BLOB NOT NULL, path BLOB NOT NULL, basis BLOB NOT NULL, summary BLOB NOT NULL, PRIMARY KEY (view, path)
) WITHOUT ROWID;
"""
_RACY_NS = 2_000_000_000
"""A file may change again within the resolution of its times, and keep its stamp."""
_DAYS_KEPT = 14
_LOCKED_S = 1.0
"""Deadline for another run to end its writing."""
_AT_ONCE = 500
"""Files in one query."""

_T = TypeVar("_T")


class Stamp(NamedTuple):
    """The times, size and inode of a file: while they stay the same, so do its bytes."""

    mtime_ns: int
    ctime_ns: int
    size: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """Return the stamp in a result of `os.stat`, which must be called before the bytes are read."""
        return cls(status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)

    @classmethod
    def of_file(cls, path: str | Path) -> Stamp | None:
        """Return the stamp of a regular file; None for anything else."""
        try:
            status = os.stat(path)  # noqa: PTH116 -- may be text, for there are very many
        except (OSError, ValueError):
            return None
        return cls.of(status) if stat.S_ISREG(status.st_mode) else None

    def is_settled(self, now_ns: int) -> bool:
        """Return whether any change of the file since this time would have changed its stamp."""
        return max(self.mtime_ns, self.ctime_ns) < now_ns - _RACY_NS


@dataclass(frozen=True, slots=True)
class View:
    """The cached data of a tree, as read with some settings."""

    key: bytes
    state: int = 0
    """A number that is new whenever the view is stored."""
    inputs: bytes = b""
    """Encoded inputs of the whole tree."""
    parts: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    """Path of a file → its inputs and its summary, encoded."""


class Cache:
    """A cache in an SQLite file. No method raises because of that file.

    Args:
        file: The file; created, with its directory, where there is none.
        options: What decides about the facts besides the bytes.
    """

    def __init__(self, file: Path, options: Iterable[str] = ()) -> None:
        self._variant = _variant(options)
        self._today = int(time.time() // 86_400)
        self._connection: sqlite3.Connection | None = None
        self._seen: list[bytes] = []
        self._seen_files: list[bytes] = []
        self._is_written = False
        self._file = file
        try:
            self._connection = _open(file)
        except (sqlite3.Error, OSError) as error:
            self._fail(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def unchanged(self, stamps: Mapping[str, Stamp]) -> Iterator[tuple[str, bytes]]:
        """Yield path and head of each file that is unchanged since it was cached."""
        for paths in _chunks(list(stamps)):
            rows = self._try(self._rows, [os.fsencode(path) for path in paths]) or ()
            for name, mtime, ctime, size, inode, key, head, day in rows:
                path = os.fsdecode(name)
                is_same = stamps[path] == (mtime, ctime, size, inode) and key.endswith(self._variant)
                if is_same and (whole := _checked(head)) is not None:
                    if day < self._today:
                        self._seen.append(key)
                        self._seen_files.append(name)
                    yield path, whole

    def _rows(self, db: sqlite3.Connection, names: list[bytes]) -> list[Any]:
        marks = ",".join("?" * len(names))
        return db.execute(
            f"SELECT path, mtime, ctime, size, inode, key, head, day FROM heads WHERE path IN ({marks})",  # noqa: S608 -- marks only
            names,
        ).fetchall()

    def get(self, digest: bytes) -> bytes | None:
        """Return the facts of a file by the digest of its bytes; None where they are not cached."""
        key = digest + self._variant
        rows = self._try(lambda db, key: db.execute("SELECT facts FROM facts WHERE key = ?", (key,)).fetchall(), key)
        facts = _checked(rows[0][0]) if rows else None
        if facts is not None:
            self._seen.append(key)
        return facts

    def put(self, digest: bytes, facts: bytes) -> None:
        """Store the facts of a file."""
        row = (digest + self._variant, _with_checksum(facts), self._today)
        self._write("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", [row])

    def remember(self, path: str, stamp: Stamp, digest: bytes, head: bytes) -> None:
        """Store the head of a file with its stamp; not if the file changed a moment ago."""
        if stamp.is_settled(time.time_ns()):
            row = (os.fsencode(path), *stamp, digest + self._variant, _with_checksum(head), self._today)
            self._write("INSERT OR REPLACE INTO heads VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [row])

    def view(self, view: bytes) -> View:
        """Return the cached data of a tree; an empty view where any part of it is broken."""
        view += self._variant
        rows = self._try(_kept_rows, view)
        if not rows:
            return View(view)
        (state, inputs), files = rows
        whole = _checked(inputs)
        parts = {os.fsdecode(path): (_checked(basis), _checked(summary)) for path, basis, summary in files}
        if whole is None or any(None in pair for pair in parts.values()):
            return View(view, state)
        return View(view, state, whole, {path: (basis or b"", made or b"") for path, (basis, made) in parts.items()})

    def keep(self, view: View, changed: Iterable[str] = (), gone: Iterable[str] = ()) -> None:
        """Store the changes of a view, unless another run stored some since it was read."""
        parts = [
            (view.key, os.fsencode(path), _with_checksum(view.parts[path][0]), _with_checksum(view.parts[path][1]))
            for path in changed
        ]
        dropped = [(view.key, os.fsencode(path)) for path in gone]
        inputs = _with_checksum(view.inputs)

        def write(db: sqlite3.Connection, _: None) -> None:
            db.commit()
            db.execute("BEGIN IMMEDIATE")
            row = db.execute("SELECT state FROM views WHERE view = ?", (view.key,)).fetchone()
            if (row[0] if row else 0) == view.state:
                db.execute(
                    "INSERT OR REPLACE INTO views VALUES (?, ?, ?, ?)",
                    (view.key, secrets.randbits(62) + 1, inputs, self._today),
                )
                db.executemany("DELETE FROM summaries WHERE view = ? AND path = ?", dropped)
                db.executemany("INSERT OR REPLACE INTO summaries VALUES (?, ?, ?, ?)", parts)
            db.commit()

        self._try(write, None)

    def close(self) -> None:
        """Save changes, and delete entries that were not used for two weeks."""
        if self._seen or self._seen_files:
            self._write("UPDATE facts SET day = ? WHERE key = ?", [(self._today, key) for key in self._seen])
            self._write("UPDATE heads SET day = ? WHERE path = ?", [(self._today, path) for path in self._seen_files])
        if self._is_written:
            for table in ("facts", "heads", "views"):
                self._write(f"DELETE FROM {table} WHERE day < ?", [(self._today - _DAYS_KEPT,)])  # noqa: S608 -- our names
            self._write("DELETE FROM summaries WHERE ? AND view NOT IN (SELECT view FROM views)", [(1,)])
            self._try(lambda db, _: db.commit(), None)
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _write(self, statement: str, rows: list[tuple[object, ...]]) -> None:
        self._is_written = True
        self._try(lambda db, values: db.executemany(statement, values), rows)

    def _try(self, ask: Callable[[sqlite3.Connection, Any], _T], value: Any) -> _T | None:
        if self._connection is None:
            return None
        try:
            return ask(self._connection, value)
        except sqlite3.Error as error:
            self._fail(error)
        return None

    def _fail(self, error: Exception) -> None:
        """Go on without a cache; remove a broken file of ours, so that the next run has one again."""
        is_operational = isinstance(error, sqlite3.OperationalError | OSError)  # locked, read-only, disk full
        connection, self._connection = self._connection, None
        with suppress(sqlite3.Error, OSError):
            if connection is not None:
                connection.close()
            if not is_operational and _is_ours(self._file):
                self._file.unlink()


def _open(file: Path) -> sqlite3.Connection:
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.parent.name == DEFAULT.parent.name and not (ignore := file.parent / ".gitignore").exists():
        ignore.write_text("*\n")
    connection = sqlite3.connect(file, timeout=_LOCKED_S)
    try:
        if not _is_ours(file) and connection.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
            raise sqlite3.OperationalError("a database of somebody else")
        connection.execute("PRAGMA synchronous = OFF")  # what is lost is read again; the facts have checksums
        connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        connection.executescript(_SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _is_ours(file: Path) -> bool:
    return (sqlite_numbers(file) or (0, 0))[1] == _APPLICATION


def _kept_rows(db: sqlite3.Connection, view: bytes) -> tuple[Any, list[Any]] | None:
    row = db.execute("SELECT state, inputs FROM views WHERE view = ?", (view,)).fetchone()
    return row and (row, db.execute("SELECT path, basis, summary FROM summaries WHERE view = ?", (view,)).fetchall())


def _with_checksum(kept: bytes) -> bytes:
    return zlib.crc32(kept).to_bytes(4, "big") + kept


def _checked(facts: bytes) -> bytes | None:
    """Return cached data without its checksum; None where that does not match."""
    return facts[4:] if zlib.crc32(facts[4:]).to_bytes(4, "big") == facts[:4] else None


def _variant(options: Iterable[str]) -> bytes:
    """Return a digest of what decides about facts besides the bytes: our own code, Python and the options."""
    digest = hashlib.blake2b(repr((sys.implementation.name, sys.hexversion, sorted(options))).encode(), digest_size=8)
    for module in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(module.read_bytes())
    return digest.digest()


def _chunks(paths: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(paths), _AT_ONCE):
        yield paths[start : start + _AT_ONCE]
