"""From the index to what the rules need to know of each file: one walk over all that its tests ask for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from msgspec.structs import replace

from envmatrix.analysis.audit.summaries.circles import a_circle, in_circles
from envmatrix.analysis.audit.summaries.summary import (
    Asked,
    Cited,
    Noted,
    Numbers,
    Place,
    Seen,
    Summary,
    Surprise,
)
from envmatrix.analysis.index.answers import Fixture, Found, Missing, Request, Unknown
from envmatrix.analysis.index.fixture_index import Index
from envmatrix.analysis.index.project_context import ProjectContext
from envmatrix.analysis.index.scopes import Scope
from envmatrix.analysis.index.tests import Test
from envmatrix.analysis.source.facts import Note, Read

_CLOSE = 0.75
"""How much alike two names are, from 0 to 1, of which one is probably a slip for the other."""
SCOPES = ("function", "class", "module", "package", "session")
_STARTS_ENVIRONMENT = frozenset({"real_services", "real_llm"})


class Summarizer:
    """Makes the summary of each file of an index.

    Args:
        index: Of the tree.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._close: dict[tuple[Scope, str], tuple[float, str]] = {}

    def of_tests(self, path: str) -> Summary:
        """Summarize a test file."""
        tests = tuple(self._index.collected(path))
        notes = self._index.modules.module(path).notes
        if not tests:
            return Summary(notes=notes)
        walk = _Walk()
        for numbers, requests in self._alike(tests):
            for request in requests:
                walk.request(numbers, request)
        for number, test in enumerate(tests):
            self._look_at(walk, number, test)
        innermost = {id(test.scope): test for test in tests}.values()
        scopes = {id(scope): scope for test in innermost for scope in self._index.own_scopes(test)}
        fixtures, alone = _provided(scopes.values())
        return Summary(
            tests=tuple(test.nodeid[len(path) :] for test in tests),
            masked=tuple((number, test.masked) for number, test in enumerate(tests) if test.masked),
            missing=tuple(
                replace(asked, close=self._closest(tests[asked.tests[0]].scope, asked.name))
                for asked in walk.asked(walk.missing)
            ),
            unknown=tuple(walk.asked(walk.unknown)),
            mismatched=tuple(walk.asked(walk.mismatched)),
            places=tuple(walk.places),
            circles=self._circles(walk, tests),
            users=tuple((place, _once(numbers)) for place, numbers in walk.users.items()),
            overriding=tuple(walk.overriding.values()),
            surprises=tuple(
                Surprise(Cited.of(fixture), contract, tuple(numbers))
                for fixture, contract, numbers in walk.surprises.values()
            ),
            noted=tuple(
                Noted(where, note, is_meant, tuple(numbers)) for (where, note, is_meant), numbers in walk.noted.items()
            ),
            seen=tuple(
                Seen(where, read, fixture, tuple(numbers)) for where, read, fixture, numbers in walk.seen.values()
            ),
            fixtures=fixtures,
            alone=alone,
            notes=notes,
        )

    def _alike(self, tests: Sequence[Test]) -> Iterator[tuple[list[int], Sequence[Request]]]:
        """Yield the numbers of tests that ask for the same, and what that is: their own lines do not count if it is there."""
        known: dict[tuple[object, ...], tuple[list[int], Sequence[Request]]] = {}
        for number, test in enumerate(tests):
            asked = tuple([need.name if need.how == "argument" else (need.how, need.name) for need in test.needs])
            key = id(test.scope), asked, test.marks.parametrized
            if (alike := known.get(key)) is not None:
                alike[0].append(number)
                continue
            requests = self._index.requests(test)
            if all(type(request.answer) is Found or request.asker is not None for request in requests):
                known[key] = [number], requests
            else:
                yield [number], requests
        yield from known.values()

    def _circles(self, walk: _Walk, tests: Sequence[Test]) -> tuple[tuple[tuple[Cited, ...], Numbers], ...]:
        """Return fixtures that wait for each other, each circle once.

        An edge holds for the tests that see both of its ends: what looks like a circle over all need not be one for any.
        """
        suspects = in_circles(walk.edges)
        found: dict[tuple[Place, ...], tuple[tuple[Cited, ...], list[int]]] = {}
        for number, test in enumerate(tests if suspects else ()):
            edges: dict[Place, set[Place]] = {}
            fixtures: dict[Place, Fixture] = {}
            for request in self._index.requests(test):
                asker, answer = request.asker, request.answer
                if asker is None or asker.doubt or request.how != "argument":
                    continue
                if isinstance(answer, Found) and answer.fixtures:
                    place = place_of(asker)
                    if place in suspects:
                        fixtures[place] = asker
                        edges.setdefault(place, set()).add(place_of(answer.fixtures[0]))
            while circle := a_circle(edges):
                cited = tuple(Cited.of(fixtures[each]) for each in circle)
                found.setdefault(tuple(sorted(circle)), (cited, []))[1].append(number)
                edges.pop(circle[0])
        return tuple((circle, tuple(numbers)) for circle, numbers in found.values())

    def of_conftest(self, project: ProjectContext, path: str) -> Summary:
        """Summarize a conftest."""
        fixtures, alone = _provided([self._index.conftest_scope(project, path)])
        return Summary(fixtures=fixtures, alone=alone, notes=self._index.modules.module(path).notes)

    def of_plugins(self, project: ProjectContext) -> Summary:
        """Summarize what the plugins of a project provide that are in the tree themselves."""
        fixtures, alone = _provided(self._index.outermost(project).around())
        kept = [number for number, fixture in enumerate(fixtures) if not fixture.path.startswith("/")]
        return Summary(
            fixtures=tuple(fixtures[number] for number in kept),
            alone=frozenset(at for at, number in enumerate(kept) if number in alone),
        )

    def _look_at(self, walk: _Walk, number: int, test: Test) -> None:
        for note in test.function.notes:
            is_meant = note.line == test.line and note.code == "EM308" and self._is_no_test(test)
            walk.noted.setdefault((test.defined_in, note, is_meant), []).append(number)
        scope = test.scope
        if scope is None:
            return
        for read in test.function.reads:
            answer = scope.answer(read.parameter)
            if isinstance(answer, Found) and answer.fixtures and read.parameter not in test.marks.parametrized:
                walk.read([number], test.defined_in, read, answer.fixtures[0])
        if not scope.autouse:
            return
        if (starting := walk.starting.get(id(scope))) is None:
            starting = walk.starting[id(scope)] = list(_starting(scope))
        for fixture, contract in starting:
            if not any(_starts(scope, need.name) for need in test.needs):
                walk.surprises.setdefault(id(fixture), (fixture, contract, []))[2].append(number)

    def _closest(self, scope: Scope | None, name: str) -> str:
        """Return the name that can be seen from somewhere and is most like another one; empty where none is."""
        return self._closeness(scope, name)[1]

    def _closeness(self, scope: Scope | None, name: str) -> tuple[float, str]:
        if scope is None:
            return 0.0, ""
        key = scope, name
        if (known := self._close.get(key)) is None:
            close = difflib.get_close_matches(name, sorted(scope.provided.fixtures), n=1, cutoff=_CLOSE)
            own = [(difflib.SequenceMatcher(None, each, name).ratio(), each) for each in close]
            known = self._close[key] = max([self._closeness(scope.parent, name), *own], key=lambda pair: pair[0])
        return known

    def _is_no_test(self, test: Test) -> bool:
        """Whether a test without a body says so, by a mark, or is there for the fixtures that it asks for."""
        if test.masked or any(need.name not in test.marks.parametrized for need in test.needs):
            return True
        own = (request.answer for request in self._index.requests(test) if request.how == "autouse")
        found = (answer.fixtures[0] for answer in own if isinstance(answer, Found) and answer.fixtures)
        return any(fixture.path == test.path for fixture in found)


