"""ClickHouse's HTTP interface in front of the real engine, which chdb runs inside this process.

A program of its own: `python clickhouse_server.py --host HOST --port PORT --data DIRECTORY`, with the password in
`CLICKHOUSE_PASSWORD`. It imports nothing of ours and little beside chdb, so that it is up as soon as the engine is.
Each request has its own connection to the engine, as it has on a server; a `session_id` keeps one, with its settings
and temporary tables.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import email
import email.policy
import gzip
import hmac
import importlib
import io
import json
import os
import re
import sys
import threading
import urllib.parse
import uuid
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_USER = "default"

_INTERFACE = frozenset(
    {
        "buffer_size",
        "cancel_http_readonly_queries_on_client_close",
        "client_protocol_version",
        "compress",
        "database",
        "decompress",
        "default_format",
        "enable_http_compression",
        "http_headers_progress_interval_ms",
        "password",
        "query",
        "query_id",
        "quota_key",
        "role",
        "send_progress_in_http_headers",
        "session_check",
        "session_id",
        "session_timeout",
        "user",
        "wait_end_of_query",
    }
)
"""Parameters of the interface; every other one is a setting of the engine, or `param_NAME`."""

_STATUS = {
    **dict.fromkeys((6, 26, 27, 36, 38, 41, 43, 53, 62, 72, 117), 400),  # syntax, arguments, values that don't parse
    516: 403,  # wrong password
    **dict.fromkeys((46, 47, 50, 56, 60, 63, 73, 81, 115), 404),  # unknown function, identifier, table, database, …
    48: 501,  # not implemented
}
"""HTTP status by ClickHouse's error code, as its server maps them; any other is a 500."""

_CONTENT_TYPES = {"Native": "application/octet-stream", "JSON": "application/json; charset=UTF-8"}
_TEXT = "text/plain; charset=UTF-8"
_MAX_SESSIONS = 256

_COMMENTS = rb"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
_IS_INSERT = re.compile(_COMMENTS + rb"INSERT\b", re.IGNORECASE | re.DOTALL)
_INSERT_WITH_DATA = re.compile(
    rb"(" + _COMMENTS + rb"INSERT\s+INTO\b[^;]*?)\s+FORMAT\s+(\w+)[ \t]*\r?\n", re.IGNORECASE | re.DOTALL
)
_ENDS_WITH_FORMAT = re.compile(rb"\bFORMAT\s+(\w+)[\s;]*$", re.IGNORECASE)


class QueryError(Exception):
    """An error of ClickHouse's: its code, and what it says."""

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
        """Give it back to the engine."""
        self._connection.close()

    def prepare(self, database: str, settings: Mapping[str, str]) -> None:
        """Enter a database; let these settings hold, and those of the request before no more."""
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
        """Run a statement; return what it prints and ClickHouse's summary of it.

        Raises:
            QueryError: the engine refuses.
        """
        if (insert := _INSERT_WITH_DATA.match(statement)) and insert.end() < len(statement):
            return b"", self._insert(insert[1].decode(), insert[2].decode(), statement[insert.end() :])
        result = self._run(statement, output, params)
        body: bytes = result.bytes()
        is_insert = _IS_INSERT.match(statement) is not None
        if not body and not is_insert and _format_of(statement, output) == "Native":
            body = self._native_header(statement, params)
        rows, size = result.storage_rows_read(), result.storage_bytes_read()
        return body, _summary("written" if is_insert else "read", rows, size, result.elapsed())

    def _insert(self, statement: str, data_format: str, data: bytes) -> dict[str, str]:
        """Stream the data in; within a statement the engine takes a blank line in it for its end."""
        with _engine_errors():
            stream = self._connection.send_insert(statement, data_format)
            try:
                stream.append(data)
                result = stream.finish()
            finally:
                stream.cancel()
        return _summary("written", result.rows_written, result.bytes_written, result.elapsed)

    def _native_header(self, statement: bytes, params: Mapping[str, str]) -> bytes:
        """Name the columns of a result without rows: a server does, the embedded engine prints nothing."""
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
    """Turn chdb's errors into ClickHouse's: without what it prepends, and without the version, which we append."""
    try:
        yield
    except RuntimeError as error:
        text = re.sub(r" \(version [^)]*\)$", "", str(error))
        code = re.search(r"Code: (\d+)\.", text)
        raise QueryError(int(code[1]) if code else 1002, text[code.start() :] if code else text) from None


