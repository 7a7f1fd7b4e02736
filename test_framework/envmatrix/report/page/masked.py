"""Mask a document of megabytes: JSON, whose texts are masked one by one, and only where one may hold a secret."""

from __future__ import annotations

import json
from typing import Any

from envmatrix.masking import MASKER, suspects


def masked(document: bytes) -> bytes:
    """Return compact JSON with every secret in its texts masked."""
    if MASKER.knows_secrets and MASKER.mask_known(text := document.decode()) != text:
        return json.dumps(_mask(json.loads(document)), separators=(",", ":")).encode()
    parts: list[bytes] = []
    end = 0
    for start, stop in sorted({_literal(document, at) for at in suspects(document)}):
        parts += (document[end:start], json.dumps(MASKER.mask(json.loads(document[start:stop]))).encode())
        end = stop
    return b"".join((*parts, document[end:]))


def _literal(document: bytes, at: int) -> tuple[int, int]:
    """Return where the JSON string begins and ends that a place is in."""
    start, end = document.rindex(b'"', 0, at), document.index(b'"', at)
    while _is_escaped(document, start):
        start = document.rindex(b'"', 0, start)
    while _is_escaped(document, end):
        end = document.index(b'"', end + 1)
    return start, end + 1


def _is_escaped(document: bytes, quote: int) -> bool:
    """Return whether a quote is a character of a text: an odd number of backslashes stands before it."""
    slashes = quote
    while document[slashes - 1 : slashes] == b"\\":
        slashes -= 1
    return (quote - slashes) % 2 == 1


def _mask(value: Any) -> Any:
    if isinstance(value, str):
        return MASKER.mask(value)
    if isinstance(value, dict):
        return {MASKER.mask(key): _mask(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_mask(each) for each in value]
    return value
