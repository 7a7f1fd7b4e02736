"""PostgreSQL for a service that may start before it: connect in the background, answer 503 until then."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any, LiteralString

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from pydantic import SecretStr

from environments.reference.server import UnavailableError

PATIENCE = 3.0
"""Seconds that a request waits for a connection."""

logger = logging.getLogger("reference")
Connection = psycopg.AsyncConnection[DictRow]


class Database:
    """A pool of connections, and the schema created once however many workers start together."""

    def __init__(self, url: SecretStr, schema: LiteralString, *, size: int = 8) -> None:
        self._schema = schema
        self._ready = asyncio.Event()
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url.get_secret_value(),
            connection_class=psycopg.AsyncConnection[DictRow],
            kwargs={"autocommit": True, "row_factory": dict_row},
            min_size=1,
            max_size=size,
            timeout=PATIENCE,
            # Its own retries back off to minutes; given up after a second, the next request begins afresh.
            reconnect_timeout=1,
            check=AsyncConnectionPool.check_connection,
            open=False,
        )
        self._url = url

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Database]:
        """Connect in the background while the body runs; close at its end."""
        connecting = asyncio.create_task(self._connect())
        try:
            yield self
        finally:
            connecting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await connecting
            await self._pool.close(timeout=0.5)

    async def _connect(self) -> None:
        # The pool's own first retry comes after a second; a database that starts beside us is there in a tenth of it.
        pause = 0.002
        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(self._url.get_secret_value(), connect_timeout=3)
                async with connection:
                    # The lock makes workers that start together wait: CREATE … IF NOT EXISTS alone may collide.
                    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('envmatrix reference schema'))")
                    await connection.execute(self._schema)
                break
            except psycopg.OperationalError:
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, 0.25)
            except psycopg.Error:
                logger.exception("the schema cannot be created")
                await asyncio.sleep(1)
        await self._pool.open()
        self._ready.set()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection in autocommit mode.

        Raises:
            UnavailableError: no connection within `PATIENCE`, or it broke in use.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                await self._ready.wait()
            async with self._pool.connection() as connection:
                yield connection
        except (TimeoutError, PoolTimeout, psycopg.OperationalError) as error:
            raise UnavailableError("database") from error

    async def ping(self) -> None:
        """Ask for one row; raise when there is no answer."""
        if not self._ready.is_set():
            raise UnavailableError("database")
        await self.rows("SELECT 1")

    async def rows(self, query: LiteralString, *parameters: object) -> Sequence[dict[str, Any]]:
        """Return all rows of one statement."""
        async with self.connection() as connection:
            cursor = await connection.execute(query, parameters)
            return await cursor.fetchall() if cursor.description else []

    async def row(self, query: LiteralString, *parameters: object) -> dict[str, Any] | None:
        """Return the first row of one statement."""
        rows = await self.rows(query, *parameters)
        return rows[0] if rows else None
