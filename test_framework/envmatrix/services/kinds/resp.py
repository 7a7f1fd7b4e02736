"""The part of the Redis protocol that a ping needs: importing the client library takes half a second."""

from __future__ import annotations

import socket
import ssl
import urllib.parse
from collections.abc import Iterable
from typing import BinaryIO

from envmatrix.runs.ping import Certificate
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.probes.reason import NoAnswerError, RefusedError
from envmatrix.services.probes.tls import certificate_of, client_context

_MAX_REPLY = 1 << 16
"""Bytes. INFO answers some thousand; a server that says more is not asked further."""


def ask(
    endpoint: Endpoint, commands: Iterable[tuple[str, ...]], seconds: float
) -> tuple[list[str], Certificate | None]:
    """Log in, send each command and return the replies, and the server's certificate, None without one.

    An error reply comes as `-CODE text`.

    Raises:
        RefusedError: the login is refused.
        NoAnswerError: the server speaks another protocol.
        OSError: the server cannot be reached, or a read takes more than `seconds`.
    """
    user, password = endpoint.user, endpoint.field("password")
    login = [("AUTH", user, password) if user else ("AUTH", password)] if password else []
    with socket.create_connection((endpoint.host, endpoint.port), seconds) as plain:
        scheme = urllib.parse.urlsplit(endpoint.field("url")).scheme
        secure = (
            client_context(endpoint).wrap_socket(plain, server_hostname=endpoint.host) if scheme == "rediss" else plain
        )
        with secure, secure.makefile("rb") as stream:
            secure.sendall(b"".join(_encoded(command) for command in [*login, *commands]))
            for _ in login:
                if (refusal := _reply(stream)) != "+OK":
                    raise RefusedError(f"login refused: {refusal.removeprefix('-')}")
            certificate = certificate_of(secure) if isinstance(secure, ssl.SSLSocket) else None
            return [_reply(stream) for _ in commands], certificate


def _encoded(command: tuple[str, ...]) -> bytes:
    words = [word.encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def _reply(stream: BinaryIO) -> str:
    """Return a simple or an error reply with its mark, a bulk reply as its text."""
    line = stream.readline(_MAX_REPLY)
    if not line.endswith(b"\r\n"):
        raise ConnectionResetError
    text = line[:-2].decode(errors="replace")
    match text[:1]:
        case "+" | "-":
            return text
        case "$" if text[1:].isdecimal() and int(text[1:]) < _MAX_REPLY:
            bulk = stream.read(int(text[1:]) + 2)
            if not bulk.endswith(b"\r\n"):
                raise ConnectionResetError
            return bulk[:-2].decode(errors="replace")
        case _:
            raise NoAnswerError(f"answers no Redis: {text[:60]!r}")
