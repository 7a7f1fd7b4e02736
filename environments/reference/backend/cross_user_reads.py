"""Deliberate bugs that let one user read another's words: tests of the conformance suite must find them.

CROSS_USER_READS names a file, which lists the bugs that are on at the moment: threads, state, events, context, or none.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from environments.reference.backend import agents, connection, parts, store
from environments.reference.backend.redis_side import State
from environments.reference.backend.store import Message, Store, Thread

ENVIRONMENT = "planted"
"""The only environment in which they are allowed."""

_switch = Path()


def plant(switch: Path, environment: str) -> None:
    """Put the bugs in place; a file switches each on.

    Raises:
        SystemExit: the environment is another one.
    """
    if environment != ENVIRONMENT:
        raise SystemExit(
            f"backend: CROSS_USER_READS is refused in {environment!r}: it is for tests, in {ENVIRONMENT!r} alone"
        )
    global _switch  # noqa: PLW0603  the bugs replace classes, which get no further arguments
    _switch = switch
    for module, name, shared in (
        (parts, "Store", SharedStore),
        (parts, "State", SharedState),
        (connection, "Connection", SharedConnection),
        (agents, "before", _shared_before),
    ):
        setattr(module, name, shared)


def _is_on(name: str) -> bool:
    return name in _switch.read_text().split()


class SharedStore(Store):
    """`threads`: finds a thread by its id alone, and lists everybody's."""

    async def thread(self, user_id: str, thread_id: UUID) -> Thread | None:
        """Return a thread, whoever asks."""
        if not _is_on("threads"):
            return await super().thread(user_id, thread_id)
        return next((each for each in await self.threads(user_id) if each.thread_id == thread_id), None)

    async def threads(self, user_id: str) -> list[Thread]:
        """Return everybody's threads."""
        if not _is_on("threads"):
            return await super().threads(user_id)
        rows = await self._database.rows("SELECT id AS thread_id, title, created_at FROM backend.threads")
        return [Thread(**row) for row in rows]


class SharedState(State):
    """`state`: forgets the user in the cache's key."""

    async def get(self, user_id: str, key: str) -> Any:
        """Return what anybody put there last."""
        return await super().get("everybody" if _is_on("state") else user_id, key)

    async def put(self, user_id: str, key: str, value: Any) -> None:
        """Set it for everybody."""
        await super().put("everybody" if _is_on("state") else user_id, key, value)


class SharedConnection(connection.Connection):
    """`events`: tells each event to every connection."""

    _all: set[SharedConnection] = set()  # noqa: RUF012  shared, which is the bug

    async def run(self) -> None:
        """Talk, and be told."""
        self._all.add(self)
        try:
            await super().run()
        finally:
            self._all.discard(self)

    async def _emit(self, thread_id: UUID, happened: dict[str, Any]) -> None:
        await super()._emit(thread_id, happened)
        for each in self._all - {self} if _is_on("events") else ():
            await each._outbox.put(happened)  # noqa: SLF001  our own class


_told: list[Message] = []


def _shared_before(messages: Sequence[Message], message_id: int, most: int) -> list[Message]:
    """`context`: show the model what everybody has told it."""
    if not _is_on("context"):
        return store.before(messages, message_id, most)
    _told.extend(message for message in messages if message not in _told)
    return store.before(sorted(_told, key=lambda message: message.message_id), message_id, most)
