"""The rows and keys that a test left in a worker's part of a service."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from envmatrix.masking import one_line

MOST = 1000
"""Rows of a table, or keys, are counted up to here: that it is too much is known by then."""

_TABLES = 10
_KEYS = 5
_NAME = 60
"""Characters of a name: a test chooses it."""


@dataclass(frozen=True, slots=True)
class Left:
    """Things of one kind that a test left in one place."""

    kind: str
    """In the singular: `row`, `key`, `socket`. Empty where a kind of service gives only a text."""
    count: int = 1
    place: str = ""
    """Where they are, or their names, as it follows the number: ` in table users`, `: a, b`."""
    is_unfinished: bool = False
    """Whether it was still at work and the reset ended it: a test that failed is told of it, too."""

    def __str__(self) -> str:
        if not self.kind:
            return self.place
        number = f"at least {MOST}" if self.count >= MOST else str(self.count)
        return f"{number} {self.kind}{'s'[: self.count != 1]}{self.place}"


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


def messages_left(queues: Iterable[tuple[str, int]]) -> tuple[Left, ...]:
    """Return the messages of all queues as one: `3 messages in orders, payments`."""
    full = [(name, count) for name, count in sorted(queues) if count]
    if not full:
        return ()
    shown = [one_line(name)[:_NAME] for name, _ in full[:_KEYS]]
    more = ["…"] if len(full) > _KEYS else []
    return (Left("message", sum(count for _, count in full), f" in {', '.join(shown + more)}"),)


def unfinished(kind: str, count: int) -> tuple[Left, ...]:
    """Return what a test had begun and the reset ended, as one: `2 transactions not finished`."""
    return (Left(kind, count, " not finished", is_unfinished=True),) if count else ()
