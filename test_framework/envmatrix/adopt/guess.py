"""A service that some file of a project tells of, and what it tells."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

STORES = {"postgres": "database", "redis": "redis", "clickhouse": "clickhouse"}
"""Kind of a store → the name that the contract knows it by. All of them can be embedded."""
_WORDS = {
    "postgres": re.compile(r"postgres|postgis|pgvector|timescale|database|(?<![a-z])(?:pg|db|sql)(?![a-z])"),
    "redis": re.compile(r"redis|valkey|keydb|dragonfly"),
    "clickhouse": re.compile(r"clickhouse"),
}
"""Kind → words that tell of it; a `database_url` is taken for PostgreSQL's."""


@dataclass(frozen=True, slots=True)
class Value:
    """What one line of the declaration says, and the place that it is from."""

    value: object
    origin: str


@dataclass(frozen=True, slots=True)
class Guess:
    """One `[services.NAME]` table."""

    name: str
    keys: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Found:
    """All that a look at a project found."""

    services: tuple[Guess, ...]
    suites: tuple[str, ...]
    """The directories and files that pytest collects."""
    notes: tuple[str, ...] = field(default=())
    """What was seen and can be no line of a declaration, and what could not be read."""
    ci: tuple[str, ...] = ()
    """The CI systems that the project uses: `github`, `gitlab`."""


def kind_of(text: str) -> str:
    """Return the kind of the store that a name, an image or a URL's scheme tells of; empty for none."""
    return next((kind for kind, words in _WORDS.items() if words.search(text.lower())), "")


def store(kind: str, origin: str) -> Guess:
    """Return a store that we start: a real server of our own."""
    return Guess(
        STORES[kind], {"kind": Value(kind, origin), "source": Value("embedded", "a real server, out of a wheel")}
    )
