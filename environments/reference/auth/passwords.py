"""Password hashes and opaque secrets."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import hmac
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

# OWASP's minimum for argon2id: 19 MiB, two passes. About 20 ms, so a suite may make many users.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


async def hash_password(password: str) -> str:
    """Return the argon2id hash, computed off the event loop."""
    return await asyncio.to_thread(_HASHER.hash, password)


async def password_matches(password_hash: str | None, password: str) -> bool:
    """Return whether the password is right; an unknown user (None) takes as long as a wrong password."""

    def check() -> bool:
        try:
            return _HASHER.verify(password_hash or _nobody(), password) and password_hash is not None
        except VerifyMismatchError:
            return False

    return await asyncio.to_thread(check)


@functools.cache
def _nobody() -> str:
    return _HASHER.hash(secrets.token_hex())


def new_secret() -> str:
    """Return 256 random bits as text."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """Return the hash to keep of a random secret; one round is enough where nobody can guess."""
    return hashlib.sha256(secret.encode()).hexdigest()


def matches(secret_hash: str, secret: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(secret_hash, digest(secret))
