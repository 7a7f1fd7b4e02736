"""A connection to the engine: settings, queries, inserts, and what the engine leaves out of a result."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_COMMENTS = rb"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
_IS_INSERT = re.compile(_COMMENTS + rb"INSERT\b", re.IGNORECASE | re.DOTALL)
_INSERT_WITH_DATA = re.compile(
    rb"(" + _COMMENTS + rb"INSERT\s+INTO\b[^;]*?)\s+FORMAT\s+(\w+)[ \t]*\r?\n", re.IGNORECASE | re.DOTALL
)
_ENDS_WITH_FORMAT = re.compile(rb"\bFORMAT\s+(\w+)[\s;]*$", re.IGNORECASE)


class QueryError(Exception):
    """An error of ClickHouse, with its code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Connection:
    """One connection to the engine, for one query at a time."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._settings: dict[str, str] = {}
        self.busy = threading.Lock()

    def close(self) -> None:
        """Close the connection; the engine runs on."""
        self._connection.close()

    def prepare(self, database: str, settings: Mapping[str, str]) -> None:
        """Select a database, apply these settings and reset those of the request before."""
        if database:
            self._run(b"USE " + _identifier(database))
        for name in self._settings.keys() - settings.keys():
            self._run(b"SET " + _identifier(name) + b" = DEFAULT")
            del self._settings[name]
        for name, text in settings.items():
            if self._settings.get(name) != text:
                self._run(b"SET " + _identifier(name) + b" = " + _literal(text))
                self._settings[name] = text

    def run(self, statement: bytes, output: str, params: Mapping[str, str]) -> tuple[bytes, dict[str, str]]:
        """Run a statement; return its output and ClickHouse's summary.

        Raises:
            QueryError: the engine refuses.
        """
        if (insert := _INSERT_WITH_DATA.match(statement)) and insert.end() < len(statement):
            return b"", self._insert(insert[1].decode(), insert[2].decode(), statement[insert.end() :])
        result = self._run(statement, output, params)
        body: bytes = result.bytes()
        is_insert = _IS_INSERT.match(statement) is not None
        if not body and not is_insert and format_of(statement, output) == "Native":
            body = self._native_header(statement, params)
        rows, size = result.storage_rows_read(), result.storage_bytes_read()
        return body, _summary("written" if is_insert else "read", rows, size, result.elapsed())

    def _insert(self, statement: str, data_format: str, data: bytes) -> dict[str, str]:
        """Stream the data in: inside a statement the engine would end at a blank line."""
        with _engine_errors():
            stream = self._connection.send_insert(statement, data_format)
            try:
                stream.append(data)
                result = stream.finish()
            finally:
                stream.cancel()
        return _summary("written", result.rows_written, result.bytes_written, result.elapsed)

    def _native_header(self, statement: bytes, params: Mapping[str, str]) -> bytes:
        """Return the column names of an empty result, which the embedded engine leaves out."""
        bare = _ENDS_WITH_FORMAT.sub(b"", statement)
        text = self._run(bare + b"\nFORMAT JSONCompact", "JSONCompact", params).bytes()
        columns = json.loads(text)["meta"] if text else []
        names = b"".join(_short_text(column["name"]) + _short_text(column["type"]) for column in columns)
        return _varint(len(columns)) + _varint(0) + names if columns else b""

    def _run(self, statement: bytes, output: str = "Null", params: Mapping[str, str] | None = None) -> Any:
        with _engine_errors():
            return self._connection.query(statement, output, params=dict(params or {}))


@contextmanager
def _engine_errors() -> Iterator[None]:
    """Turn chdb's errors into ClickHouse's: without chdb's prefix, and without the version, which we append."""
    try:
        yield
    except RuntimeError as error:
        text = re.sub(r" \(version [^)]*\)$", "", str(error))
        code = re.search(r"Code: (\d+)\.", text)
        raise QueryError(int(code[1]) if code else 1002, text[code.start() :] if code else text) from None


def _summary(verb: str, rows: int, size: int, seconds: float) -> dict[str, str]:
    """Return the value of `X-ClickHouse-Summary`; its numbers are texts."""
    return {f"{verb}_rows": str(rows), f"{verb}_bytes": str(size), "elapsed_ns": str(int(seconds * 1e9))}


def _identifier(name: str) -> bytes:
    return b"`" + name.encode().replace(b"\\", b"\\\\").replace(b"`", b"\\`") + b"`"


def _literal(text: str) -> bytes:
    return b"'" + text.encode().replace(b"\\", b"\\\\").replace(b"'", b"\\'") + b"'"


def format_of(statement: bytes, default: str) -> str:
    """Return the output format that a statement names at its end, else the default."""
    named = _ENDS_WITH_FORMAT.search(statement[-200:])
    return named[1].decode() if named else default


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:  # noqa: PLR2004  seven bits a byte
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def _short_text(text: str) -> bytes:
    return _varint(len(text.encode())) + text.encode()
