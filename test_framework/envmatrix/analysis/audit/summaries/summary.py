"""The summary of one file: small, and valid while its inputs are unchanged.

Tests are given by their number in the file, from 0.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from envmatrix.analysis.index.answers import Fixture, How
from envmatrix.analysis.source.facts import Fact, Note, Read

FixtureKey: TypeAlias = tuple[str, int, str]
"""A fixture as one place provides it: file and line of its definition, and the holder."""
TestNumbers: TypeAlias = tuple[int, ...]
"""Numbers of tests."""


class FixtureRef(Fact, frozen=True):
    """The facts about a fixture that a message needs."""

    name: str
    path: str
    line: int
    column: int
    scope: str
    plugin: str

    @classmethod
    def of(cls, fixture: Fixture) -> FixtureRef:
        """Return the facts about a fixture."""
        return cls(fixture.name, fixture.path, fixture.line, fixture.column, fixture.scope, fixture.plugin)


class RequestSite(Fact, frozen=True):
    """A place that asks for a fixture, for tests with the same answer."""

    name: str
    how: How
    path: str
    line: int
    column: int
    asker: FixtureRef | None
    """The fixture that asks; None for the tests themselves."""
    given: FixtureRef | None = None
    """The fixture that answers; None if there is none, or that is unknown."""
    why: str = ""
    """Why the answer is unknown."""
    absent: tuple[str, ...] = ()
    """Plugins that may answer, but are not installed here."""
    close: str = ""
    """The name in sight that is most like a missing one."""
    tests: TestNumbers = ()


class TestNote(Fact, frozen=True):
    """A note of a hygiene rule about the function of tests."""

    path: str
    note: Note
    is_meant: bool
    """Whether the test has no body on purpose: by a mark, or for its fixtures."""
    tests: TestNumbers


class FixtureRead(Fact, frozen=True):
    """A read of a key or an attribute of a fixture."""

    path: str
    read: Read
    fixture: Fixture
    tests: TestNumbers


class AutouseStart(Fact, frozen=True):
    """An autouse fixture that starts the environment for tests that do not ask for it."""

    fixture: FixtureRef
    contract: str
    tests: TestNumbers


class FileSummary(Fact, frozen=True):
    """The summary of a test file, of a conftest, or of all plugins of a project in the tree."""

    tests: tuple[str, ...] = ()
    """Their node ids without the path of the file."""
    masked: tuple[tuple[int, str], ...] = ()
    """Tests that are skipped or expected to fail, each with the mark."""
    missing: tuple[RequestSite, ...] = ()
    unknown: tuple[RequestSite, ...] = ()
    mismatched: tuple[RequestSite, ...] = ()
    """Requests of fixtures for one of a narrower scope."""
    places: tuple[FixtureKey, ...] = ()
    """Fixtures that answer a request, or are overridden by one that does."""
    cycles: tuple[tuple[tuple[FixtureRef, ...], TestNumbers], ...] = ()
    """Cycles of fixtures that ask for each other, in order, and the tests that reach them."""
    users: tuple[tuple[int, TestNumbers], ...] = ()
    """Number of a fixture in `places` → the tests that use it."""
    unhandled: tuple[tuple[FixtureRef, TestNumbers], ...] = ()
    """Async fixtures that no plugin runs, and the tests that use them."""
    surprises: tuple[AutouseStart, ...] = ()
    noted: tuple[TestNote, ...] = ()
    seen: tuple[FixtureRead, ...] = ()
    fixtures: tuple[Fixture, ...] = ()
    """Fixtures that the file provides."""
    alone: frozenset[int] = frozenset()
    """Numbers of those of `fixtures` that override nothing."""
    notes: tuple[Note, ...] = ()
    """Notes about the file itself."""
    has_unread_imports: bool = False
    """Whether it imports what cannot be read, and may be a fixture or the base of a test class."""


EMPTY = FileSummary()
encode = msgspec.msgpack.encode
decode = msgspec.msgpack.Decoder(FileSummary).decode
