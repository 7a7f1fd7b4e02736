"""What a reset found in a worker's part of a service, in words: a number, what it is, and where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from envmatrix.services.probes.reason import one_line

MOST = 1000
"""Rows of a table, or keys, are counted up to here: that it is too much is known by then."""

_TABLES = 10
_KEYS = 5
_NAME = 60
"""Characters of a name: a test chooses it."""


def rows_left(tables: Iterable[tuple[str, int]]) -> tuple[str, ...]:
    """Return one text for each table that had rows: `2 rows in table users`."""
    found = [f"{_counted(rows, 'row')} in table {one_line(name)[:_NAME]}" for name, rows in sorted(tables) if rows]
    more = len(found) - _TABLES
    return (*found[:_TABLES], f"rows in {more} more table{'s'[: more != 1]}") if more > 0 else tuple(found)


def keys_left(names: Sequence[str]) -> tuple[str, ...]:
    """Return one text for all keys: `7 keys: a, b, c, d, e, …`."""
    if not names:
        return ()
    shown = [one_line(name)[:_NAME] for name in sorted(names)[:_KEYS]]
    more = ["…"] if len(names) > _KEYS else []
    return (f"{_counted(len(names), 'key')}: {', '.join(shown + more)}",)


def _counted(number: int, thing: str) -> str:
    return f"at least {MOST} {thing}s" if number >= MOST else f"{number} {thing}{'s'[: number != 1]}"