def _summary(verb: str, rows: int, size: int, seconds: float) -> dict[str, str]:
    """Return what `X-ClickHouse-Summary` says; its numbers are texts."""
    return {f"{verb}_rows": str(rows), f"{verb}_bytes": str(size), "elapsed_ns": str(int(seconds * 1e9))}


def _identifier(name: str) -> bytes:
    return b"`" + name.encode().replace(b"\\", b"\\\\").replace(b"`", b"\\`") + b"`"


def _literal(text: str) -> bytes:
    return b"'" + text.encode().replace(b"\\", b"\\\\").replace(b"'", b"\\'") + b"'"


def _format_of(statement: bytes, default: str) -> str:
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


class Engine:
    """The one engine of this process, and the sessions that are open on it."""

    def __init__(self, directory: str) -> None:
        """Start it on a directory; importing chdb is most of the time that takes."""
        # chdb can do without pyarrow, which costs half of its import and serves only results as Python objects.
        sys.modules.setdefault("pyarrow", None)  # type: ignore[arg-type]
        import chdb

        self._connect: Callable[[], Any] = lambda: chdb.connect(directory)
        self._first = Connection(self._connect())  # keeps the engine up between two requests
        self._sessions: OrderedDict[str, Connection] = OrderedDict()
        self._lock = threading.Lock()
        facts, _ = self._first.run(b"SELECT version(), timezone()", "TabSeparated", {})
        self.version, self.timezone = facts.decode().rstrip("\n").split("\t")

    @contextmanager
    def connection(self, session_id: str) -> Iterator[Connection]:
        """Lend a session's connection, or a fresh one.

        Raises:
            QueryError: another request of that session is not done.
        """
        if not session_id:
            with closing(Connection(self._connect())) as fresh:
                yield fresh
            return
        session = self._session(session_id)
        if not session.busy.acquire(blocking=False):
            raise QueryError(373, f"Code: 373. DB::Exception: Session {session_id} is locked. (SESSION_IS_LOCKED)")
        try:
            yield session
        finally:
            session.busy.release()

    def _session(self, session_id: str) -> Connection:
        with self._lock:
            if session_id not in self._sessions:
                self._sessions[session_id] = Connection(self._connect())
            self._sessions.move_to_end(session_id)
            while len(self._sessions) > _MAX_SESSIONS and not next(iter(self._sessions.values())).busy.locked():
                self._sessions.popitem(last=False)[1].close()
            return self._sessions[session_id]