@dataclass(slots=True)
class _Walk:
    """What was seen on the way over one file. Answers and fixtures are told apart by `id`: the index holds each once."""

    missing: dict[tuple[object, ...], tuple[Request, list[int]]] = field(default_factory=dict)
    unknown: dict[tuple[object, ...], tuple[Request, list[int]]] = field(default_factory=dict)
    mismatched: dict[tuple[object, ...], tuple[Request, list[int]]] = field(default_factory=dict)
    places: dict[Place, int] = field(default_factory=dict)
    edges: dict[Place, set[Place]] = field(default_factory=dict)
    """Fixture → those that answer what it asks for as arguments, for any test."""
    users: dict[int, list[int]] = field(default_factory=dict)
    overriding: dict[tuple[int, int], tuple[Fixture, Fixture]] = field(default_factory=dict)
    surprises: dict[int, tuple[Fixture, str, list[int]]] = field(default_factory=dict)
    noted: dict[tuple[str, Note, bool], list[int]] = field(default_factory=dict)
    seen: dict[tuple[str, Read, int], tuple[str, Read, Fixture, list[int]]] = field(default_factory=dict)
    starting: dict[int, list[tuple[Fixture, str]]] = field(default_factory=dict)
    """Of each scope, by its `id`, the autouse fixtures that start the environment, and by what."""
    known: dict[tuple[int, int], tuple[int, bool]] = field(default_factory=dict)
    """Of an asker and an answer: the number of the fixture, -1 for one that is installed, and whether its scope is too
    narrow."""

    def request(self, numbers: Sequence[int], request: Request) -> None:
        """Take down one request, of one test or several."""
        answer, asker = request.answer, request.asker
        if type(answer) is not Found:
            groups = self.missing if type(answer) is Missing else self.unknown
            at = (request.path, request.line, request.column, request.name, request.how, id(asker))
            groups.setdefault(at, (request, []))[1].extend(numbers)
            return
        key = id(asker), id(answer)
        if (known := self.known.get(key)) is None:
            known = self.known[key] = self._found(request, answer)
        place, is_mismatch = known
        if place >= 0:
            self.users.setdefault(place, []).extend(numbers)
        if is_mismatch:
            self.mismatched.setdefault(key, (request, []))[1].extend(numbers)
        if asker is not None and asker.function is not None and asker.function.reads and answer.fixtures:
            for read in asker.function.reads:
                if read.parameter == request.name:
                    self.read(numbers, asker.path, read, answer.fixtures[0])

    def read(self, numbers: Sequence[int], path: str, read: Read, fixture: Fixture) -> None:
        """Take down what tests, or a fixture on their behalf, read of a fixture."""
        self.seen.setdefault((path, read, id(fixture)), (path, read, fixture, []))[3].extend(numbers)

    def _found(self, request: Request, answer: Found) -> tuple[int, bool]:
        if not answer.fixtures:
            return -1, False
        places = [self._place(fixture) for fixture in answer.fixtures]
        for override, overridden in pairwise(answer.fixtures):
            if not overridden.plugin:
                self.overriding[id(override), id(overridden)] = override, overridden
        first, asker = answer.fixtures[0], request.asker
        if asker is not None and asker.doubt:
            asker = None  # its decorator may supply the argument itself
        if asker is not None and request.how == "argument":
            self.edges.setdefault(place_of(asker), set()).add(place_of(first))
        is_mismatch = asker is not None and is_narrower(first, asker)
        return -1 if first.path.startswith("/") else places[0], is_mismatch

    def _place(self, fixture: Fixture) -> int:
        return self.places.setdefault(place_of(fixture), len(self.places))

    def asked(self, groups: dict[tuple[object, ...], tuple[Request, list[int]]]) -> Iterator[Asked]:
        """Yield places that ask, each with its tests."""
        yield from (_asked(request, _once(numbers)) for request, numbers in groups.values())


