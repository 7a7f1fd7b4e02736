"""Attempts out of their lines, several times as fast as by way of `json.loads`.

Whoever records a run reads none, and is spared the import. What is not as we write it is left to `run_file`, which reads
any JSON and says what is wrong.
"""

from __future__ import annotations

import json
import sys
from functools import lru_cache
from typing import Annotated

import msgspec

from envmatrix.runs.cells import Attempt, Cause, Evidence, Outcome

_NO_NAMES = msgspec.Raw(b"[]")
_UNREAD = (RecursionError, TypeError, ValueError)


class _Named(msgspec.Struct, tag_field="type", tag="attempt", gc=False):
    test: str


class _Line(_Named, tag_field="type", tag="attempt", gc=False):
    outcome: Outcome
    duration: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    worker: str = ""
    reason: str = ""
    cause: Cause | None = None
    evidence: Evidence | None = None
    services: msgspec.Raw = _NO_NAMES
    capabilities: msgspec.Raw = _NO_NAMES


_decode_name = msgspec.json.Decoder(_Named).decode
_decode = msgspec.json.Decoder(_Line).decode
_attempt = Attempt._make  # in half the time of a call


def test_of(line: bytes) -> str | None:
    """Return the test that a line is an attempt of; `None` for any other line."""
    try:
        return _decode_name(line).test
    except _UNREAD:
        return None


def attempt_of(line: bytes, likely: str) -> Attempt | None:
    """Return the attempt that a line holds, `None` for any other line; its test is the very string that is likely, or interned.

    Names are shared, since most environments have the same tests; to look one up among many costs more than to read it.
    """
    try:
        read = _decode(line)
        return _attempt(
            (
                likely if read.test == likely else sys.intern(read.test),
                read.outcome,
                read.duration,
                sys.intern(read.worker),
                read.reason,
                read.cause,
                read.evidence,
                _names(bytes(read.services)),
                _names(bytes(read.capabilities)),
            )
        )
    except _UNREAD:
        return None


@lru_cache(maxsize=1024)
def _names(held: bytes) -> tuple[str, ...]:
    """Read what most tests of a run have in common, once: what they used."""
    return tuple(map(str, json.loads(held)))
