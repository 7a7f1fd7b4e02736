"""Deliberate cross-user bugs, for tests only: who searches for leaks must have found some.

A backend plants them where PLANTED_LEAK names them, and only in an environment that is called `leaky`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from environments.reference.backend import agents, connection, parts, store
from environments.reference.backend.redis_side import State
from environments.reference.backend.store import Message, Store, Thread

ENVIRONMENT = "leaky"


class LeakyStore(Store):
    """Asks for a thread by its id alone, and lists everybody's."""

    async def thread(self, user_id: str, thread_id: UUID) -> Thread | None:
        """Return a thread, whoever asks."""
        return next((each for each in await self.threads(user_id) if each.thread_id == thread_id), None)

    async def threads(self, user_id: str) -> list[Thread]:  # noqa: ARG002  which is the bug
        """Return everybody's threads."""
        rows = await self._database.rows("SELECT id AS thread_id, title, created_at FROM backend.threads")
        return [Thread(**row) for row in rows]


class LeakyState(State):
    """Forgets the user in the key."""

    async def get(self, user_id: str, key: str) -> Any:  # noqa: ARG002  which is the bug
        """Return what anybody put there last."""
        return await super().get("everybody", key)

    async def put(self, user_id: str, key: str, value: Any) -> None:  # noqa: ARG002  which is the bug
        """Set it for everybody."""
        await super().put("everybody", key, value)


class LeakyConnection(connection.Connection):
    """Tells each event to every connection."""

    _all: set[LeakyConnection] = set()  # noqa: RUF012  shared, which is the bug

    async def run(self) -> None:
        """Talk, and be told."""
        self._all.add(self)
        try:
            await super().run()
        finally:
            self._all.discard(self)

    async def _emit(self, thread_id: UUID, happened: dict[str, Any]) -> None:  # noqa: ARG002  which is the bug
        for each in tuple(self._all):
            await each._outbox.put(happened)  # noqa: SLF001  our own class


def _leaky_history() -> Any:
    told: list[Message] = []

    def before(messages: Sequence[Message], message_id: int, most: int) -> list[Message]:
        told.extend(message for message in messages if message not in told)
        return store.before(sorted(told, key=lambda message: message.message_id), message_id, most)

    return before


def plant(names: str, environment: str) -> None:
    """Plant the bugs named, separated by commas: threads, state, events, context.

    Raises:
        SystemExit: this is no environment for them, or there is no such bug.
    """
    if environment != ENVIRONMENT:
        raise SystemExit(
            f"backend: PLANTED_LEAK is refused in {environment!r}: it is for tests, in {ENVIRONMENT!r} alone"
        )
    bugs: dict[str, tuple[Any, str, Any]] = {
        "threads": (parts, "Store", LeakyStore),
        "state": (parts, "State", LeakyState),
        "events": (connection, "Connection", LeakyConnection),
        "context": (agents, "before", _leaky_history()),
    }
    for name in names.split(","):
        if name not in bugs:
            raise SystemExit(f"backend: PLANTED_LEAK names {name!r}; there are {', '.join(bugs)}")
        setattr(*bugs[name])
