"""Access tokens: ES256 JWTs that the auth service signs and anyone verifies with its public keys."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

ALGORITHM = "ES256"


class TokenError(Exception):
    """The token is not one that we accept; the text says why, for whoever sent it."""


@dataclass(frozen=True)
class Claims:
    """What an accepted token says."""

    user_id: str
    session_id: str


def new_key() -> ECKey:
    """Return a fresh private signing key whose id is its thumbprint."""
    return ECKey.generate_key("P-256", {"alg": ALGORITHM, "use": "sig"}, auto_kid=True)


def issue(key: ECKey, *, issuer: str, audience: str, user_id: str, session_id: str, lifetime: int) -> str:
    """Sign a token that is good for `lifetime` seconds from now."""
    now = int(time.time())
    claims = {
        "iss": issuer,
        "aud": audience,
        "sub": user_id,
        "sid": session_id,
        "jti": uuid.uuid4().hex,
        "iat": now,
        "exp": now + lifetime,
    }
    return jwt.encode({"alg": ALGORITHM, "kid": key.kid}, claims, key)


def key_id(token: str) -> str:
    """Return the id of the key that a token, not yet verified, claims to be signed with.

    Raises:
        TokenError: it is no signed token, or it names no key.
    """
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError) as error:
        raise TokenError("malformed token") from error
    kid = header.get("kid")
    if not isinstance(kid, str):
        raise TokenError("token without key id")
    return kid


def verify(token: str, keys: KeySet, *, issuer: str, audience: str) -> Claims:
    """Return what the token says.

    Raises:
        TokenError: bad signature, algorithm, key, issuer or audience; expired; or a claim is missing.
    """
    key_id(token)
    registry = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": audience},
        sub={"essential": True},
        sid={"essential": True},
        jti={"essential": True},
        iat={"essential": True},
        exp={"essential": True},
    )
    try:
        claims: dict[str, Any] = jwt.decode(token, keys, algorithms=[ALGORITHM]).claims
        registry.validate(claims)
        user_id, session_id = str(uuid.UUID(claims["sub"])), str(uuid.UUID(claims["sid"]))
    except (JoseError, ValueError, TypeError, AttributeError) as error:
        expired = getattr(error, "error", "") == "expired_token"
        raise TokenError("token expired" if expired else "invalid token") from error
    return Claims(user_id, session_id)
