"""What the backend keeps in Redis: per-user state, and events on their way to other connections of the same user."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Any

from pydantic import SecretStr
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from environments.reference.server import UnavailableError

logger = logging.getLogger("reference")

Deliver = Callable[[str, dict[str, Any]], None]
"""Called with the id of the connection that caused the event, and the event."""


def connect(url: SecretStr) -> Redis:
    """Return a client; it connects with its first command."""
    return Redis.from_url(
        url.get_secret_value(),
        decode_responses=True,
        socket_timeout=2,
        socket_connect_timeout=2,
        retry=Retry(NoBackoff(), 1),
    )


class State:
    """A small JSON store per user: one Redis hash each."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def get(self, user_id: str, key: str) -> Any:
        """Return the value; raise KeyError when there is none."""
        with _unavailable():
            text = await self._redis.hget(f"state:{user_id}", key)
        if text is None:
            raise KeyError(key)
        return json.loads(text)

    async def put(self, user_id: str, key: str, value: Any) -> None:
        """Set the value."""
        with _unavailable():
            await self._redis.hset(f"state:{user_id}", key, json.dumps(value))

    async def forget(self, user_id: str) -> None:
        """Delete the user's data."""
        with _unavailable():
            await self._redis.delete(f"state:{user_id}")


class Hub:
    """Carries each event to the same user's other connections, on whichever worker they are.

    One pattern subscription per worker. Channels span Redis database numbers, which is harmless: they carry user ids.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._listeners: dict[str, set[Deliver]] = defaultdict(set)
        self._listening = asyncio.Event()
        self._was_listening = False

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Hub]:
        """Listen in the background while the body runs."""
        task = asyncio.create_task(self._listen())
        try:
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def is_awaited(self) -> bool:
        """Return whether Redis has not answered since the start: the backend begins with it, and goes on without it."""
        return not self._was_listening

    async def ping(self) -> None:
        """Raise unless Redis answers and events would reach us."""
        await self._redis.ping()
        if not self._listening.is_set():
            raise UnavailableError("redis")

    async def publish(self, user_id: str, thread_id: str, origin: str, event: dict[str, Any]) -> None:
        """Send an event to whoever subscribed. Without Redis it is lost to them, never to the one who asked."""
        try:
            await self._redis.publish(_channel(user_id, thread_id), json.dumps({"origin": origin, "event": event}))
        except (RedisError, OSError):
            logger.warning("an event was not fanned out: redis does not answer")

    def subscribe(self, user_id: str, thread_id: str, deliver: Deliver) -> Callable[[], None]:
        """Deliver the thread's events from now on, each once however often this is asked; call the result to stop.

        Raises:
            UnavailableError: Redis is not connected, so events of other workers would be missed.
        """
        if not self._listening.is_set():
            raise UnavailableError("redis")
        channel = _channel(user_id, thread_id)
        self._listeners[channel].add(deliver)

        def unsubscribe() -> None:
            self._listeners[channel].discard(deliver)
            if not self._listeners[channel]:
                del self._listeners[channel]

        return unsubscribe

    async def _listen(self) -> None:
        pause = 0.002
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.psubscribe(_channel("*", "*"))
                    while True:
                        message = await pubsub.get_message(timeout=10)
                        if message and message["type"] == "psubscribe":
                            self._listening.set()
                            self._was_listening = True
                            pause = 0.002
                        elif message:
                            self._dispatch(message["channel"], message["data"])
            except (RedisError, OSError):
                self._listening.clear()
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, 0.25)

    def _dispatch(self, channel: str, data: str) -> None:
        if listeners := self._listeners.get(channel):
            parcel = json.loads(data)
            for deliver in tuple(listeners):
                deliver(parcel["origin"], parcel["event"])


def _channel(user_id: str, thread_id: str) -> str:
    return f"events:{user_id}:{thread_id}"


@contextlib.contextmanager
def _unavailable() -> Any:
    try:
        yield
    except (RedisError, OSError) as error:
        raise UnavailableError("redis") from error
