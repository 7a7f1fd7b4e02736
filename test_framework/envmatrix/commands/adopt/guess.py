"""A service that some file of a project tells of, and what it tells."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

STORES = {"postgres": "database", "redis": "redis", "clickhouse": "clickhouse"}
"""Kind of a store → the name that the contract knows it by. All of them can be embedded."""
_WORDS = {
    "postgres": re.compile(r"postgres|postgis|pgvector|timescale|database|(?<![a-z])(?:pg|db|sql)(?![a-z])"),
    "redis": re.compile(r"redis|valkey|keydb|dragonfly"),
    "clickhouse": re.compile(r"clickhouse"),
}
"""Kind → words that tell of it; a `database_url` is taken for PostgreSQL's."""


@dataclass(frozen=True, slots=True)
class Guess:
    """One `[services.NAME]` table."""

    name: str
    keys: Mapping[str, tuple[object, str]]
    """Key → its value, and the place that it is from."""


@dataclass(frozen=True, slots=True)
class Given:
    """What the suite takes: an argument of pytest, or a variable."""

    origin: str
    argument: str = ""
    variable: str = ""
    value: str = ""
    """Of the variable."""


@dataclass(frozen=True, slots=True)
class Found:
    """All that a look at a project found."""

    services: tuple[Guess, ...]
    pytest: Mapping[str, tuple[object, str]]
    """Key of the `[pytest]` table → its value, and where that is from."""
    suites: tuple[str, ...]
    """The directories and files that pytest collects."""
    notes: tuple[str, ...]
    """What was seen and can be no line of a declaration, and what could not be read."""


def kind_of(text: str) -> str:
    """Return the kind of the store that a name, an image or a URL's scheme tells of; empty for none."""
    return next((kind for kind, words in _WORDS.items() if words.search(text.lower())), "")


def store(kind: str, origin: str) -> Guess:
    """Return a store that we start: a real server of our own."""
    return Guess(STORES[kind], {"kind": (kind, origin), "source": ("embedded", "a real server, out of a wheel")})
