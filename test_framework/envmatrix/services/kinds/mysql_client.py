"""Connections to MySQL and MariaDB through PyMySQL: encrypted where that is declared, errors in a few words."""

from __future__ import annotations

import re
import ssl
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from envmatrix.environments import ServiceSpec
from envmatrix.exceptions import ServiceError, UnreachableError
from envmatrix.masking import MASKER
from envmatrix.runs.ping import Certificate
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.probes.probe import Observation
from envmatrix.services.probes.reason import NoAnswerError, RefusedError, reason_of
from envmatrix.services.probes.tls import certificate_of, client_context

if TYPE_CHECKING:
    import pymysql
    from pymysql.cursors import Cursor

VERIFIED = "verify_identity"
"""What `ssl-mode` must be in a URL: the only one of MySQL's modes that knows whom it speaks to."""

_LOCK_SECONDS = 5
"""How long a reset waits for a lock of a connection that it could not end."""
_ACCESS_DENIED, _NO_RIGHT_TO_DATABASE = 1045, 1044
_REFUSALS = frozenset({_ACCESS_DENIED, _NO_RIGHT_TO_DATABASE, 1049, 1698})
"""Error numbers of a wrong login, and of a database that is unknown or not the user's."""


@contextmanager
def session(spec: ServiceSpec, endpoint: Endpoint) -> Iterator[Cursor]:
    """Log in for a few statements, and turn the client's errors into ours.

    Raises:
        ServiceError: the user may make no databases.
        UnreachableError: the server does not answer, or refuses a statement.
    """
    from pymysql.err import Error

    try:
        with (
            _connect(endpoint, max(spec.ping_deadline, _LOCK_SECONDS + 1)) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(
                f"SET SESSION lock_wait_timeout = {_LOCK_SECONDS}, innodb_lock_wait_timeout = {_LOCK_SECONDS}"
            )
            yield cursor
    except Error as error:
        reason = MASKER.mask(_reason(error, spec.ping_deadline))
        if error.args[:1] == (_NO_RIGHT_TO_DATABASE,):
            what = f"cannot be divided: {reason}; it needs GRANT ALL ON `envmatrix\\_%`.*"
            raise ServiceError(spec.name, what) from None
        raise UnreachableError(spec.name, f"does not answer: {reason}") from error


def observed(endpoint: Endpoint, seconds: float) -> Observation:
    """Log in once; the server's version comes with its greeting.

    Raises:
        RefusedError: the login is refused, or there is no such database.
        NoAnswerError: there is no such server.
    """
    from pymysql.err import Error

    try:
        with _connect(endpoint, seconds) as connection:
            greeting = str(connection.get_server_info())  # type: ignore[no-untyped-call]  # types-pymysql has no more
            return Observation(_version(greeting), certificate=_certificate(connection))
    except Error as error:
        refused = error.args[:1] and error.args[0] in _REFUSALS
        raise (RefusedError if refused else NoAnswerError)(_reason(error, seconds)) from error


def ssl_mode(endpoint: Endpoint) -> str:
    """Return the `ssl-mode` of an endpoint's URL, in lower case; empty where it has none."""
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(endpoint.field("url")).query)
    return query.get("ssl-mode", [""])[-1].lower()


def _connect(endpoint: Endpoint, seconds: float) -> pymysql.Connection[Cursor]:
    import pymysql

    is_secure = bool(endpoint.ca_file or ssl_mode(endpoint))
    return pymysql.connect(
        host=endpoint.host,
        port=endpoint.port,
        user=endpoint.user,
        password=endpoint.field("password"),
        database=endpoint.database or None,
        connect_timeout=max(1, round(seconds)),
        read_timeout=max(1, round(seconds)),
        autocommit=True,
        ssl=client_context(endpoint) if is_secure else None,
        ssl_disabled=not is_secure,
    )


def _certificate(connection: pymysql.Connection[Cursor]) -> Certificate | None:
    wire = getattr(connection, "_sock", None)  # PyMySQL has no public name for it
    return certificate_of(wire) if isinstance(wire, ssl.SSLSocket) else None


def _version(greeting: str) -> str:
    """Return `MariaDB 10.11.6` or `MySQL 8.4.2`; MariaDB greets old clients with `5.5.5-` first."""
    name = "MariaDB" if "mariadb" in greeting.lower() else "MySQL"
    return f"{name} {re.split('[-+ ]', greeting.removeprefix('5.5.5-'))[0]}"


def _reason(error: Exception, seconds: float) -> str:
    """Return the reason in a few words: the network's own error, else the server's words without its number."""
    cause = error.__cause__ or error.__context__
    return reason_of(cause, seconds) if isinstance(cause, OSError) else str(error.args[-1] if error.args else error)
