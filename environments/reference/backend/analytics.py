"""Analytics in ClickHouse, over its HTTP interface: written in the background, absent without harm."""

# ruff: noqa: D102 - the Protocol says once what each method means

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import httpx
from pydantic import SecretStr

TABLE = """
CREATE TABLE IF NOT EXISTS agent_events (
    time DateTime64(6, 'UTC'), user_id String, thread_id String, run_id String, agent String, event String,
    duration Float64
) ENGINE = MergeTree ORDER BY (user_id, time)
"""

FORGET = "ALTER TABLE agent_events DELETE WHERE user_id = {user:String} SETTINGS mutations_sync = 1"

PATIENCE = 3.0
"""Seconds that events wait for ClickHouse to answer, before they are dropped and counted."""

logger = logging.getLogger("reference")


class Analytics(Protocol):
    """Where events of agent runs go."""

    available: bool

    def record(self, *, user_id: str, **event: Any) -> None:
        """Take an event of a user's; never blocks, never fails."""
        ...

    async def events(self, user_id: str) -> list[dict[str, Any]] | None:
        """Return the user's last 100 events, oldest first; None: analytics cannot be read now."""
        ...

    def dropped(self, user_id: str) -> int:
        """Return how many events of the user's were lost to this worker."""
        ...

    def forget(self, user_id: str) -> None:
        """Delete the user's events, those on their way too; never blocks, never fails."""
        ...


class NoAnalytics:
    """Analytics of an environment without ClickHouse: none."""

    available = False

    def record(self, *, user_id: str, **event: Any) -> None:
        pass

    async def events(self, user_id: str) -> None:  # noqa: ARG002
        return None

    def dropped(self, user_id: str) -> int:  # noqa: ARG002
        return 0

    def forget(self, user_id: str) -> None:
        pass


class ClickHouse:
    """Events in one table. An event may be visible a moment after the run that caused it has ended."""

    available = True

    def __init__(self, url: SecretStr, client: httpx.AsyncClient) -> None:
        parts = urlsplit(url.get_secret_value())
        self._url = f"{parts.scheme}://{parts.hostname}:{parts.port or (8443 if parts.scheme == 'https' else 8123)}/"
        self._headers = {
            "X-ClickHouse-User": unquote(parts.username or "default"),
            "X-ClickHouse-Key": unquote(parts.password or ""),
        }
        self._database = parts.path.strip("/") or "default"
        self._client = client
        self._queue: asyncio.Queue[dict[str, Any] | str] = asyncio.Queue(maxsize=10_000)
        """Events to write, and the ids of users to forget, in their order."""
        self._dropped: Counter[str] = Counter()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[ClickHouse]:
        """Write in the background while the body runs."""
        task = asyncio.create_task(self._write())
        try:
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def record(self, *, user_id: str, **event: Any) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        try:
            self._queue.put_nowait({"time": now, "user_id": user_id, **event})
        except asyncio.QueueFull:
            self._dropped[user_id] += 1

    def dropped(self, user_id: str) -> int:
        return self._dropped[user_id]

    def forget(self, user_id: str) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait(user_id)

    async def events(self, user_id: str) -> list[dict[str, Any]] | None:
        query = (
            "SELECT * FROM (SELECT * FROM agent_events WHERE user_id = {user:String} ORDER BY time DESC LIMIT 100)"
            " ORDER BY time FORMAT JSONEachRow"
        )
        try:
            text = await self._send(query, param_user=user_id)
        except httpx.HTTPError:
            return None
        return [json.loads(line) for line in text.splitlines()]

    async def ping(self) -> None:
        """Ask for one row; raise when there is no answer."""
        await self._send("SELECT 1")

    async def _send(self, query: str, body: str = "", **parameters: str) -> str:
        answer = await self._client.post(
            self._url,
            params={"database": self._database, "query": query, **parameters},
            content=body,
            headers=self._headers,
        )
        answer.raise_for_status()
        return answer.text

    async def _write(self) -> None:
        table_exists = False
        answered = time.monotonic()
        batch: list[dict[str, Any] | str] = []
        while True:
            if not batch:
                batch.append(await self._queue.get())
                answered = time.monotonic()
            while not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                if not table_exists:
                    await self._send(TABLE)
                    table_exists = True
                while batch:
                    events = list(itertools.takewhile(lambda each: isinstance(each, dict), batch))
                    if events:
                        await self._send(
                            "INSERT INTO agent_events FORMAT JSONEachRow", "\n".join(map(json.dumps, events))
                        )
                    else:
                        await self._send(FORGET, param_user=str(batch[0]))
                    del batch[: max(1, len(events))]
                    answered = time.monotonic()
            except httpx.HTTPError as error:
                # The batch is kept for when it is back; what a user wants forgotten, however long that takes.
                logger.warning("analytics wait: %s", type(error).__name__)
                table_exists = False
                if time.monotonic() - answered > PATIENCE:
                    self._dropped.update(each["user_id"] for each in batch if isinstance(each, dict))
                    batch = [each for each in batch if not isinstance(each, dict)]
                await asyncio.sleep(0.5)
