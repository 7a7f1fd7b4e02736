"""The store of the auth service: its Protocol, and PostgreSQL behind it."""

# ruff: noqa: D102 - the Protocol says once what each method means

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from joserfc.jwk import ECKey
from psycopg.types.json import Jsonb

from environments.reference.auth.models import ApiKeyInfo, User
from environments.reference.database import Database
from environments.reference.tokens import new_key

SCHEMA = """
CREATE SCHEMA IF NOT EXISTS auth;
CREATE TABLE IF NOT EXISTS auth.signing_keys (
    kid text PRIMARY KEY,
    private_jwk jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS auth.users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    email text NOT NULL UNIQUE,
    name text NOT NULL,
    password_hash text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS auth.sessions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
    audience text NOT NULL,
    revoked_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS sessions_of_user ON auth.sessions (user_id);
CREATE TABLE IF NOT EXISTS auth.refresh_tokens (
    hash text PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES auth.sessions ON DELETE CASCADE,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX IF NOT EXISTS refresh_tokens_of_session ON auth.refresh_tokens (session_id);
CREATE TABLE IF NOT EXISTS auth.api_keys (
    id text PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
    name text NOT NULL,
    hash text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS api_keys_of_user ON auth.api_keys (user_id);
"""


@dataclass(frozen=True)
class Session:
    """One login: all its access and refresh tokens live and end together."""

    session_id: str
    user_id: str
    audience: str


class Store(Protocol):
    """The data that the routes need. Only hashes of secrets reach it, the signing key apart."""

    async def signing_key(self) -> ECKey:
        """Return the one signing key, made on first use."""
        ...

    async def add_user(self, email: str, name: str, password_hash: str) -> str | None:
        """Return the new user's id; None: the address is taken."""
        ...

    async def user(self, user_id: str) -> User | None:
        """Return the user."""
        ...

    async def credentials(self, email: str) -> tuple[str, str] | None:
        """Return the user's id and password hash."""
        ...

    async def delete_user(self, user_id: str) -> None:
        """Forget the user and all that is theirs."""
        ...

    async def open_session(self, user_id: str, audience: str, refresh_hash: str, lifetime: int) -> Session:
        """Begin a session whose first refresh token lives `lifetime` seconds."""
        ...

    async def rotate(self, old_hash: str, new_hash: str, lifetime: int) -> Session | None:
        """Trade a refresh token for the next. None: unknown, expired, or used before, which also ends its session."""
        ...

    async def end_session(self, session_id: str) -> None:
        """Revoke all tokens of the session."""
        ...

    async def session_active(self, session_id: str) -> bool:
        """Return whether its tokens still count."""
        ...

    async def add_api_key(self, key_id: str, user_id: str, name: str, key_hash: str) -> None:
        """Remember a key by its hash."""
        ...

    async def api_keys(self, user_id: str) -> Sequence[ApiKeyInfo]:
        """Return the user's keys, oldest first."""
        ...

    async def api_key(self, key_id: str) -> tuple[str, str] | None:
        """Return the key's owner and hash."""
        ...

    async def delete_api_key(self, key_id: str, user_id: str) -> bool:
        """Revoke a key; False: this user has no such key."""
        ...


