"""Password hashes and opaque secrets."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import hmac
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError


class Hasher:
    """Argon2id, computed off the event loop."""

    def __init__(self, memory_kib: int, passes: int) -> None:
        self._argon2 = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)

    async def hash(self, password: str) -> str:
        """Return the hash, with its salt and costs."""
        return await asyncio.to_thread(self._argon2.hash, password)

    async def matches(self, password_hash: str | None, password: str) -> bool:
        """Return whether the password is right; an unknown user (None) takes as long as a wrong password."""
        return await asyncio.to_thread(self._matches, password_hash, password)

    def _matches(self, password_hash: str | None, password: str) -> bool:
        try:
            return self._argon2.verify(password_hash or self._nobody, password) and password_hash is not None
        except VerifyMismatchError:
            return False

    @functools.cached_property
    def _nobody(self) -> str:
        return self._argon2.hash(secrets.token_hex())


def new_secret() -> str:
    """Return 256 random bits as text."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """Return the hash to keep of a random secret; one round is enough where nobody can guess."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def same(secret_hash: str, secret: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(secret_hash, digest(secret))
