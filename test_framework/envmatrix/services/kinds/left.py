"""The rows and keys that a test left in a worker's part of a service."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from envmatrix.services.kinds.base import Left
from envmatrix.services.probes.look import one_line

_TABLES = 10
_KEYS = 5
_NAME = 60
"""Characters of a name: a test chooses it."""


def rows_left(tables: Iterable[tuple[str, int]]) -> tuple[Left, ...]:
    """Return the rows of each table that has some: `2 rows in table users`; of many tables, the rest as one."""
    full = [(rows, one_line(name)[:_NAME]) for name, rows in sorted(tables) if rows]
    named = [Left("row", rows, f" in table {name}") for rows, name in full[:_TABLES]]
    if more := full[_TABLES:]:
        named.append(Left("row", sum(rows for rows, _ in more), f" in {len(more)} more table{'s'[: len(more) != 1]}"))
    return tuple(named)


def keys_left(names: Sequence[str]) -> tuple[Left, ...]:
    """Return all keys as one: `7 keys: a, b, c, d, e, …`."""
    if not names:
        return ()
    shown = [one_line(name)[:_NAME] for name in sorted(names)[:_KEYS]]
    more = ["…"] if len(names) > _KEYS else []
    return (Left("key", len(names), f": {', '.join(shown + more)}"),)
