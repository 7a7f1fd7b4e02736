"""The source of a project: its tests, its modules, and the tests that use each fixture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from envmatrix.analysis.impact.hook_requests import HookRequests, hook_requests
from envmatrix.analysis.index.answers import Fixture, Found, Unknown
from envmatrix.analysis.index.fixture_index import Index
from envmatrix.analysis.index.tests import Test
from envmatrix.analysis.source.facts import Module


@dataclass(frozen=True)
class ProjectSource:
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
    def askers(self) -> Mapping[tuple[str, int], Sequence[tuple[Test, tuple[str, ...]]]]:
        """Map where a fixture is defined to the tests that reach it, each with the fixtures on the way."""
        found: dict[tuple[str, int], list[tuple[Test, tuple[str, ...]]]] = defaultdict(list)
        for test in self.index.tests:
            requesters: dict[tuple[str, int], Fixture | None] = {}
            for request in self.index.requests(test):
                if isinstance(request.answer, Found) and request.answer.fixtures:  # `request` itself has none
                    answer = request.answer.fixtures[0]
                    requesters.setdefault((answer.path, answer.line), request.asker)
            for place, asker in requesters.items():
                found[place].append((test, _through(asker, requesters)))
            for hook in self._hooks_around(test):
                for name in hook.names:
                    for fixture in test.scope.find(name) if test.scope else ():
                        if (fixture.path, fixture.line) not in requesters and not fixture.plugin:
                            found[fixture.path, fixture.line].append((test, (f"which {hook.by} may request for it",)))
        return found

    def _hooks_around(self, test: Test) -> Iterator[HookRequests]:
        return (hook for hook in self._hooks if test.path.startswith(hook.below))

    @cached_property
    def _hooks(self) -> Sequence[HookRequests]:
        return tuple(hook for hook in hook_requests(self.index, self.source) if hook.names or hook.is_computed)

    @cached_property
    def unknown_askers(self) -> Sequence[tuple[Test, str]]:
        """Return the tests that may ask for any fixture, with the request that cannot be read."""
        found = []
        for test in self.index.tests:
            for request in self.index.requests(test):
                if isinstance(request.answer, Unknown) and not request.name:
                    found.append((test, request.answer.why))
                    break
            else:
                found += [(test, f"{hook.by} computes it") for hook in self._hooks_around(test) if hook.is_computed][:1]
        return found


def _through(asker: Fixture | None, requesters: Mapping[tuple[str, int], Fixture | None]) -> tuple[str, ...]:
    names: list[str] = []
    while asker is not None and asker.name not in names:
        names.append(asker.name)
        asker = requesters.get((asker.path, asker.line))
    return tuple(f"asked for by {name}" for name in names)


def is_conftest(path: str) -> bool:
    """Return whether pytest loads a file for all tests below its directory."""
    return path.rpartition("/")[2] == "conftest.py"