class Handler(BaseHTTPRequestHandler):
    """One client's connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave in one packet
    server: Server

    def do_GET(self) -> None:
        """Answer a ping, or run the query in the URL."""
        self._answer(b"")

    def do_POST(self) -> None:
        """Run the query in the URL and the body."""
        self._answer(self._body())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """Keep quiet: a URL may hold a password."""

    def _answer(self, body: bytes) -> None:
        url = urllib.parse.urlsplit(self.path)
        given = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        query_id = given.get("query_id") or str(uuid.uuid4())
        if url.path == "/ping" or (url.path == "/" and self.command == "GET" and not given):
            self._send(200, b"Ok.\n", {})
            return
        try:
            self._log_in(given)
            content, headers = self._query(given, self._decoded(body))
        except QueryError as error:
            text = f"{error} (version {self.server.engine.version} (official build))\n"
            headers = {"X-ClickHouse-Exception-Code": str(error.code), "X-ClickHouse-Query-Id": query_id}
            self._send(_STATUS.get(error.code, 500), text.encode(), headers)
        else:
            self._send(200, content, headers | {"X-ClickHouse-Query-Id": query_id})

    def _query(self, given: dict[str, str], body: bytes) -> tuple[bytes, dict[str, str]]:
        content_type = self.headers.get("Content-Type", "")
        if content_type.startswith("multipart/form-data"):
            given, body = given | _form_fields(content_type, body), b""
        statement = b"\n".join(filter(None, (given.get("query", "").encode(), body)))
        if not statement.strip():
            raise QueryError(62, "Code: 62. DB::Exception: Empty query. (SYNTAX_ERROR)")
        output = self.headers.get("X-ClickHouse-Format") or given.get("default_format") or "TabSeparated"
        database = self.headers.get("X-ClickHouse-Database") or given.get("database") or ""
        params = {name.removeprefix("param_"): text for name, text in given.items() if name.startswith("param_")}
        settings = {name: text for name, text in given.items() if name not in _INTERFACE and name[:6] != "param_"}
        with self.server.engine.connection(given.get("session_id", "")) as connection:
            connection.prepare(database, settings)
            content, summary = connection.run(statement, output, params)
        used = _format_of(statement, output)
        return content, {
            "Content-Type": _CONTENT_TYPES.get(used, _TEXT),
            "X-ClickHouse-Format": used,
            "X-ClickHouse-Summary": json.dumps(summary),
        }

    def _log_in(self, given: Mapping[str, str]) -> None:
        user = self.headers.get("X-ClickHouse-User") or given.get("user", _USER)
        password = self.headers.get("X-ClickHouse-Key") or given.get("password", "")
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            with suppress(binascii.Error, UnicodeDecodeError):
                user, _, password = base64.b64decode(token).decode().partition(":")
        if user != _USER or not hmac.compare_digest(password.encode(), self.server.password.encode()):
            what = "Authentication failed: password is incorrect, or there is no user with such name"
            raise QueryError(516, f"Code: 516. DB::Exception: {user}: {what}. (AUTHENTICATION_FAILED)")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = bytearray()
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return bytes(body)

    def _decoded(self, body: bytes) -> bytes:
        encoding = self.headers.get("Content-Encoding", "identity")
        try:
            return _DECODERS[encoding](body) if body else body
        except KeyError:
            raise QueryError(
                48, f"Code: 48. DB::Exception: Unknown compression {encoding}. (NOT_IMPLEMENTED)"
            ) from None

    def _send(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        always = {
            "Content-Type": _TEXT,
            "Content-Length": str(len(content)),
            "X-ClickHouse-Server-Display-Name": "embedded",
            "X-ClickHouse-Timezone": self.server.engine.timezone,
        }
        for name, value in (always | dict(headers)).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _form_fields(content_type: str, body: bytes) -> dict[str, str]:
    """Read the fields of a form; clients send long queries and parameters as one."""
    raw = b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body
    message = email.message_from_bytes(raw, policy=email.policy.HTTP)
    fields: dict[str, str] = {}
    for part in message.iter_parts():
        if part.get_filename():
            raise QueryError(48, "Code: 48. DB::Exception: External tables are not served here. (NOT_IMPLEMENTED)")
        payload = part.get_payload(decode=True)
        name = part.get_param("name", header="content-disposition")
        fields[str(name)] = payload.decode() if isinstance(payload, bytes) else ""
    return fields


def _decompressed_lz4(body: bytes) -> bytes:
    """Decompress every frame: clients send one for each block of rows."""
    frames = importlib.import_module("lz4.frame")
    content: bytes = frames.open(io.BytesIO(body)).read()
    return content


def _decompressed_zstd(body: bytes) -> bytes:
    zstd = importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    content: bytes = zstd.decompress(body)
    return content


_DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "identity": bytes,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "lz4": _decompressed_lz4,
    "zstd": _decompressed_zstd,
}
"""The libraries of the last two are the client's own dependencies, and imported when first used."""


class Server(ThreadingHTTPServer):
    """The listening socket; a thread for each client."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], engine: Engine, password: str) -> None:
        """Listen: from here on, clients are answered."""
        self.engine = engine
        self.password = password
        super().__init__(address, Handler)


def main() -> None:
    """Serve until a signal ends the process; what it held in memory need not be saved."""
    parser = argparse.ArgumentParser(description="ClickHouse's HTTP interface in front of chdb.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", required=True, help="directory of the databases")
    options = parser.parse_args()
    password = os.environ.get("CLICKHOUSE_PASSWORD")
    if not password:
        parser.error("CLICKHOUSE_PASSWORD is not set")
    Server((options.host, options.port), Engine(options.data), password).serve_forever()


if __name__ == "__main__":
    main()
