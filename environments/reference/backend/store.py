"""Threads and their messages, in PostgreSQL. Every statement names the owner, so none can reach another user's rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from environments.reference.database import Database

SCHEMA = """
CREATE SCHEMA IF NOT EXISTS backend;
CREATE TABLE IF NOT EXISTS backend.threads (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL,
    title text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX IF NOT EXISTS threads_of_user ON backend.threads (user_id);
CREATE TABLE IF NOT EXISTS backend.messages (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    thread_id uuid NOT NULL REFERENCES backend.threads ON DELETE CASCADE,
    role text NOT NULL,
    agent text NOT NULL,
    content text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX IF NOT EXISTS messages_of_thread ON backend.messages (thread_id, id);
"""


class Thread(BaseModel):
    """A conversation."""

    thread_id: UUID
    title: str
    created_at: datetime


class Message(BaseModel):
    """One message of a thread."""

    message_id: int
    role: Literal["user", "assistant"]
    agent: str
    """Which agent was asked, or answered."""
    content: str
    created_at: datetime


class Store:
    """The threads and messages of each user."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_thread(self, user_id: str, title: str) -> Thread:
        """Begin a thread."""
        row = await self._database.row(
            "INSERT INTO backend.threads (user_id, title) VALUES (%s, %s) RETURNING id AS thread_id, title, created_at",
            user_id,
            title,
        )
        return Thread.model_validate(row)

    async def threads(self, user_id: str) -> list[Thread]:
        """Return the user's threads, newest first."""
        rows = await self._database.rows(
            "SELECT id AS thread_id, title, created_at FROM backend.threads WHERE user_id = %s"
            " ORDER BY created_at DESC, id",
            user_id,
        )
        return [Thread(**row) for row in rows]

    async def thread(self, user_id: str, thread_id: UUID) -> Thread | None:
        """Return a thread of this user's; None: there is none, or it is somebody else's."""
        row = await self._database.row(
            "SELECT id AS thread_id, title, created_at FROM backend.threads WHERE id = %s AND user_id = %s",
            thread_id,
            user_id,
        )
        return Thread(**row) if row else None

    async def messages(self, user_id: str, thread_id: UUID) -> list[Message]:
        """Return a thread's messages in the order they came."""
        rows = await self._database.rows(
            "SELECT m.id AS message_id, m.role, m.agent, m.content, m.created_at"
            " FROM backend.messages m JOIN backend.threads t ON t.id = m.thread_id"
            " WHERE t.id = %s AND t.user_id = %s ORDER BY m.id",
            thread_id,
            user_id,
        )
        return [Message(**row) for row in rows]

    async def add_message(self, user_id: str, thread_id: UUID, role: str, agent: str, content: str) -> int | None:
        """Append a message and return its id; None: no such thread of this user's (any more)."""
        row = await self._database.row(
            "INSERT INTO backend.messages (thread_id, role, agent, content)"
            " SELECT id, %s, %s, %s FROM backend.threads WHERE id = %s AND user_id = %s RETURNING id",
            role,
            agent,
            content,
            thread_id,
            user_id,
        )
        return row["id"] if row else None

    async def counts(self, user_id: str) -> dict[str, int]:
        """Return how many threads and messages the user has."""
        row = await self._database.row(
            "SELECT count(DISTINCT t.id) AS threads, count(m.id) AS messages"
            " FROM backend.threads t LEFT JOIN backend.messages m ON m.thread_id = t.id WHERE t.user_id = %s",
            user_id,
        )
        return dict(row or {})

    async def forget(self, user_id: str) -> None:
        """Delete the user's data."""
        await self._database.rows("DELETE FROM backend.threads WHERE user_id = %s", user_id)


def before(messages: Sequence[Message], message_id: int, most: int) -> list[Message]:
    """Return the last `most` messages that came before one."""
    return [message for message in messages if message.message_id < message_id][-most:]
