"""The survey of a tree: the summaries of all its files put together, for the rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from envmatrix.analysis.audit.rules.file_search import FileSearch
from envmatrix.analysis.audit.summaries.cached import NoqaLines
from envmatrix.analysis.audit.summaries.summaries import TreeSummaries
from envmatrix.analysis.audit.summaries.summarize import place_of
from envmatrix.analysis.audit.summaries.summary import FileSummary, FixtureKey, FixtureRef, RequestSite, TestNumbers
from envmatrix.analysis.index.answers import Fixture
from envmatrix.analysis.index.fixture_index import Index
from envmatrix.analysis.source.cache import Cache
from envmatrix.analysis.source.facts import Note, Read, Unread


class AffectedTest(NamedTuple):
    """A test that a finding affects."""

    path: str
    nodeid: str
    masked: str


@dataclass(slots=True)
class RequestGroup:
    """A place that asks for a fixture, and the tests that it asks for."""

    request: RequestSite
    tests: list[AffectedTest] = field(default_factory=list)

    @property
    def nodeids(self) -> tuple[str, ...]:
        """Return the node ids of the tests."""
        return nodeids(self.tests)

    @property
    def masked(self) -> str:
        """Return what hides the finding from a run of pytest."""
        return masked(self.tests)


@dataclass(slots=True)
class Survey:
    """The facts about a tree that the rules need."""

    texts: FileSearch
    unread: Mapping[str, Unread]
    """Files that could not be read, and why."""
    noqa: Mapping[str, NoqaLines]
    """File → its lines with a comment `# noqa`, and the codes that each names."""
    tests: int = 0
    tested: list[str] = field(default_factory=list)
    """The files that have tests."""
    missing: dict[tuple[object, ...], RequestGroup] = field(default_factory=dict)
    unknown: dict[tuple[object, ...], RequestGroup] = field(default_factory=dict)
    mismatched: dict[tuple[object, ...], RequestGroup] = field(default_factory=dict)
    """Requests of fixtures for one of a narrower scope."""
    answering: set[tuple[str, int]] = field(default_factory=set)
    """Definitions that answer a request, or are overridden by one that does."""
    cycles: dict[frozenset[tuple[str, int]], tuple[tuple[FixtureRef, ...], list[AffectedTest]]] = field(
        default_factory=dict
    )
    """Cycles of fixtures that ask for each other, and the tests that reach them."""
    unhandled: dict[tuple[str, int], tuple[FixtureRef, list[AffectedTest]]] = field(default_factory=dict)
    """Async fixtures that no plugin runs, and the tests that use them."""
    surprises: dict[tuple[str, int], tuple[FixtureRef, str, list[AffectedTest]]] = field(default_factory=dict)
    noted: dict[tuple[str, Note], tuple[bool, list[AffectedTest]]] = field(default_factory=dict)
    seen: dict[tuple[str, Read, str, int], tuple[Fixture, list[AffectedTest]]] = field(default_factory=dict)
    fixtures: list[Fixture] = field(default_factory=list)
    """Fixtures that the tree defines, once for each place that provides them."""
    alone: set[FixtureKey] = field(default_factory=set)
    """Fixtures that override nothing."""
    unread_imports: set[str] = field(default_factory=set)
    """Files that import what cannot be read, and may be a fixture or the base of a test class."""
    notes: list[tuple[str, Note]] = field(default_factory=list)
    """Notes about whole files."""
    _summaries: Mapping[str, FileSummary] = field(default_factory=dict)
    _users: dict[tuple[str, int], list[tuple[str, TestNumbers]]] = field(default_factory=dict)

    @classmethod
    def of(cls, index: Index, cache: Cache | None = None) -> Survey:
        """Survey a tree; summaries that are cached and still valid are not made anew."""
        summaries = TreeSummaries.of(index, cache)
        everywhere = frozenset(name for project in index.projects for name in project.usefixtures)
        survey = cls(FileSearch(index.root, cache), summaries.unread, summaries.noqa, _summaries=summaries.files)
        for path, summary in summaries.files.items():
            survey._add_file(path, summary)
            survey._add_requests(path, summary, everywhere)
        return survey

    def users_of(self, path: str, line: int) -> tuple[AffectedTest, ...]:
        """Return the tests that use a definition of a fixture."""
        found = (test for file, numbers in self._users.get((path, line), ()) for test in self._tested(file, numbers))
        return tuple(dict.fromkeys(found))

    def _tested(self, path: str, numbers: TestNumbers) -> list[AffectedTest]:
        summary = self._summaries[path]
        masked = dict(summary.masked)
        return [AffectedTest(path, path + summary.tests[number], masked.get(number, "")) for number in numbers]

    def _add_file(self, path: str, summary: FileSummary) -> None:
        if summary.tests:
            self.tests += len(summary.tests)
            self.tested.append(path)
        if summary.has_unread_imports:
            self.unread_imports.add(path)
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

    def _add_requests(self, path: str, summary: FileSummary, everywhere: frozenset[str]) -> None:
        places = summary.places
        self.answering.update([place[:2] for place in places])
        for fixtures, numbers in summary.cycles:
            cycle = frozenset((each.path, each.line) for each in fixtures)
            self.cycles.setdefault(cycle, (fixtures, []))[1].extend(self._tested(path, numbers))
        for ref, numbers in summary.unhandled:
            self.unhandled.setdefault((ref.path, ref.line), (ref, []))[1].extend(self._tested(path, numbers))
        for place, numbers in summary.users:
            self._users.setdefault(places[place][:2], []).append((path, numbers))
        for surprise in summary.surprises:
            at = surprise.fixture.path, surprise.fixture.line
            known = self.surprises.setdefault(at, (surprise.fixture, surprise.contract, []))
            known[2].extend(self._tested(path, surprise.tests))
        for groups, sites in (
            (self.missing, summary.missing),
            (self.unknown, summary.unknown),
            (self.mismatched, summary.mismatched),
        ):
            for each in sites:
                groups.setdefault(_key(each, everywhere), RequestGroup(each)).tests += self._tested(path, each.tests)


def nodeids(tests: Sequence[AffectedTest]) -> tuple[str, ...]:
    """Return the node ids of tests, each once."""
    return tuple(dict.fromkeys(test.nodeid for test in tests))


def masked(tests: Sequence[AffectedTest]) -> str:
    """Return what hides a fault of all these tests from a run of pytest; empty if one of them would show it."""
    return ", ".join(sorted({test.masked for test in tests})) if all(test.masked for test in tests) else ""


def _key(site: RequestSite, everywhere: frozenset[str]) -> tuple[object, ...]:
    if site.given is not None:
        return site.asker, site.given
    if site.how != "usefixtures":
        return site.path, site.line, site.column, site.name
    # A mark of a class or a file, and a setting of pytest, ask once, however many tests they hold for.
    return ("", site.name) if site.name in everywhere else (site.path, site.name)
