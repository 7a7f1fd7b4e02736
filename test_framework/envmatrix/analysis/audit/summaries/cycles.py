"""Cycles in the graph of fixtures that ask for fixtures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from envmatrix.analysis.audit.summaries.summary import FixtureKey
from envmatrix.analysis.index.answers import Fixture
from envmatrix.analysis.index.scopes import Scope


def in_cycles(edges: dict[FixtureKey, set[FixtureKey]]) -> set[FixtureKey]:
    """Return the nodes that are in a cycle or lead to one."""
    left = {node: set(targets) for node, targets in edges.items()}
    while dead := [node for node, targets in left.items() if not targets & left.keys()]:
        for node in dead:
            del left[node]
    return set(left)


def circles(scope: Scope, names: Iterable[str], given: frozenset[str]) -> Iterator[tuple[Fixture, ...]]:
    """Yield the circles in which the set-up of fixtures ends, if pytest sets them up in this order.

    As in pytest, a fixture that leads back to its own name gets the one that it overrides, and what is set up stays so.
    """
    done = set(given)

    def circle(name: str, above: tuple[Fixture, ...]) -> tuple[Fixture, ...]:
        fixtures = scope.find(name)
        levels = [at for at, each in enumerate(above) if each.name == name]
        if name in done or scope.supplies(name):
            return ()
        if len(levels) == len(fixtures):
            return above[levels[-1] :] if levels and not scope.doubted(name) else ()
        fixture = fixtures[len(levels)]
        for need in () if fixture.doubt else fixture.needs:
            if need.how == "argument" and (found := circle(need.name, (*above, fixture))):
                return found
        done.add(name)
        return ()

    return filter(None, (circle(name, ()) for name in names))
