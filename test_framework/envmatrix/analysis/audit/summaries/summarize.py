"""Summarize each file for the audit's rules: one walk over the requests of its tests."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from envmatrix.analysis.audit.summaries.cycles import circles, in_cycles
from envmatrix.analysis.audit.summaries.summary import (
    AutouseStart,
    FileSummary,
    FixtureKey,
    FixtureRead,
    FixtureRef,
    RequestSite,
    TestNote,
    TestNumbers,
)
from envmatrix.analysis.index.answers import Fixture, Found, Missing, Request, Unknown
from envmatrix.analysis.index.fixture_index import Index
from envmatrix.analysis.index.project_context import ProjectContext
from envmatrix.analysis.index.scopes import Scope
from envmatrix.analysis.index.tests import Test
from envmatrix.analysis.source.expressions import dotted
from envmatrix.analysis.source.facts import Assigned, Class, Function, Note, Read
from envmatrix.analysis.source.reads import lines_of, reads_in
from envmatrix.analysis.source.values import BAGS

_CLOSE = 0.75
"""The likeness of two names, from 0 to 1, from which one is taken for a misspelling of the other."""
SCOPES = ("function", "class", "module", "package", "session")
_STARTS_ENVIRONMENT = frozenset({"real_services", "real_llm"})


class Summarizer:
    """Makes the summary of each file of an index.

    Args:
        index: The index of the tree.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._lines: dict[str, list[str]] = {}
        self._shown: dict[int, bool] = {}
        self._known_reads: dict[tuple[str, int, str], tuple[Read, ...]] = {}
        self._close: dict[tuple[Scope, str], tuple[float, str]] = {}

    def of_tests(self, path: str) -> FileSummary:
        """Summarize a test file."""
        tests = tuple(self._index.collected(path))
        notes = self._index.modules.module(path).notes
        if not tests:
            return FileSummary(notes=notes, has_unread_imports=self._index.has_unread_imports(path))
        walk = _Walk(self._reads)
        for numbers, requests in self._alike(tests):
            for request in requests:
                walk.request(numbers, request)
            self._look_for_async(path, walk, numbers, requests)
        for number, test in enumerate(tests):
            self._look_at(walk, number, test)
        innermost = {id(test.scope): test for test in tests}.values()
        scopes = {id(scope): scope for test in innermost for scope in self._index.own_scopes(test)}
        fixtures, alone = _provided(scopes.values())
        return FileSummary(
            tests=tuple(test.nodeid[len(path) :] for test in tests),
            masked=tuple((number, test.masked) for number, test in enumerate(tests) if test.masked),
            missing=tuple(
                replace(asked, close=self._closest(tests[asked.tests[0]].scope, asked.name))
                for asked in walk.asked(walk.missing)
            ),
            unknown=tuple(walk.asked(walk.unknown)),
            mismatched=tuple(walk.asked(walk.mismatched)),
            places=tuple(walk.places),
            cycles=self._cycles(walk, tests),
            users=tuple((place, _once(numbers)) for place, numbers in walk.users.items()),
            unhandled=tuple((FixtureRef.of(fixture), _once(tests)) for fixture, tests in walk.unhandled.values()),
            surprises=tuple(
                AutouseStart(FixtureRef.of(fixture), contract, tuple(numbers))
                for fixture, contract, numbers in walk.surprises.values()
            ),
            noted=tuple(
                TestNote(where, note, is_meant, tuple(numbers))
                for (where, note, is_meant), numbers in walk.noted.items()
            ),
            seen=tuple(
                FixtureRead(where, read, fixture, tuple(numbers))
                for where, read, fixture, numbers in walk.seen.values()
            ),
            fixtures=fixtures,
            alone=alone,
            notes=notes,
            has_unread_imports=self._index.has_unread_imports(path),
        )

    def _look_for_async(self, path: str, walk: _Walk, numbers: list[int], requests: Sequence[Request]) -> None:
        if walk.is_async:
            names = {request.name for request in requests}
            for request in requests:
                for fixture in request.answer.fixtures[:1] if isinstance(request.answer, Found) else ():
                    if _is_async(fixture) and not self._index.runs_async(path, fixture, names):
                        walk.unhandled.setdefault(place_of(fixture), (fixture, []))[1].extend(numbers)

    def _alike(self, tests: Sequence[Test]) -> Iterator[tuple[list[int], Sequence[Request]]]:
        """Yield the numbers of tests with the same requests, and these; own lines do not count if all are answered."""
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

    def _cycles(self, walk: _Walk, tests: Sequence[Test]) -> tuple[tuple[tuple[FixtureRef, ...], TestNumbers], ...]:
        """Return the cycles of fixtures that ask for each other, each once, and the tests whose set-up ends in them."""
        suspects = in_cycles(walk.edges)
        found: dict[tuple[FixtureKey, ...], tuple[tuple[FixtureRef, ...], list[int]]] = {}
        for number, test in enumerate(tests if suspects else ()):
            requests, scope = self._index.requests(test), test.scope
            if scope is None or not any(each.asker and place_of(each.asker) in suspects for each in requests):
                continue
            asked = {each.name: scope.find(each.name)[:1] for each in requests if each.how != "getfixturevalue"}
            wide_first = sorted(asked, key=lambda name: -_width(asked[name][0]) if asked[name] else 0)
            for circle in circles(scope, wide_first, test.marks.parametrized):
                cited = tuple(map(FixtureRef.of, circle))
                found.setdefault(tuple(sorted(map(place_of, circle))), (cited, []))[1].append(number)
        return tuple((cycle, _once(numbers)) for cycle, numbers in found.values())

    def of_conftest(self, project: ProjectContext, path: str) -> FileSummary:
        """Summarize a conftest."""
        fixtures, alone = _provided([self._index.conftest_scope(project, path)])
        return FileSummary(
            fixtures=fixtures,
            alone=alone,
            notes=self._index.modules.module(path).notes,
            has_unread_imports=self._index.has_unread_imports(path),
        )

    def of_plugins(self, project: ProjectContext) -> FileSummary:
        """Summarize the fixtures of a project's plugins that are in the tree."""
        fixtures, alone = _provided(self._index.outermost(project).around())
        kept = [number for number, fixture in enumerate(fixtures) if not fixture.path.startswith("/")]
        return FileSummary(
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
        for need in test.needs:
            answer = scope.answer(need.name) if need.how == "argument" else None
            if isinstance(answer, Found) and answer.fixtures and need.name not in test.marks.parametrized:
                walk.read([number], test.defined_in, test.function, answer.fixtures[0])
        if not scope.autouse:
            return
        if (starting := walk.starting.get(id(scope))) is None:
            starting = walk.starting[id(scope)] = list(_starting(scope))
        for fixture, contract in starting:
            if not any(_starts(scope, need.name) for need in test.needs):
                walk.surprises.setdefault(id(fixture), (fixture, contract, []))[2].append(number)

    def _reads(self, path: str, function: Function, fixture: Fixture) -> tuple[Read, ...]:
        """Return what a function reads of a fixture, where that is a contract's or the source shows its value."""
        if (is_shown := self._shown.get(id(fixture))) is None:
            is_shown = self._shown[id(fixture)] = self._is_shown(fixture)
        if not is_shown or path.startswith("/"):
            return tuple(read for read in function.reads if read.parameter == fixture.name) if function.reads else ()
        key = path, function.line, fixture.name
        if (known := self._known_reads.get(key)) is None:
            if path not in self._lines:  # one file at a time is summarized
                self._lines = {path: lines_of(self._index.root / path)}
            known = self._known_reads[key] = reads_in(self._lines[path], function, fixture.name)
        return known

    def _is_shown(self, fixture: Fixture) -> bool:
        """Return whether a fixture of the tree surely gives a dict, or an object of a class beside it."""
        shape = fixture.function.shape if fixture.function is not None and fixture.is_certain else None
        if shape is None or shape.kind not in {"dict", "object"} or fixture.path.startswith("/"):
            return False
        beside = self._index.names.namespace(fixture.path).names.get(shape.type, ())
        return shape.kind == "dict" or shape.type in BAGS or any(_is_class(each.binding.to) for each in beside)

    def _closest(self, scope: Scope | None, name: str) -> str:
        """Return the name in sight that is most like a missing one; empty if none is close."""
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
        """Return whether a test without a body is intended: by a mark, or for the fixtures that it asks for."""
        if test.masked or any(need.name not in test.marks.parametrized for need in test.needs):
            return True
        own = (request.answer for request in self._index.requests(test) if request.how == "autouse")
        found = (answer.fixtures[0] for answer in own if isinstance(answer, Found) and answer.fixtures)
        return any(fixture.path == test.path for fixture in found)


@dataclass(slots=True)
class _Walk:
    """The facts collected from one file. Answers and fixtures are keyed by `id`: the index has each once."""

    reads: Callable[[str, Function, Fixture], Sequence[Read]]
    missing: dict[tuple[object, ...], tuple[Request, list[int]]] = field(default_factory=dict)
    unknown: dict[tuple[object, ...], tuple[Request, list[int]]] = field(default_factory=dict)
    mismatched: dict[tuple[object, ...], tuple[Request, list[int]]] = field(default_factory=dict)
    places: dict[FixtureKey, int] = field(default_factory=dict)
    edges: dict[FixtureKey, set[FixtureKey]] = field(default_factory=dict)
    """Fixture → the fixtures that answer its arguments, for any test."""
    is_async: bool = False
    """Whether any of the fixtures is async."""
    unhandled: dict[FixtureKey, tuple[Fixture, list[int]]] = field(default_factory=dict)
    users: dict[int, list[int]] = field(default_factory=dict)
    surprises: dict[int, tuple[Fixture, str, list[int]]] = field(default_factory=dict)
    noted: dict[tuple[str, Note, bool], list[int]] = field(default_factory=dict)
    seen: dict[tuple[str, Read, int], tuple[str, Read, Fixture, list[int]]] = field(default_factory=dict)
    starting: dict[int, list[tuple[Fixture, str]]] = field(default_factory=dict)
    """`id` of a scope → its autouse fixtures that start the environment, and by which contract fixture."""
    known: dict[tuple[int, int], tuple[int, bool]] = field(default_factory=dict)
    """Asker and answer → the number of the fixture, -1 for an installed one, and whether its scope is too narrow."""

    def request(self, numbers: Sequence[int], request: Request) -> None:
        """Add a request of one test or several."""
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
        if asker is not None and asker.function is not None and request.how == "argument" and answer.fixtures:
            self.read(numbers, asker.path, asker.function, answer.fixtures[0])

    def read(self, numbers: Sequence[int], path: str, function: Function, fixture: Fixture) -> None:
        """Add the reads of a fixture by a function of tests, or by a fixture on their behalf."""
        for read in self.reads(path, function, fixture):
            self.seen.setdefault((path, read, id(fixture)), (path, read, fixture, []))[3].extend(numbers)

    def _found(self, request: Request, answer: Found) -> tuple[int, bool]:
        if not answer.fixtures:
            return -1, False
        places = [self._place(fixture) for fixture in answer.fixtures]
        first, asker = answer.fixtures[0], request.asker
        self.is_async |= _is_async(first)
        if asker is not None and asker.doubt:
            asker = None  # its decorator may supply the argument itself
        if asker is not None and request.how == "argument":
            self.edges.setdefault(place_of(asker), set()).add(place_of(first))
        is_mismatch = asker is not None and is_narrower(first, asker)
        return -1 if first.path.startswith("/") else places[0], is_mismatch

    def _place(self, fixture: Fixture) -> int:
        return self.places.setdefault(place_of(fixture), len(self.places))

    def asked(self, groups: dict[tuple[object, ...], tuple[Request, list[int]]]) -> Iterator[RequestSite]:
        """Yield the places that ask, each with its tests."""
        yield from (_asked(request, _once(numbers)) for request, numbers in groups.values())


def _once(numbers: Iterable[int]) -> TestNumbers:
    return tuple(sorted(set(numbers)))


def _asked(request: Request, tests: TestNumbers) -> RequestSite:
    answer, asker = request.answer, request.asker
    return RequestSite(
        name=request.name,
        how=request.how,
        path=request.path,
        line=request.line,
        column=request.column,
        asker=FixtureRef.of(asker) if asker is not None else None,
        given=FixtureRef.of(answer.fixtures[0]) if isinstance(answer, Found) else None,
        why=answer.why if isinstance(answer, Unknown) else "",
        absent=answer.absent if isinstance(answer, Unknown) else (),
        tests=tests,
    )


def _is_async(fixture: Fixture) -> bool:
    return fixture.function is not None and fixture.function.is_async


def _is_class(to: object) -> bool:
    return isinstance(to, Class) or (isinstance(to, Assigned) and dotted(to.value).endswith("namedtuple"))


def place_of(fixture: Fixture) -> FixtureKey:
    """Return the key that tells a fixture from all others."""
    return fixture.path, fixture.line, fixture.holder


def is_narrower(fixture: Fixture, asker: Fixture) -> bool:
    """Return whether a fixture's scope is narrower than its asker's; false if either is computed."""
    return bool(fixture.scope and asker.scope) and _width(fixture) < _width(asker)


def _width(fixture: Fixture) -> int:
    return SCOPES.index(fixture.scope) if fixture.scope in SCOPES else 0


def _provided(scopes: Iterable[Scope]) -> tuple[tuple[Fixture, ...], frozenset[int]]:
    """Return the fixtures of scopes, and the numbers of those that are the only ones of their names."""
    fixtures: list[Fixture] = []
    alone: set[int] = set()
    for scope in scopes:
        for name, provided in scope.provided.fixtures.items():
            if len(scope.find(name)) == 1:
                alone.add(len(fixtures))
            fixtures += provided
    return tuple(fixtures), frozenset(alone)


def _starting(scope: Scope) -> Iterator[tuple[Fixture, str]]:
    """Yield the autouse fixtures of conftests that start the environment, and the contract fixture that does."""
    for name in dict.fromkeys(scope.autouse):
        fixture = scope.find(name)[0]
        if fixture.path.endswith("conftest.py") and not fixture.plugin and (contract := _starts(scope, name)):
            yield fixture, contract


def _starts(scope: Scope, name: str) -> str:
    if name in _STARTS_ENVIRONMENT:
        return name
    return next((each.name for each in scope.closure((name,)) if each.name in _STARTS_ENVIRONMENT), "")