class PostgresStore:
    """The real store."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._key: ECKey | None = None

    async def signing_key(self) -> ECKey:
        if self._key is None:
            async with self._database.connection() as connection, connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock(hashtext('envmatrix signing key'))")
                cursor = await connection.execute("SELECT private_jwk FROM auth.signing_keys ORDER BY created_at")
                row = await cursor.fetchone()
                key = ECKey.import_key(row["private_jwk"]) if row else new_key()
                if row is None:
                    await connection.execute(
                        "INSERT INTO auth.signing_keys (kid, private_jwk) VALUES (%s, %s)",
                        (key.kid, Jsonb(key.as_dict(private=True))),
                    )
            self._key = key
        return self._key

    async def add_user(self, email: str, name: str, password_hash: str) -> str | None:
        row = await self._database.row(
            "INSERT INTO auth.users (email, name, password_hash) VALUES (%s, %s, %s)"
            " ON CONFLICT (email) DO NOTHING RETURNING id::text",
            email,
            name,
            password_hash,
        )
        return row["id"] if row else None

    async def user(self, user_id: str) -> User | None:
        row = await self._database.row("SELECT id::text AS user_id, email, name FROM auth.users WHERE id = %s", user_id)
        return User(**row) if row else None

    async def credentials(self, email: str) -> tuple[str, str] | None:
        row = await self._database.row("SELECT id::text, password_hash FROM auth.users WHERE email = %s", email)
        return (row["id"], row["password_hash"]) if row else None

    async def delete_user(self, user_id: str) -> None:
        await self._database.rows("DELETE FROM auth.users WHERE id = %s", user_id)

    async def open_session(self, user_id: str, audience: str, refresh_hash: str, lifetime: int) -> Session:
        row = await self._database.row(
            "WITH session AS (INSERT INTO auth.sessions (user_id, audience) VALUES (%s, %s) RETURNING id)"
            " INSERT INTO auth.refresh_tokens (hash, session_id, expires_at)"
            " SELECT %s, id, now() + make_interval(secs => %s) FROM session RETURNING session_id::text",
            user_id,
            audience,
            refresh_hash,
            lifetime,
        )
        assert row is not None  # noqa: S101  an INSERT … RETURNING that did not raise has its row
        return Session(row["session_id"], user_id, audience)

    async def rotate(self, old_hash: str, new_hash: str, lifetime: int) -> Session | None:
        async with self._database.connection() as connection, connection.transaction():
            # FOR UPDATE: of two requests with the same token, the second sees that it is used.
            cursor = await connection.execute(
                "SELECT s.id::text, s.user_id::text, s.audience, t.used_at IS NOT NULL AS reused,"
                " s.revoked_at IS NULL AND t.expires_at > now() AS good"
                " FROM auth.refresh_tokens t JOIN auth.sessions s ON s.id = t.session_id"
                " WHERE t.hash = %s FOR UPDATE",
                (old_hash,),
            )
            row = await cursor.fetchone()
            if row is None or not row["good"]:
                return None
            if row["reused"]:
                await connection.execute("UPDATE auth.sessions SET revoked_at = now() WHERE id = %s", (row["id"],))
                return None
            await connection.execute("UPDATE auth.refresh_tokens SET used_at = now() WHERE hash = %s", (old_hash,))
            await connection.execute(
                "INSERT INTO auth.refresh_tokens (hash, session_id, expires_at)"
                " VALUES (%s, %s, now() + make_interval(secs => %s))",
                (new_hash, row["id"], lifetime),
            )
        return Session(row["id"], row["user_id"], row["audience"])

    async def end_session(self, session_id: str) -> None:
        await self._database.rows("UPDATE auth.sessions SET revoked_at = now() WHERE id = %s", session_id)

    async def session_active(self, session_id: str) -> bool:
        query = "SELECT 1 FROM auth.sessions WHERE id = %s AND revoked_at IS NULL"
        return await self._database.row(query, session_id) is not None

    async def add_api_key(self, key_id: str, user_id: str, name: str, key_hash: str) -> None:
        query = "INSERT INTO auth.api_keys (id, user_id, name, hash) VALUES (%s, %s, %s, %s)"
        await self._database.rows(query, key_id, user_id, name, key_hash)

    async def api_keys(self, user_id: str) -> Sequence[ApiKeyInfo]:
        query = "SELECT id AS key_id, name FROM auth.api_keys WHERE user_id = %s ORDER BY created_at, id"
        return [ApiKeyInfo(**row) for row in await self._database.rows(query, user_id)]

    async def api_key(self, key_id: str) -> tuple[str, str] | None:
        row = await self._database.row("SELECT user_id::text, hash FROM auth.api_keys WHERE id = %s", key_id)
        return (row["user_id"], row["hash"]) if row else None

    async def delete_api_key(self, key_id: str, user_id: str) -> bool:
        query = "DELETE FROM auth.api_keys WHERE id = %s AND user_id = %s RETURNING id"
        return await self._database.row(query, key_id, user_id) is not None
