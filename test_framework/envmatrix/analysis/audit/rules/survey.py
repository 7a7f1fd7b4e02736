"""The summaries of all files put together, which is what the rules look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from envmatrix.analysis.audit.rules.texts import Texts
from envmatrix.analysis.audit.summaries.kept import NoqaLines
from envmatrix.analysis.audit.summaries.summaries import Summaries
from envmatrix.analysis.audit.summaries.summarize import place_of
from envmatrix.analysis.audit.summaries.summary import Asked, Cited, Numbers, Place, Summary
from envmatrix.analysis.index.answers import Fixture
from envmatrix.analysis.index.fixture_index import Index
from envmatrix.analysis.source.cache import Cache
from envmatrix.analysis.source.facts import Note, Read


class Tested(NamedTuple):
    """A test, as far as a finding speaks of it."""

    path: str
    nodeid: str
    masked: str


@dataclass(slots=True)
class Group:
    """One place that asks, and the tests for which it asks the same in the same way."""

    request: Asked
    tests: list[Tested] = field(default_factory=list)

    @property
    def nodeids(self) -> tuple[str, ...]:
        """The ids of the tests."""
        return nodeids(self.tests)

    @property
    def masked(self) -> str:
        """What hides it from a run of pytest."""
        return masked(self.tests)


@dataclass(slots=True)
class Survey:
    """What was seen in a tree."""

    texts: Texts
    unread: Mapping[str, str]
    """Files that could not be read, and why."""
    noqa: Mapping[str, NoqaLines]
    """Of each file, lines with a comment `# noqa`, and the codes that each names."""
    tests: int = 0
    tested: list[str] = field(default_factory=list)
    """The files that have tests."""
    missing: dict[tuple[object, ...], Group] = field(default_factory=dict)
    unknown: dict[tuple[object, ...], Group] = field(default_factory=dict)
    mismatched: dict[tuple[object, ...], Group] = field(default_factory=dict)
    """Where a fixture asks for one of a narrower scope."""
    answering: set[tuple[str, int]] = field(default_factory=set)
    """The definitions that answer a request, or are overridden by one that does."""
    circles: dict[frozenset[tuple[str, int]], tuple[tuple[Cited, ...], list[Tested]]] = field(default_factory=dict)
    """Fixtures that wait for each other, and the tests that get into it."""
    overriding: dict[tuple[Place, Place], tuple[Fixture, Fixture]] = field(default_factory=dict)
    surprises: dict[tuple[str, int], tuple[Cited, str, list[Tested]]] = field(default_factory=dict)
    noted: dict[tuple[str, Note], tuple[bool, list[Tested]]] = field(default_factory=dict)
    seen: dict[tuple[str, Read, str, int], tuple[Fixture, list[Tested]]] = field(default_factory=dict)
    fixtures: list[Fixture] = field(default_factory=list)
    """Every fixture that this tree defines, once for each place that provides it."""
    alone: set[Place] = field(default_factory=set)
    """Those that override nothing."""
    notes: list[tuple[str, Note]] = field(default_factory=list)
    """About files themselves."""
    _summaries: Mapping[str, Summary] = field(default_factory=dict)
    _users: dict[tuple[str, int], list[tuple[str, Numbers]]] = field(default_factory=dict)

    @classmethod
    def of(cls, index: Index, cache: Cache | None = None) -> Survey:
        """Look at a tree; what is in the cache of an earlier look, and still holds, is taken from there."""
        summaries = Summaries.of(index, cache)
        everywhere = frozenset(name for project in index.projects for name in project.usefixtures)
        survey = cls(Texts(index.root, cache), summaries.unread, summaries.noqa, _summaries=summaries.files)
        for path, summary in summaries.files.items():
            survey._add_file(path, summary)
            survey._add_requests(path, summary, everywhere)
        return survey

    def users_of(self, path: str, line: int) -> tuple[Tested, ...]:
        """Return the tests that get a definition of a fixture."""
        found = (test for file, numbers in self._users.get((path, line), ()) for test in self._tested(file, numbers))
        return tuple(dict.fromkeys(found))

    def _tested(self, path: str, numbers: Numbers) -> list[Tested]:
        summary = self._summaries[path]
        masked = dict(summary.masked)
        return [Tested(path, path + summary.tests[number], masked.get(number, "")) for number in numbers]

    def _add_file(self, path: str, summary: Summary) -> None:
        if summary.tests:
            self.tests += len(summary.tests)
            self.tested.append(path)
        self.notes += ((path, note) for note in summary.notes)
        self.fixtures += summary.fixtures
        self.alone.update(place_of(summary.fixtures[number]) for number in summary.alone)
        for noted in summary.noted:
            is_meant, tests = self.noted.get((noted.path, noted.note), (False, []))
            tests += self._tested(path, noted.tests)
            self.noted[noted.path, noted.note] = is_meant or noted.is_meant, tests
        for seen in summary.seen:
            key = seen.path, seen.read, seen.fixture.path, seen.fixture.line
            self.seen.setdefault(key, (seen.fixture, []))[1].extend(self._tested(path, seen.tests))

    def _add_requests(self, path: str, summary: Summary, everywhere: frozenset[str]) -> None:
        places = summary.places
        self.answering.update([place[:2] for place in places])
        for fixtures, numbers in summary.circles:
            circle = frozenset((each.path, each.line) for each in fixtures)
            self.circles.setdefault(circle, (fixtures, []))[1].extend(self._tested(path, numbers))
        for place, numbers in summary.users:
            self._users.setdefault(places[place][:2], []).append((path, numbers))
        for override, overridden in summary.overriding:
            self.overriding[place_of(override), place_of(overridden)] = override, overridden
        for surprise in summary.surprises:
            at = surprise.fixture.path, surprise.fixture.line
            surprised = self.surprises.setdefault(at, (surprise.fixture, surprise.contract, []))[2]
            surprised += self._tested(path, surprise.tests)
        for groups, asked in (
            (self.missing, summary.missing),
            (self.unknown, summary.unknown),
            (self.mismatched, summary.mismatched),
        ):
            for each in asked:
                groups.setdefault(_key(each, everywhere), Group(each)).tests += self._tested(path, each.tests)


def nodeids(tests: Sequence[Tested]) -> tuple[str, ...]:
    """Return the ids of tests, each once."""
    return tuple(dict.fromkeys(test.nodeid for test in tests))


def masked(tests: Sequence[Tested]) -> str:
    """Return what hides a fault of all these tests from a run of pytest; empty as soon as one of them would show it."""
    return ", ".join(sorted({test.masked for test in tests})) if all(test.masked for test in tests) else ""


def _key(asked: Asked, everywhere: frozenset[str]) -> tuple[object, ...]:
    if asked.given is not None:
        return asked.asker, asked.given
    if asked.how != "usefixtures":
        return asked.path, asked.line, asked.column, asked.name
    # A mark of a class or a file, and a setting of pytest, ask once, however many tests they hold for.
    return ("", asked.name) if asked.name in everywhere else (asked.path, asked.name)
