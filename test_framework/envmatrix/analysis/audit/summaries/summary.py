"""What the rules need to know of one file, in place of its tests: small, and true while nothing that it rests on changes.

Tests are told by their number in the file, from 0.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from envmatrix.analysis.index.answers import Fixture, How
from envmatrix.analysis.source.facts import Fact, Note, Read

Place: TypeAlias = tuple[str, int, str]
"""A fixture as one place provides it: file and line of its definition, and its holder."""
Numbers: TypeAlias = tuple[int, ...]
"""Of tests."""


class Cited(Fact, frozen=True):
    """A fixture, as far as a message speaks of it."""

    name: str
    path: str
    line: int
    column: int
    scope: str
    plugin: str

    @classmethod
    def of(cls, fixture: Fixture) -> Cited:
        """Cite a fixture."""
        return cls(fixture.name, fixture.path, fixture.line, fixture.column, fixture.scope, fixture.plugin)


class Asked(Fact, frozen=True):
    """One place that asks, on behalf of tests for which the answer is the same."""

    name: str
    how: How
    path: str
    line: int
    column: int
    asker: Cited | None
    """The fixture that asks; None for the tests themselves."""
    given: Cited | None = None
    """The fixture that answers; None where there is none, or nobody knows."""
    why: str = ""
    """Why nobody knows."""
    close: str = ""
    """Of what is missing: the name most like it that can be seen from there."""
    tests: Numbers = ()


class Noted(Fact, frozen=True):
    """What a rule of hygiene saw in the function of tests."""

    path: str
    note: Note
    is_meant: bool
    """Whether it is about a test without a body that says so itself, or is there for its fixtures."""
    tests: Numbers


class Seen(Fact, frozen=True):
    """What is read of a fixture that answers."""

    path: str
    read: Read
    fixture: Fixture
    tests: Numbers


class Surprise(Fact, frozen=True):
    """An autouse fixture starts the environment for tests that do not ask for it."""

    fixture: Cited
    contract: str
    tests: Numbers


class Summary(Fact, frozen=True):
    """One test file, conftest, or all plugins of a project that are in the tree."""

    tests: tuple[str, ...] = ()
    """Their ids, from behind the file's path."""
    masked: tuple[tuple[int, str], ...] = ()
    """Tests that are skipped or expected to fail, and how."""
    missing: tuple[Asked, ...] = ()
    unknown: tuple[Asked, ...] = ()
    mismatched: tuple[Asked, ...] = ()
    """Where a fixture asks for one of a narrower scope."""
    places: tuple[Place, ...] = ()
    """Every fixture that answers a request, or is overridden by one that does."""
    circles: tuple[tuple[tuple[Cited, ...], Numbers], ...] = ()
    """Fixtures that wait for each other, in order, and the tests that get into it."""
    users: tuple[tuple[int, Numbers], ...] = ()
    """The tests that get a fixture of this tree, by its number in `places`."""
    overriding: tuple[tuple[Fixture, Fixture], ...] = ()
    """A fixture, and the one of this tree that it overrides."""
    surprises: tuple[Surprise, ...] = ()
    noted: tuple[Noted, ...] = ()
    seen: tuple[Seen, ...] = ()
    fixtures: tuple[Fixture, ...] = ()
    """Those that it provides."""
    alone: frozenset[int] = frozenset()
    """Which of `fixtures`, by their number, override nothing."""
    notes: tuple[Note, ...] = ()
    """About the file itself."""


EMPTY = Summary()
encode = msgspec.msgpack.encode
decode = msgspec.msgpack.Decoder(Summary).decode
