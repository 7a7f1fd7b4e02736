"""What the rules about connections look for: who refused or broke one, and whether that was the environment."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from envmatrix.causes import matchers
from envmatrix.causes.facts import Facts
from envmatrix.causes.matchers import is_of, line_of, who_answers
from envmatrix.safety.unpatched import text_of

_LOST = {
    "builtins": ("ConnectionError",),
    "socket": ("gaierror",),
    "ssl": ("SSLCertVerificationError",),
    "httpx": ("TransportError",),
    "httpcore": ("NetworkError", "ProtocolError"),
    "websockets": ("ConnectionClosedError",),
    "openai": ("APIConnectionError",),
    "psycopg": ("OperationalError", "InterfaceError"),
    "psycopg2": ("OperationalError", "InterfaceError"),
    "sqlalchemy": ("OperationalError", "InterfaceError"),
    "asyncpg": ("PostgresConnectionError", "InterfaceError"),
    "redis": ("ConnectionError", "TimeoutError"),
    "clickhouse_connect": ("OperationalError",),
    "requests": ("ConnectionError",),
    "aiohttp": ("ClientConnectionError",),
}
"""Library → what it raises where a connection was refused or lost. A class of the project's own is none of these."""

_LEAVING = frozenset({1001, 1012, 1013})
"""RFC 6455, 7.4.1, and IANA's registry: going away, service restart, try again later."""

_FATAL = re.compile(
    r"FATAL: +(?! |the database system is|sorry, too many clients|remaining connection|terminating)(.*)"
)
"""PostgreSQL's refusal of a login, in libpq's error, which has no SQLSTATE; not of a server that starts or is full."""


def connection_lost(facts: Facts) -> str | None:
    """Match what clients raise when a connection is refused or lost."""
    error = next(_lost(facts), None)
    return f"{line_of(error)}; and yet {who_answers(facts)}" if error is not None else None


def not_survived(facts: Facts) -> str | None:
    """Match, in a variant, what would be put down to an outage elsewhere."""
    if not facts.variant:
        return None
    looks = (
        matchers.work_undone,
        matchers.cut_short,
        matchers.deadline_passed,
        matchers.gateway_spoke,
        connection_lost,
    )
    seen = next(filter(None, (look(facts) for look in looks)), None)
    return f"{facts.variant} was not survived: {seen}" if seen else None


def was_opened(facts: Facts) -> bool:
    """Return whether the test's last request broke on a connection that had been opened: somebody was there to take it."""
    return any(is_of(each, "httpx", "ReadError", "WriteError", "RemoteProtocolError") for each in facts.exceptions)


def server_refused(facts: Facts) -> str | None:
    """Match a refusal that a server put in words, to a client of the test's own: what is declared was not refused."""
    for error in facts.exceptions:
        if (code := _close_code(error)) and code not in _LEAVING:
            return f"the server closed the WebSocket: {line_of(error)}"
        if is_of(error, "redis", "AuthenticationError", "AuthorizationError"):
            return f"the server refused the login: {line_of(error)}"
        is_database = any(is_of(error, library, "OperationalError") for library in _DATABASES)
        if is_database and (refusal := _FATAL.search(text_of(error))):
            return f"the server refused the login: {refusal[1]}"
    untrusted = (error for error in _lost(facts) if _UNTRUSTED.search(text_of(error)))
    if (error_ := next(untrusted, None)) is not None:
        return f"the client does not trust the server's certificate: {line_of(error_)}"
    return None


_UNTRUSTED = re.compile("certificate.verify.failed", re.IGNORECASE)
"""OpenSSL's words: httpx and libpq keep nothing else of its error."""


_DATABASES = ("psycopg", "psycopg2", "sqlalchemy")


def _close_code(error: BaseException) -> int:
    """Return the close code that the other side sent; 0 where it sent none."""
    received: Any = getattr(error, "rcvd", None)
    return int(received.code) if is_of(error, "websockets", "ConnectionClosedError") and received is not None else 0


def asked_elsewhere(facts: Facts) -> str | None:
    """Match a client's own mistake: an address that the environment does not declare, or one that cannot be."""
    for each in facts.exceptions:
        if is_of(each, "httpx", "UnsupportedProtocol", "LocalProtocolError"):
            return f"the request cannot be sent: {line_of(each)}"
    error = next(_lost(facts), None)
    target = next(filter(None, map(_target, facts.exceptions)), None)
    if error is None or target is None:
        return None
    words = " ".join(text_of(each) for each in facts.exceptions)
    is_unknown = _UNKNOWN.search(words) is not None
    if not is_unknown and not _REFUSED.search(words):
        return None
    if any(target.may_be(address, is_unknown=is_unknown) for address in facts.addresses.values()):
        return None
    declared = ", ".join(
        f"{name} is at {address}" if address else f"{name} was not started"
        for name, address in sorted(facts.addresses.items())
    )
    return f"{line_of(error)}; {target} is no address of this environment ({declared or 'it declares no service'})"


_REFUSED = re.compile(r"refused|Errno 111|Connect call failed", re.IGNORECASE)
_UNKNOWN = re.compile(r"not known|resolve host|translate host name|No address associated|nodename nor servname")
"""Of a connection that was never opened: nobody listens, or the name is unknown; in the system's and libpq's words."""


@dataclass(frozen=True, slots=True)
class _Target:
    """The host that a client wanted to connect to; the port is 0 where it is not known."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.port else self.host

    def may_be(self, address: str, *, is_unknown: bool) -> bool:
        """Return whether a declared address may be the same; a name that is known may stand for a number."""
        host, _, port = address.rpartition(":")
        if self.port and str(self.port) != port:
            return False
        return _plain(host) == _plain(self.host) or (not is_unknown and _is_number(host) != _is_number(self.host))


def _plain(host: str) -> str:
    return "127.0.0.1" if host.lower() in {"localhost", "::1", "[::1]"} else host.lower()


def _is_number(host: str) -> bool:
    return re.fullmatch(r"[\d.]+|.*:.*", _plain(host)) is not None


_ADDRESS = re.compile(
    r"connecting to (?P<redis>[^\s:]+):(?P<redis_port>\d+)"
    r'|at "(?P<libpq>[^"]+)"[^,]*, port (?P<libpq_port>\d+)'
    r"|host='(?P<urllib3>[^']+)', port=(?P<urllib3_port>\d+)"
    r"|to host (?P<aiohttp>[^\s:]+):(?P<aiohttp_port>\d+)"
    r"|resolve host '(?P<name>[^']+)'"
)
"""How clients name the address in the texts of their errors."""


def _target(error: BaseException) -> _Target | None:
    """Return the address that a client tried: out of its error, else of the call that opens a connection."""
    if match := _ADDRESS.search(text_of(error)):
        host, *port = (value for value in match.groups() if value is not None)
        return _Target(host, int(port[0]) if port else 0)
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        host, port_ = frame.f_locals.get("host"), frame.f_locals.get("port")
        if isinstance(host, str) and isinstance(port_, int):
            return _Target(host, port_)
    return None


def _lost(facts: Facts) -> Iterator[BaseException]:
    """Yield the errors of connections that were refused or lost."""
    for error in facts.exceptions:
        if any(is_of(error, library, *names) for library, names in _LOST.items()) and not _was_answered(error):
            yield error


def _was_answered(error: BaseException) -> bool:
    """Return whether a database itself refused, over a connection that is fine: a lock, say, by its SQLSTATE."""
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    return isinstance(state, str) and not state.startswith(("08", "57P"))  # connection lost, server shutting down
