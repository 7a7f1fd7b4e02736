"""The auth service's routes and real signatures, over a store in memory.

Routes, tokens and checks are the auth service's own code, so the stand-in cannot drift from it. What is not real: nothing
outlives the process, and there is one worker.
"""

# ruff: noqa: D102 - the Protocol says once what each method means

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from joserfc.jwk import ECKey

from environments.reference import health, server
from environments.reference.auth import routes
from environments.reference.auth.issuer import Issuer
from environments.reference.auth.models import ApiKeyInfo, User
from environments.reference.auth.settings import TokenSettings
from environments.reference.auth.store import Session
from environments.reference.settings import load
from environments.reference.tokens import new_key


@dataclass
class MemoryStore:
    """The Store Protocol over dictionaries. Without an `await` inside, each method is atomic."""

    key: ECKey = field(default_factory=new_key)
    users: dict[str, tuple[User, str]] = field(default_factory=dict)
    emails: dict[str, str] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    refresh_tokens: dict[str, tuple[str, bool]] = field(default_factory=dict)
    """Hash → session and whether it was used."""
    keys: dict[str, tuple[str, str, ApiKeyInfo]] = field(default_factory=dict)

    async def signing_key(self) -> ECKey:
        return self.key

    async def add_user(self, email: str, name: str, password_hash: str) -> str | None:
        if email in self.emails:
            return None
        user_id = self.emails[email] = str(uuid.uuid4())
        self.users[user_id] = (User(user_id=user_id, email=email, name=name), password_hash)
        return user_id

    async def user(self, user_id: str) -> User | None:
        return self.users[user_id][0] if user_id in self.users else None

    async def credentials(self, email: str) -> tuple[str, str] | None:
        user_id = self.emails.get(email)
        return (user_id, self.users[user_id][1]) if user_id else None

    async def delete_user(self, user_id: str) -> None:
        user, _ = self.users.pop(user_id)
        del self.emails[user.email]
        self.sessions = {k: s for k, s in self.sessions.items() if s.user_id != user_id}
        self.keys = {k: v for k, v in self.keys.items() if v[0] != user_id}

    async def open_session(self, user_id: str, audience: str, refresh_hash: str, lifetime: int) -> Session:  # noqa: ARG002
        session = Session(str(uuid.uuid4()), user_id, audience)
        self.sessions[session.session_id] = session
        self.refresh_tokens[refresh_hash] = (session.session_id, False)
        return session

    async def rotate(self, old_hash: str, new_hash: str, lifetime: int) -> Session | None:  # noqa: ARG002
        session_id, used = self.refresh_tokens.get(old_hash, ("", False))
        if used:
            self.sessions.pop(session_id, None)
        session = self.sessions.get(session_id)
        if session:
            self.refresh_tokens |= {old_hash: (session_id, True), new_hash: (session_id, False)}
        return session

    async def end_session(self, session_id: str) -> None:
        self.sessions.pop(session_id, None)

    async def session_active(self, session_id: str) -> bool:
        return session_id in self.sessions

    async def add_api_key(self, key_id: str, user_id: str, name: str, key_hash: str) -> None:
        self.keys[key_id] = (user_id, key_hash, ApiKeyInfo(key_id=key_id, name=name))

    async def api_keys(self, user_id: str) -> Sequence[ApiKeyInfo]:
        return [info for owner, _, info in self.keys.values() if owner == user_id]

    async def api_key(self, key_id: str) -> tuple[str, str] | None:
        return self.keys[key_id][:2] if key_id in self.keys else None

    async def delete_api_key(self, key_id: str, user_id: str) -> bool:
        owned = key_id in self.keys and self.keys[key_id][0] == user_id
        if owned:
            del self.keys[key_id]
        return owned


app = server.create_app("auth", health.router, routes.router)


def main() -> NoReturn:
    """Run the stand-in as the environment says, in one worker: several would not share their memory."""
    settings = load(TokenSettings, "environments.reference.stubs").model_copy(update={"workers": 1})
    app.state.issuer = Issuer(settings, MemoryStore())
    app.state.health = health.Health.of(app, settings, stub=True)
    server.run(app, settings)
