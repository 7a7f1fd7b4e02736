"""Deliberate cross-user bugs, for tests only: who searches for leaks must have found some.

PLANTED_LEAK names a file. Which bugs there are at a moment, that file says: threads, state, events, context, or none.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from environments.reference.backend import agents, connection, parts, store
from environments.reference.backend.redis_side import State
from environments.reference.backend.store import Message, Store, Thread

ENVIRONMENT = "leaky"
"""The one environment in which they are admitted."""

_switch = Path()


def plant(switch: Path, environment: str) -> None:
    """Put the bugs in place, to be switched on by a file.

    Raises:
        SystemExit: this is no environment for them.
    """
    if environment != ENVIRONMENT:
        raise SystemExit(
            f"backend: PLANTED_LEAK is refused in {environment!r}: it is for tests, in {ENVIRONMENT!r} alone"
        )
    global _switch  # noqa: PLW0603  a process has one, and the bugs stand where nobody hands anything on
    _switch = switch
    for module, name, leaky in (
        (parts, "Store", LeakyStore),
        (parts, "State", LeakyState),
        (connection, "Connection", LeakyConnection),
        (agents, "before", _leaky_before),
    ):
        setattr(module, name, leaky)


def _leaks(name: str) -> bool:
    return name in _switch.read_text().split()


class LeakyStore(Store):
    """`threads`: finds a thread by its id alone, and lists everybody's."""

    async def thread(self, user_id: str, thread_id: UUID) -> Thread | None:
        """Return a thread, whoever asks."""
        if not _leaks("threads"):
            return await super().thread(user_id, thread_id)
        return next((each for each in await self.threads(user_id) if each.thread_id == thread_id), None)

    async def threads(self, user_id: str) -> list[Thread]:
        """Return everybody's threads."""
        if not _leaks("threads"):
            return await super().threads(user_id)
        rows = await self._database.rows("SELECT id AS thread_id, title, created_at FROM backend.threads")
        return [Thread(**row) for row in rows]


class LeakyState(State):
    """`state`: forgets the user in the cache's key."""

    async def get(self, user_id: str, key: str) -> Any:
        """Return what anybody put there last."""
        return await super().get("everybody" if _leaks("state") else user_id, key)

    async def put(self, user_id: str, key: str, value: Any) -> None:
        """Set it for everybody."""
        await super().put("everybody" if _leaks("state") else user_id, key, value)


class LeakyConnection(connection.Connection):
    """`events`: tells each event to every connection."""

    _all: set[LeakyConnection] = set()  # noqa: RUF012  shared, which is the bug

    async def run(self) -> None:
        """Talk, and be told."""
        self._all.add(self)
        try:
            await super().run()
        finally:
            self._all.discard(self)

    async def _emit(self, thread_id: UUID, happened: dict[str, Any]) -> None:
        await super()._emit(thread_id, happened)
        for each in self._all - {self} if _leaks("events") else ():
            await each._outbox.put(happened)  # noqa: SLF001  our own class


_told: list[Message] = []


def _leaky_before(messages: Sequence[Message], message_id: int, most: int) -> list[Message]:
    """`context`: show the model what everybody has told it."""
    if not _leaks("context"):
        return store.before(messages, message_id, most)
    _told.extend(message for message in messages if message not in _told)
    return store.before(sorted(_told, key=lambda message: message.message_id), message_id, most)
