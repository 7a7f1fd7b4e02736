"""Names of the parts that workers get on a shared server, each with the time when it was made.

A worker that is killed cannot drop its parts: by their names its run's supervisor finds them, or else a later run does.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable

_MAX_AGE = 24 * 3600
"""Seconds. Longer than any run takes, and than clocks of two machines differ: a living run's part is never touched."""
_NAME = re.compile(r"envmatrix_([0-9a-z]{6,7})_[0-9a-f]{8}_([0-9a-z_]*)")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def part_name(worker: str) -> str:
    """Return a fresh name of at most 63 characters (PostgreSQL's limit) that needs no quotes in SQL."""
    seconds, stamp = int(time.time()), ""
    while seconds:
        seconds, digit = divmod(seconds, 36)
        stamp = _DIGITS[digit] + stamp
    return f"envmatrix_{stamp}_{secrets.token_hex(4)}_{_plain(worker)}"[:63]


def of_run(names: Iterable[str], run: str) -> list[str]:
    """Return those of our names whose worker's name begins with a run's."""
    return [name for name in names if (match := _NAME.fullmatch(name)) and match[2].startswith(_plain(f"{run}_"))]


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9_]", "_", text.lower())


def stale(names: Iterable[str]) -> list[str]:
    """Return those of our names that are too old to be in use."""
    oldest = time.time() - _MAX_AGE
    return [name for name in names if (match := _NAME.fullmatch(name)) and int(match[1], 36) < oldest]
