"""The tests of each environment, and those of them that are selected, each with its reason."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TypeAlias

from envmatrix.analysis.impact.environments import DeclaredEnvironment
from envmatrix.analysis.impact.needs import Needs, needs_of
from envmatrix.analysis.impact.project_source import ProjectSource
from envmatrix.analysis.index.tests import Test

NOWHERE = ""
"""In place of an environment's name: tests that are in no suite, and run once."""

Because: TypeAlias = tuple[str, ...]
"""Why a test is selected: what changed, then each step of the way to the test."""


class SelectedTests:
    """The selected tests of each environment. The first reason to select one stays."""

    def __init__(self, tree: ProjectSource, places: Sequence[DeclaredEnvironment]) -> None:
        self._tree = tree
        suite = [test for test in tree.index.tests if places and tree.in_suites(test)]
        self.in_suites = frozenset(test.nodeid for test in suite)
        rest = [test for test in tree.index.tests if test.nodeid not in self.in_suites]
        self.tests: dict[str, Sequence[Test]] = {place.name: suite for place in places}
        if rest or not places:
            self.tests[NOWHERE] = rest
        self.selected: dict[str, dict[str, Because]] = {name: {} for name in self.tests}
        self.cleared: dict[str, Collection[str]] = {}
        """Environment → tests that were seen not to run what differs now: reading does not select them."""
        self._needs: dict[str, Needs] = {}

    @property
    def nodeids(self) -> Mapping[str, Sequence[str]]:
        """Return the tests of each environment by their node ids."""
        known = {id(tests): tuple(test.nodeid for test in tests) for tests in self.tests.values()}
        return {name: known[id(tests)] for name, tests in self.tests.items()}

    def select(self, test: Test, why: Because) -> None:
        """Select a test in every environment that runs it."""
        places = self._places if test.nodeid in self.in_suites else (NOWHERE,)
        for name in places:
            self.select_in(name, (test.nodeid,), why)

    def select_in(self, name: str, tests: Iterable[str], why: Because) -> None:
        """Select tests of one environment, unless they are cleared."""
        for test in tests:
            if test not in self.cleared.get(name, ()):
                self.selected[name].setdefault(test, why)

    @cached_property
    def _places(self) -> Sequence[str]:
        return [name for name in self.tests if name != NOWHERE]

    def select_all(self, why: Because) -> None:
        """Select every test everywhere."""
        for name in self.tests:
            self.select_column(name, why)

    def select_column(self, name: str, why: Because) -> None:
        """Select every test of one environment."""
        self.select_in(name, (test.nodeid for test in self.tests[name]), why)

    def select_users(self, place: DeclaredEnvironment, services: frozenset[str], why: Because) -> None:
        """Select the tests that need one of these services of an environment."""
        for test in self.tests[place.name]:
            if reason := self._needs_of(test).why(place, services):
                self.selected[place.name].setdefault(test.nodeid, (*why, reason))

    def _needs_of(self, test: Test) -> Needs:
        if (known := self._needs.get(test.nodeid)) is None:
            known = self._needs[test.nodeid] = needs_of(test, self._tree)
        return known
