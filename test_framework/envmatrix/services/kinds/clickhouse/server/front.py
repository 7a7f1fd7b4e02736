"""The HTTP front: log in, read the query off the request, and write the answer."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import urllib.parse
import uuid
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .connection import QueryError, format_of
from .engine import Engine
from .request_body import decompressed, form_fields, read_body

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
        self._answer(read_body(self.headers, self.rfile))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """Keep quiet: a URL may hold a password."""

    def _answer(self, body: bytes) -> None:
        url = urllib.parse.urlsplit(self.path)
        parameters = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        query_id = parameters.get("query_id") or str(uuid.uuid4())
        if url.path == "/ping" or (url.path == "/" and self.command == "GET" and not parameters):
            self._send(200, b"Ok.\n", {})
            return
        try:
            self._log_in(parameters)
            content, headers = self._query(
                parameters, decompressed(body, self.headers.get("Content-Encoding", "identity"))
            )
        except QueryError as error:
            text = f"{error} (version {self.server.engine.version} (official build))\n"
            headers = {"X-ClickHouse-Exception-Code": str(error.code), "X-ClickHouse-Query-Id": query_id}
            self._send(_STATUS.get(error.code, 500), text.encode(), headers)
        else:
            self._send(200, content, headers | {"X-ClickHouse-Query-Id": query_id})

    def _query(self, parameters: dict[str, str], body: bytes) -> tuple[bytes, dict[str, str]]:
        content_type = self.headers.get("Content-Type", "")
        if content_type.startswith("multipart/form-data"):
            parameters, body = parameters | form_fields(content_type, body), b""
        statement = b"\n".join(filter(None, (parameters.get("query", "").encode(), body)))
        if not statement.strip():
            raise QueryError(62, "Code: 62. DB::Exception: Empty query. (SYNTAX_ERROR)")
        output = self.headers.get("X-ClickHouse-Format") or parameters.get("default_format") or "TabSeparated"
        database = self.headers.get("X-ClickHouse-Database") or parameters.get("database") or ""
        params = {name.removeprefix("param_"): text for name, text in parameters.items() if name.startswith("param_")}
        settings = {name: text for name, text in parameters.items() if name not in _INTERFACE and name[:6] != "param_"}
        with self.server.engine.connection(parameters.get("session_id", "")) as connection:
            connection.prepare(database, settings)
            content, summary = connection.run(statement, output, params)
        used = format_of(statement, output)
        return content, {
            "Content-Type": _CONTENT_TYPES.get(used, _TEXT),
            "X-ClickHouse-Format": used,
            "X-ClickHouse-Summary": json.dumps(summary),
        }

    def _log_in(self, parameters: Mapping[str, str]) -> None:
        user = self.headers.get("X-ClickHouse-User") or parameters.get("user", _USER)
        password = self.headers.get("X-ClickHouse-Key") or parameters.get("password", "")
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            with suppress(binascii.Error, UnicodeDecodeError):
                user, _, password = base64.b64decode(token).decode().partition(":")
        if user != _USER or not hmac.compare_digest(password.encode(), self.server.password.encode()):
            what = "Authentication failed: password is incorrect, or there is no user with such name"
            raise QueryError(516, f"Code: 516. DB::Exception: {user}: {what}. (AUTHENTICATION_FAILED)")

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


class Server(ThreadingHTTPServer):
    """The listening socket; a thread for each client."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], engine: Engine, password: str) -> None:
        """Listen: from here on, clients are answered."""
        self.engine = engine
        self.password = password
        super().__init__(address, Handler)
