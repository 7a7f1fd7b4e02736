"""One walk over every request of a tree, which is what the rules of visibility need to know of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from test_framework.analysis.answers import Fixture, Found, Missing, Request
from test_framework.analysis.index import Index
from test_framework.analysis.scopes import Test

SCOPES = ("function", "class", "module", "package", "session")


@dataclass(slots=True)
class Group:
    """One place that asks, and the tests for which it asks the same in the same way."""

    request: Request
    tests: list[Test] = field(default_factory=list)

    @property
    def nodeids(self) -> tuple[str, ...]:
        """The ids of the tests."""
        return tuple(test.nodeid for test in self.tests)

    @property
    def masked(self) -> str:
        """What hides it from a run of pytest."""
        return masked(self.tests)


@dataclass(slots=True)
class Survey:
    """What was seen on the walk. Fixtures are told apart by `id`: the index holds each of them once."""

    missing: dict[tuple[str, ...], Group] = field(default_factory=dict)
    unknown: dict[tuple[str, ...], Group] = field(default_factory=dict)
    mismatched: dict[tuple[int, int], Group] = field(default_factory=dict)
    """Where a fixture asks for one of a narrower scope."""
    found: dict[int, Found] = field(default_factory=dict)
    """Every answer that names fixtures."""
    edges: dict[int, set[int]] = field(default_factory=dict)
    """Fixture → those that answer what it asks for as arguments, for any test."""
    fixtures: dict[int, Fixture] = field(default_factory=dict)
    """Those that are on an end of an edge."""

    @classmethod
    def of(cls, index: Index) -> Survey:
        """Walk over all that the tests of a tree ask for."""
        survey = cls()
        everywhere = {name for project in index.projects for name in project.usefixtures}
        seen: set[tuple[int, int]] = set()
        for test in index.tests:
            for request in index.requests(test):
                answer = request.answer
                if isinstance(answer, Found):
                    key = (id(request.asker), id(answer))
                    if key not in seen:
                        seen.add(key)
                        survey._found(key, request, answer)
                    if key in survey.mismatched:
                        survey.mismatched[key].tests.append(test)
                    continue
                groups = survey.missing if isinstance(answer, Missing) else survey.unknown
                groups.setdefault(_place(request, everywhere), Group(request)).tests.append(test)
        return survey

    def _found(self, key: tuple[int, int], request: Request, answer: Found) -> None:
        self.found[id(answer)] = answer
        asker = request.asker
        if asker is None or not answer.fixtures:
            return
        fixture = answer.fixtures[0]
        if is_narrower(fixture, asker):
            self.mismatched[key] = Group(request)
        if request.how == "argument":
            self.fixtures[id(asker)] = asker
            self.fixtures[id(fixture)] = fixture
            self.edges.setdefault(id(asker), set()).add(id(fixture))


def is_narrower(fixture: Fixture, asker: Fixture) -> bool:
    """Whether one fixture lives shorter than another; not where either's scope is computed."""
    if fixture.scope not in SCOPES or asker.scope not in SCOPES:
        return False
    return SCOPES.index(fixture.scope) < SCOPES.index(asker.scope)


def masked(tests: Sequence[Test]) -> str:
    """Return what hides a fault of all these tests from a run of pytest; empty as soon as one of them would show it."""
    return ", ".join(sorted({test.masked for test in tests})) if all(test.masked for test in tests) else ""


def _place(request: Request, everywhere: set[str]) -> tuple[str, ...]:
    if request.how != "usefixtures":
        return (request.path, str(request.line), str(request.column), request.name)
    # A mark of a class or a file, and a setting of pytest, ask once, however many tests they hold for.
    return ("", request.name) if request.name in everywhere else (request.path, request.name)


def circles(survey: Survey, index: Index) -> Iterator[tuple[tuple[Fixture, ...], list[Test]]]:
    """Yield fixtures that wait for each other, each circle once, with the tests that get into it.

    An edge holds for the tests that see both of its ends: what looks like a circle over all tests need not be one for any.
    """
    suspects = _in_circles(survey.edges)
    if not suspects:
        return
    circles: dict[frozenset[int], tuple[tuple[Fixture, ...], list[Test]]] = {}
    for test in index.tests:
        edges: dict[int, set[int]] = {}
        for request in index.requests(test):
            if id(request.asker) in suspects and isinstance(request.answer, Found) and request.how == "argument":
                edges.setdefault(id(request.asker), set()).update(id(each) for each in request.answer.fixtures[:1])
        while circle := _circle(edges):
            fixtures = tuple(survey.fixtures[each] for each in circle)
            circles.setdefault(frozenset(circle), (fixtures, []))[1].append(test)
            edges.pop(circle[0])
    yield from circles.values()


def _in_circles(edges: dict[int, set[int]]) -> set[int]:
    """Return what is left when everything that leads nowhere has been taken away, again and again."""
    left = {node: set(targets) for node, targets in edges.items()}
    while dead := [node for node, targets in left.items() if not targets & left.keys()]:
        for node in dead:
            del left[node]
    return set(left)


def _circle(edges: dict[int, set[int]]) -> tuple[int, ...]:
    """Return the nodes of one circle, in order; nothing where there is none."""
    for start, targets in edges.items():
        path, waiting = [start], [iter(sorted(targets))]
        seen = {start}
        while waiting:
            node = next(waiting[-1], None)
            if node is None:
                waiting.pop()
                path.pop()
            elif node == start:
                return tuple(path)
            elif node in edges and node not in seen:
                seen.add(node)
                path.append(node)
                waiting.append(iter(sorted(edges[node])))
    return ()
