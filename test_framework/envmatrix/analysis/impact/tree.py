"""The source of a project, as impact asks about it: its tests, and who reaches which fixture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from envmatrix.analysis.index.answers import Fixture, Found, Unknown
from envmatrix.analysis.index.fixture_index import Index
from envmatrix.analysis.index.tests import Test
from envmatrix.analysis.source.facts import Module


@dataclass(frozen=True)
class Tree:
    """The source of a project. A place in it is a file and the line of a `def`."""

    index: Index
    modules: Mapping[str, Module]
    """The facts of every Python file."""
    find: Callable[[str, str], str | None]
    """The path of a module by its absolute or relative name, as seen from a file."""
    source: Callable[[str], bytes]
    """The bytes of a file."""
    suites: tuple[str, ...] = ()
    """Files and directories that are run in every environment; all tests where there is none."""
    plugins: frozenset[str] = frozenset()
    """Files that pytest loads for every test."""
    scripts: Mapping[str, str] = field(default_factory=dict)
    """Command → the file that it runs."""
    contracts: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Fixture → file and class of its contract; of one outside of the tree, the file is empty."""
    contract_version: str = "0.0.0"

    def in_suites(self, test: Test) -> bool:
        """Return whether a test is run in every environment."""
        return not self.suites or any(test.path == suite or test.path.startswith(f"{suite}/") for suite in self.suites)

    def tests_below(self, path: str) -> Sequence[Test]:
        """Return the tests that see what a conftest or a module provides."""
        if path in self.plugins:
            return self.index.tests
        if not is_conftest(path):
            return self.tests_by_file.get(path, ())
        directory = path.rpartition("/")[0]
        return [test for test in self.index.tests if not directory or test.path.startswith(f"{directory}/")]

    def holds_tests_or_fixtures(self, path: str) -> bool:
        """Return whether what a file holds is reached through pytest, each function by itself."""
        return is_conftest(path) or path in self._files_of_fixtures or path in self.tests_by_file

    def is_beside_tests(self, path: str) -> bool:
        """Return whether a file lies in a directory of tests: what it names as a text may be a file that they read."""
        return path.rpartition("/")[0] in self._directories_of_tests

    @cached_property
    def _directories_of_tests(self) -> frozenset[str]:
        return frozenset(test.path.rpartition("/")[0] for test in self.index.tests)

    @cached_property
    def _files_of_fixtures(self) -> frozenset[str]:
        return frozenset(fixture.path for fixture in self.index.fixtures)

    @cached_property
    def fixture_places(self) -> frozenset[tuple[str, int]]:
        """Return where fixtures are defined."""
        return frozenset((fixture.path, fixture.line) for fixture in self.index.fixtures)

    @cached_property
    def tests_by_file(self) -> Mapping[str, Sequence[Test]]:
        """Map each file to the tests that it collects or defines."""
        found: dict[str, list[Test]] = defaultdict(list)
        for test in self.index.tests:
            for path in dict.fromkeys((test.path, test.defined_in)):
                found[path].append(test)
        return found

    @cached_property
    def tests_by_place(self) -> Mapping[tuple[str, int], Sequence[Test]]:
        """Map where a test is defined to it, once for each file that collects it."""
        found: dict[tuple[str, int], list[Test]] = defaultdict(list)
        for test in self.index.tests:
            found[test.defined_in, test.function.line].append(test)
        return found

    @cached_property
    def askers(self) -> Mapping[tuple[str, int], Sequence[tuple[Test, str]]]:
        """Map where a fixture is defined to the tests that reach it, each with the fixtures on the way."""
        found: dict[tuple[str, int], list[tuple[Test, str]]] = defaultdict(list)
        for test in self.index.tests:
            asked: dict[tuple[str, int], Fixture | None] = {}
            for request in self.index.requests(test):
                if isinstance(request.answer, Found) and request.answer.fixtures:  # `request` itself has none
                    answer = request.answer.fixtures[0]
                    asked.setdefault((answer.path, answer.line), request.asker)
            for place, asker in asked.items():
                found[place].append((test, _through(asker, asked)))
        return found

    @cached_property
    def unknown_askers(self) -> Sequence[tuple[Test, str]]:
        """Return the tests that ask for a fixture in a way that cannot be read, and why: any may be theirs."""
        found = []
        for test in self.index.tests:
            for request in self.index.requests(test):
                if isinstance(request.answer, Unknown) and not request.name:
                    found.append((test, request.answer.why))
                    break
        return found


def _through(asker: Fixture | None, asked: Mapping[tuple[str, int], Fixture | None]) -> str:
    names: list[str] = []
    while asker is not None and asker.name not in names:
        names.append(asker.name)
        asker = asked.get((asker.path, asker.line))
    return "".join(f", asked for by {name}" for name in names)


def is_conftest(path: str) -> bool:
    """Return whether pytest loads a file for all tests below its directory."""
    return path.rpartition("/")[2] == "conftest.py"
