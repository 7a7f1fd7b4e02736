"""The kind `mysql`: MySQL and MariaDB, through PyMySQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar

from envmatrix.environments import ServiceSpec, Source
from envmatrix.exceptions import UsageError
from envmatrix.runs.ping import Ping
from envmatrix.services.endpoint import Endpoint, at_database, endpoint_at
from envmatrix.services.kinds.base import Isolated
from envmatrix.services.kinds.isolation import removing
from envmatrix.services.kinds.left import Left, rows_left, unfinished
from envmatrix.services.kinds.mysql_client import VERIFIED, observed, session, ssl_mode
from envmatrix.services.kinds.part_names import part_name, stale
from envmatrix.services.kinds.url_kind import UrlKind
from envmatrix.services.probes.probe import probe
from envmatrix.services.processes.wheels import need

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

_HOLDERS = """
SELECT p.id FROM information_schema.innodb_trx t JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id
WHERE p.db = database() AND p.id <> connection_id() AND (t.trx_rows_locked > 0 OR t.trx_rows_modified > 0)
"""
"""The connections to this database whose transactions hold locks on rows."""
_LOCK_WAIT = 1205
"""The error number of a lock that was waited for too long."""
_TABLES = (
    "SELECT table_name FROM information_schema.tables WHERE table_schema = database() AND table_type = 'BASE TABLE'"
)


class MySQLKind(UrlKind):
    """`kind = "mysql"`. A worker gets a database of its own."""

    name = "mysql"
    schemes: ClassVar = {"mysql": 3306, "mariadb": 3306}

    def address(self, host: str, port: int, *, tls: bool) -> str:
        """Return the URL of the server, as its user `root`, who needs a password only if the command gives one."""
        return f"mysql://root@{host}:{port}{f'/?ssl-mode={VERIFIED}' if tls else ''}"

    def connect(self, spec: ServiceSpec, url: str) -> Endpoint:
        """Return the endpoint at a mysql or mariadb URL; its path is the database."""
        need("pymysql", "mysql")
        endpoint = endpoint_at(spec, url, schemes=self.schemes, user="root", database="")
        if ssl_mode(endpoint) not in {"", VERIFIED}:
            what = f"service {spec.name!r}: its url asks for another ssl-mode than {VERIFIED}"
            raise UsageError(what, "Without it nothing is encrypted; with it, or a ca_file, the server is verified")
        return endpoint

    def ping(self, spec: ServiceSpec, endpoint: Endpoint, deadline: float) -> Ping:
        """Log in; the server's version comes with its greeting."""
        return probe(spec, deadline, lambda: observed(endpoint, deadline))

    @contextmanager
    def isolate(self, spec: ServiceSpec, endpoint: Endpoint, worker: str) -> Iterator[Isolated]:
        """Create a database, and drop it at the end."""
        name = part_name(worker)
        if spec.source is Source.REMOTE:
            self.drop_parts(spec, endpoint, stale)
        with session(spec, endpoint) as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
        try:
            yield _WorkerDatabase(spec, at_database(endpoint, name))
        finally:
            with removing(spec, f"the database {name}"), session(spec, endpoint) as cursor:
                _drop(cursor, name)

    def drop_parts(self, spec: ServiceSpec, endpoint: Endpoint, choose: Callable[[Iterable[str]], list[str]]) -> None:
        """Drop the chosen databases, as far as we may."""
        from pymysql.err import Error

        with session(spec, endpoint) as cursor:
            cursor.execute("SHOW DATABASES")
            for name in choose(row[0] for row in cursor.fetchall()):
                with suppress(Error):  # another user's, or another run is dropping it
                    _drop(cursor, name)


class _WorkerDatabase:
    """A worker's own database."""

    def __init__(self, spec: ServiceSpec, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._spec = spec

    def reset(self) -> tuple[Left, ...]:
        """End the transactions that hold locks and delete all rows; return how many there were, and the tables with rows."""
        from pymysql.err import OperationalError

        rows: Counter[str] = Counter()
        with session(self._spec, self.endpoint) as cursor:
            cursor.execute("SET foreign_key_checks = 0, innodb_lock_wait_timeout = 1")
            ended = _end(cursor, _HOLDERS)
            try:
                _delete(cursor, rows)
            except OperationalError as error:
                if error.args[0] != _LOCK_WAIT:
                    raise
                ended += _end(cursor, _HOLDERS)  # asked so soon again, the server had shown them as they were before
                _delete(cursor, rows)
        return (*unfinished("transaction", ended), *rows_left(rows.items()))


def _delete(cursor: Cursor, rows: Counter[str]) -> None:
    """Delete all rows, and add their number to their table's."""
    for (table,) in _fetched(cursor, _TABLES):
        quoted = table.replace("`", "``")
        rows[table] += cursor.execute(f"DELETE FROM `{quoted}`")  # noqa: S608  a name of the server's own


def _drop(cursor: Cursor, name: str) -> None:
    """Drop a database; connections to it are ended, which would hold it."""
    _end(cursor, f"SELECT id FROM information_schema.processlist WHERE db = '{name}'")  # noqa: S608  a name of ours
    cursor.execute(f"DROP DATABASE IF EXISTS {name}")


def _end(cursor: Cursor, query: str) -> int:
    """End the connections whose ids a query returns; return how many we could."""
    from pymysql.err import Error

    ended = 0
    with suppress(Error):  # not every user may look at transactions, or end them
        for (connection,) in _fetched(cursor, query):
            cursor.execute(f"KILL {connection}")
            ended += 1
    return ended


def _fetched(cursor: Cursor, query: str) -> Iterable[tuple[Any, ...]]:
    cursor.execute(query)
    return cursor.fetchall()


KIND = MySQLKind()
