"""Forges tokens that must be refused, out of a good one, by hand: no library makes most of them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any


def decode(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Return a token's header, claims and signature, verifying nothing.

    Raises:
        ValueError: the text is no JWT.
    """
    head, _, rest = token.partition(".")
    body, _, signature = rest.partition(".")
    try:
        return json.loads(_unbase64(head)), json.loads(_unbase64(body)), _unbase64(signature)
    except ValueError:
        raise ValueError("the token is no JWT: three parts of base64url, the first two JSON objects") from None


def encode(header: Mapping[str, Any], claims: Mapping[str, Any], signature: bytes = b"") -> str:
    """Return a token of these three parts."""
    return f"{signing_input(header, claims)}.{_base64(signature)}"


def signing_input(header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """Return what a signature is made over."""
    return f"{_base64(json.dumps(header).encode())}.{_base64(json.dumps(claims).encode())}"


def hs256(header: Mapping[str, Any], claims: Mapping[str, Any], key: bytes) -> str:
    """Return a token signed with a shared secret."""
    header = {**header, "alg": "HS256"}
    return encode(header, claims, hmac.digest(key, signing_input(header, claims).encode(), hashlib.sha256))


def _foreign_signature(token: str) -> str:
    header, claims, signature = decode(token)
    return encode(header, claims, secrets.token_bytes(len(signature)))


def _foreign_secret(token: str) -> str:
    header, claims, _ = decode(token)
    return hs256(header, claims, secrets.token_bytes(32))


def _no_signature(token: str) -> str:
    header, claims, _ = decode(token)
    return encode(header, claims)


def _prolonged(token: str) -> str:
    header, claims, signature = decode(token)
    return encode(header, {**claims, "exp": claims["exp"] + 3600}, signature)


def _other_user(token: str) -> str:
    header, claims, signature = decode(token)
    return encode(header, {**claims, "sub": "00000000-0000-4000-8000-000000000000"}, signature)


def _without_algorithm(spelling: str) -> Callable[[str], str]:
    def forge(token: str) -> str:
        header, claims, _ = decode(token)
        return encode({**header, "alg": spelling}, claims)

    return forge


FORGERIES: Mapping[str, Callable[[str], str]] = {
    "foreign signature": _foreign_signature,
    "foreign secret": _foreign_secret,
    "no signature": _no_signature,
    "prolonged": _prolonged,
    "other user": _other_user,
    "alg=none": _without_algorithm("none"),
    "alg=None": _without_algorithm("None"),
    "alg=NONE": _without_algorithm("NONE"),
    "cut short": lambda token: token.rpartition(".")[0],
    "nonsense": lambda _: "nonsense",
    "empty": lambda _: "",
}
"""Name of each forgery → the function that makes it from a good token."""


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
