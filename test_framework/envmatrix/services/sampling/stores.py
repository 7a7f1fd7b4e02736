"""What stores say of themselves: connections and locks of PostgreSQL; memory, keys and clients of Redis."""

from __future__ import annotations

import re
import select
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from envmatrix.runs.samples import Metric
from envmatrix.safety.unpatched import REAL
from envmatrix.services.clients import postgres
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.kinds.resp import ask

if TYPE_CHECKING:
    import psycopg

_SECONDS = 1.0
"""Seconds that a store has to answer: one that is late is left out of that sample."""

_POSTGRES = b"""
SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()),
       count(*) FILTER (WHERE granted), count(*) FILTER (WHERE NOT granted) FROM pg_locks WHERE pid <> pg_backend_pid()
"""


class PostgresReader:
    """Asks one PostgreSQL server over a connection that it keeps: the server starts a process for each."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._connection: psycopg.Connection[Any] | None = None

    def read(self, endpoint: Endpoint) -> dict[str, float]:
        """Return what it says.

        Raises:
            Exception: it does not answer, or not in time.
        """
        if self._connection is None:
            self._connection = self._open.enter_context(postgres(endpoint))
        try:
            values = _row(self._connection, _POSTGRES)
        except BaseException:
            self.close()
            raise
        return dict(zip((Metric.CONNECTIONS, Metric.LOCKS, Metric.WAITING), values, strict=True))

    def close(self) -> None:
        """Close the connection, also in the middle of an answer."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._open.close()


def _row(connection: psycopg.Connection[Any], query: bytes) -> list[float]:
    """Return the one row of a query, by libpq itself: psycopg has no deadline for an answer.

    Raises:
        TimeoutError: there was none in time.
    """
    libpq = connection.pgconn
    libpq.send_query(query)
    libpq.flush()
    end = REAL.clock() + _SECONDS
    while libpq.is_busy():
        if not select.select([libpq.socket], [], [], max(0.0, end - REAL.clock()))[0]:
            raise TimeoutError
        libpq.consume_input()
    row = libpq.get_result()
    libpq.get_result()  # the end of the answer
    return [float(row.get_value(0, column) or 0) for column in range(row.nfields)] if row else []


class RedisReader:
    """Asks one Redis server, each time over a connection of its own, which costs it nothing."""

    def read(self, endpoint: Endpoint) -> dict[str, float]:
        """Return what it says.

        Raises:
            Exception: it does not answer, or not in time.
        """
        sections = [("INFO", section) for section in ("clients", "memory", "keyspace")]
        text = "\n".join(ask(endpoint, sections, _SECONDS)[0])
        said = dict(re.findall(r"^(\w+):(\d+)\r?$", text, re.MULTILINE))
        keys = sum(map(int, re.findall(r"^db\d+:keys=(\d+)", text, re.MULTILINE)))
        connections = int(said["connected_clients"]) - 1  # our own
        return {Metric.CONNECTIONS: connections, Metric.MEMORY: int(said["used_memory"]), Metric.KEYS: keys}

    def close(self) -> None:
        """Do nothing: nothing is kept."""


READERS: dict[str, type[PostgresReader | RedisReader]] = {"postgres": PostgresReader, "redis": RedisReader}
"""Kind → what asks it."""