def _once(numbers: Iterable[int]) -> Numbers:
    return tuple(sorted(set(numbers)))


def _asked(request: Request, tests: Numbers) -> Asked:
    answer, asker = request.answer, request.asker
    return Asked(
        name=request.name,
        how=request.how,
        path=request.path,
        line=request.line,
        column=request.column,
        asker=Cited.of(asker) if asker is not None else None,
        given=Cited.of(answer.fixtures[0]) if isinstance(answer, Found) else None,
        why=answer.why if isinstance(answer, Unknown) else "",
        tests=tests,
    )


def place_of(fixture: Fixture) -> Place:
    """Return what tells a fixture from all others."""
    return fixture.path, fixture.line, fixture.holder


def is_narrower(fixture: Fixture, asker: Fixture) -> bool:
    """Whether one fixture lives shorter than another; not where either's scope is computed."""
    if fixture.scope not in SCOPES or asker.scope not in SCOPES:
        return False
    return SCOPES.index(fixture.scope) < SCOPES.index(asker.scope)


def _provided(scopes: Iterable[Scope]) -> tuple[tuple[Fixture, ...], frozenset[int]]:
    """Return the fixtures that scopes hold, and which of them, by number, are the only ones of their names there."""
    fixtures: list[Fixture] = []
    alone: set[int] = set()
    for scope in scopes:
        for name, provided in scope.provided.fixtures.items():
            if len(scope.find(name)) == 1:
                alone.add(len(fixtures))
            fixtures += provided
    return tuple(fixtures), frozenset(alone)


def _starting(scope: Scope) -> Iterator[tuple[Fixture, str]]:
    """Yield the autouse fixtures of conftests that start the environment, and by what."""
    for name in dict.fromkeys(scope.autouse):
        fixture = scope.find(name)[0]
        if fixture.path.endswith("conftest.py") and not fixture.plugin and (contract := _starts(scope, name)):
            yield fixture, contract


def _starts(scope: Scope, name: str) -> str:
    if name in _STARTS_ENVIRONMENT:
        return name
    return next((each.name for each in scope.closure((name,)) if each.name in _STARTS_ENVIRONMENT), "")
