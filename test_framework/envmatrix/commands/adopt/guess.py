"""A service that some file of a project tells of, and what it tells."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

EMBEDDED = ("postgres", "redis", "clickhouse")
"""Kinds of stores that we can start."""
STORES = {"postgres": "database", "redis": "redis", "clickhouse": "clickhouse", "mysql": "mysql", "amqp": "amqp"}
"""Kind of a store → the name that the contract knows it by, where it knows it."""
_WORDS = {
    "postgres": re.compile(r"postgres|postgis|pgvector|timescale|database|(?<![a-z])(?:pg|db|sql)(?![a-z])"),
    "redis": re.compile(r"redis|valkey|keydb|dragonfly"),
    "clickhouse": re.compile(r"clickhouse"),
    "mysql": re.compile(r"mysql|mariadb"),
    "amqp": re.compile(r"amqp|rabbitmq"),
}
"""Kind → words that tell of it; a `database_url` is taken for PostgreSQL's."""
_VAGUE = re.compile(r"database|(?<![a-z])(?:db|sql)(?![a-z])")
"""Words that any kind of store may have for a name."""
_OWN = frozenset({"", "app", "base", "site", "public", "api"})
"""Whose address the product's own is by name: `API_URL`, `--base-url`."""
OWN_URL = "{backend.url}"


@dataclass(frozen=True, slots=True)
class Guess:
    """One `[services.NAME]` table."""

    name: str
    keys: Mapping[str, tuple[object, str]]
    """Key → its value, and the place that it is from."""
    is_vague: bool = False
    """Whether it is guessed from a word that may as well stand for another store."""

    @property
    def kind(self) -> object:
        """Return which driver speaks to it."""
        return self.keys["kind"][0]

    @property
    def is_started(self) -> bool:
        """Return whether it is a command of the project's that we start."""
        return self.keys["source"][0] == "process"


@dataclass(frozen=True, slots=True)
class Given:
    """What the suite takes: an argument of pytest, or a variable."""

    origin: str
    argument: str = ""
    variable: str = ""
    value: str = ""
    """Of the variable."""

    @property
    def is_own(self) -> bool:
        """Return whether it is the address of the product itself."""
        return OWN_URL in self.argument + self.value


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


def is_vague(name: str) -> bool:
    """Return whether a name tells of a store, and of no certain kind."""
    return not kind_of(_VAGUE.sub("", name.lower()))


def store(kind: str, origin: str, *, url: str = "", is_vague: bool = False) -> Guess:
    """Return a store: a real server of our own, or of a kind of which we start none, what is at the URL."""
    source = ("embedded", "a real server, out of a wheel") if kind in EMBEDDED else ("remote", "one that runs already")
    keys = {"kind": (kind, origin), "source": source}
    return Guess(STORES[kind], keys if kind in EMBEDDED else {**keys, "url": (url, origin)}, is_vague)


def is_own_url(name: str) -> bool:
    """Return whether a variable or an option is by its name the address of the product itself."""
    return owner_of(name) in _OWN


def owner_of(name: str) -> str:
    """Return whose address a variable or an option is by its name."""
    return re.sub(r"_?(?:BASE_)?UR[LI]$", "", name.upper().strip("-").replace("-", "_")).lower()


def in_order(guesses: Sequence[Guess]) -> Iterator[Guess]:
    """Yield the services of one file: jobs are needed by all others, and background programs by what serves."""
    jobs, background = ([each.name for each in guesses if each.kind == kind] for kind in ("job", "background"))
    needs: Mapping[object, list[str]] = {"background": jobs, "http": jobs + background}
    for guess in guesses:
        names = needs.get(guess.kind)
        more = {"needs": (names, "up before it, since nothing else asks for them")} if names else {}
        yield Guess(guess.name, {**guess.keys, **more})
