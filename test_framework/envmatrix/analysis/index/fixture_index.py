"""The fixture index of a tree: its fixtures and tests, and the answer to each request."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from msgspec import structs

from envmatrix.analysis.index.answers import Fixture, Missing, Need, Request, Unknown
from envmatrix.analysis.index.collect import CollectedClass, CollectedTest, Collector, Provided
from envmatrix.analysis.index.decorators import Marks
from envmatrix.analysis.index.loaded_plugins import LoadedPlugins
from envmatrix.analysis.index.project_context import ProjectContext
from envmatrix.analysis.index.scopes import Scope
from envmatrix.analysis.index.tests import Test
from envmatrix.analysis.project.directories import Listings
from envmatrix.analysis.project.plugins import PROVIDED_BY
from envmatrix.analysis.source.expressions import dotted
from envmatrix.analysis.source.facts import Binding, Call, Class, Constant, Function, Import
from envmatrix.analysis.source.names import Bound, Lost, Names
from envmatrix.analysis.source.source_files import SourceFiles

_NO_RUNNERS = frozenset({"pytest", "pytest-asyncio", "anyio", "envmatrix"})
"""Plugins whose hook `pytest_fixture_setup` leaves async fixtures alone, or is known in detail."""


@dataclass(frozen=True, slots=True)
class IndexInputs:
    """Inputs of an index besides file contents; a cached index is valid while they are unchanged."""

    listings: Listings
    """The directories that were listed."""
    searches: Mapping[str, Mapping[str, str | None]]
    """File → module searched from there → the module's file; it grows with each search."""
    view: bytes
    """Digest of all settings: the key of the tree's view in the cache."""
    began_ns: int
    """A time before the first file was read."""


class Index:
    """The fixtures and tests of a tree, as its source shows them.

    Args:
        root: The tree's root, to which all paths are relative.
        projects: Its projects.
        sources: The facts of their files.
        find: Returns the path of a module by its name, as seen from a file.
        inputs: Its other inputs; None if nothing of it may be cached.
    """

    def __init__(
        self,
        root: Path,
        projects: Iterable[ProjectContext],
        sources: SourceFiles,
        find: Callable[[str, str], str | None],
        inputs: IndexInputs | None = None,
    ) -> None:
        self.root = root
        self.modules = sources
        self.find = find
        self.inputs = inputs
        self.names = Names(sources.module, find, sources.skim)
        self.plugins = LoadedPlugins(self.names, sources, find)
        self.projects = tuple(projects)
        self._sources = sources
        self._collector = Collector(self.names)
        self._scopes: dict[str, Scope] = {}
        self._tests: dict[str, tuple[Test, ...]] = {}
        self._own_runners: dict[str, bool] = {}
        self._around: dict[tuple[str, str], tuple[str, ...]] = {}
        self._conftests = {project.directory: frozenset(project.conftests) for project in self.projects}
        self._projects = {path: project for project in self.projects for path in project.test_files}

    @cached_property
    def tests(self) -> tuple[Test, ...]:
        """Return all tests, file by file."""
        return tuple(test for path in self._projects for test in self.tests_of(path))

    @cached_property
    def fixtures(self) -> tuple[Fixture, ...]:
        """Return all fixtures that the tree defines, once for each file or class that provides it."""
        innermost = {id(test.scope): test.scope for test in self.tests if test.scope}  # of many tests, few scopes
        scopes = {id(scope): scope for inner in innermost.values() for scope in inner.around()}
        for project in self.projects:
            for path in project.conftests:
                scope = self.conftest_scope(project, path)
                scopes[id(scope)] = scope
        provided = (
            fixture for scope in scopes.values() for each in scope.provided.fixtures.values() for fixture in each
        )
        return tuple(fixture for fixture in provided if not Path(fixture.path).is_absolute())

    def requests(self, test: Test) -> tuple[Request, ...]:
        """Return the requests of a test, then those of its fixtures on its behalf."""
        scope, ignored = test.scope, test.marks.parametrized
        if scope is None:
            return ()
        own = [request for request in scope.autouse_requests() if request.name not in ignored]
        for need in test.needs:
            if need.name in ignored:
                continue
            answer = scope.answer_to(need)
            if isinstance(answer, Missing) and need.how != "getfixturevalue":
                if scope.supplies(need.name):
                    continue
                if test.marks.unknown and need.how == "argument":
                    answer = Unknown(f"{test.marks.unknown} may supply it")
            where = test.path if need.how == "usefixtures" else test.defined_in
            own.append(Request(need.name, need.how, where, need.line, need.column, None, answer))
        # What a hook supplies is pruned, with all that a fixture of its name would ask for.
        names = tuple([each.name for each in own if each.how != "getfixturevalue"])
        if scope.supplied:
            names = tuple(name for name in names if not scope.supplies(name))
        return (*own, *scope.closure(names, ignored))

    def tests_of(self, path: str) -> tuple[Test, ...]:
        """Return the tests of one file, as pytest would collect them; cached."""
        if (known := self._tests.get(path)) is None:
            known = self._tests[path] = tuple(self.collected(path))
        return known

    def scope_of(self, path: str, nodeid: str) -> Scope | None:
        """Return the scope of a test; None where there is no such test."""
        return next((test.scope for test in self.tests_of(path) if test.nodeid == nodeid), None)

    def conftests_around(self, project: ProjectContext, directory: str) -> tuple[str, ...]:
        """Return the conftests that are visible in a directory, nearest first."""
        if (known := self._around.get((project.directory, directory))) is None:
            conftest = f"{directory}/conftest.py" if directory else "conftest.py"
            own = (conftest,) if conftest in self._conftests[project.directory] else ()
            is_top = directory == project.directory or not directory
            above = () if is_top else self.conftests_around(project, directory.rpartition("/")[0])
            known = self._around[project.directory, directory] = (*own, *above)
        return known

    def has_unread_imports(self, path: str) -> bool:
        """Return whether a file imports what cannot be read, and may be a fixture or the base of a test class."""
        body = self._sources.module(path).body
        bases = {
            dotted(base).partition(".")[0] for each in body if isinstance(each.to, Class) for base in each.to.bases
        }
        return bool(self.names.namespace(path).lost) or any(
            isinstance(each.to, Import)
            and (each.name in bases or (each.to.attribute not in {"", "*"} and not each.name[0].isupper()))
            and self._is_unread(path, each)
            for each in body
        )

    def _is_unread(self, path: str, binding: Binding) -> bool:
        target = self.names.resolve_skimming(path, binding.name)
        head = target.dotted.partition(".")[0] if isinstance(target, Lost) else "sys"
        return head not in sys.stdlib_module_names and (not head or self.find(path, head) is None)

    def runs_async(self, path: str, fixture: Fixture, names: Container[str]) -> bool:
        """Return whether a plugin or conftest may run an async fixture of a test with fixtures of these names."""
        project = self._projects[path]
        if (known := self._own_runners.get(project.directory)) is None:
            plugins = [path for name, path in self.plugins.of(project)[0] if name not in _NO_RUNNERS]
            files = (*plugins, *project.conftests)
            known = any("pytest_fixture_setup" in self.names.namespace(file).names for file in files)
            self._own_runners[project.directory] = known
        return known or project.async_plugins.runs(fixture, names)

    def own_scopes(self, test: Test) -> Iterator[Scope]:
        """Yield the scopes of a test's classes, then that of its file."""
        if test.scope is not None:
            around = self._scope_of_directory(self._projects[test.path], test.path.rpartition("/")[0])
            yield from itertools.takewhile(lambda scope: scope is not around, test.scope.around())

    def collected(self, path: str) -> Iterator[Test]:
        """Yield the tests of one file, as pytest would collect them."""
        project = self._projects[path]
        collected = list(self._collector.tests(path, project.patterns))
        if not collected:
            return
        scope = self._module_scope(project, path)
        marks = self._collector.module_marks(path)
        for item in collected:
            if isinstance(item, CollectedClass):
                yield from self._tests_of_class(_CollectionPlace(project, path, (), scope, marks), item)
            else:
                yield _test(_CollectionPlace(project, path, (), scope, marks), item)

    def _tests_of_class(self, place: _CollectionPlace, item: CollectedClass) -> Iterator[Test]:
        classes = (*place.classes, item.name)
        holder = "::".join((place.path, *classes))
        provided = self._collector.of_class(item.lineage, holder)
        hook = item.lineage.members.get("pytest_generate_tests")
        supplied = _supplied(hook.binding if hook else None)
        members = {name: [bound] for name, bound in item.lineage.members.items()}
        doubt = self._doubt(provided, supplied, holder, item.lineage.lost, members)
        scope = Scope(place.scope, provided, supplied, doubt, runs_hooks=not item.lineage.is_unittest)
        inside = replace(place, classes=classes, scope=scope)
        for test in item.tests:
            yield _test(inside, test)
        marks = self._collector.lineage_marks(item.lineage) + place.marks  # inherited by inner classes
        for inner in item.classes:
            yield from self._tests_of_class(replace(inside, marks=marks), inner)

    def _module_scope(self, project: ProjectContext, path: str) -> Scope:
        around = self._scope_of_directory(project, path.rpartition("/")[0])
        return self._file_scope(path, path, around)

    def conftest_scope(self, project: ProjectContext, path: str) -> Scope:
        """Return the scope of the tests around a conftest."""
        return self._scope_of_directory(project, path.rpartition("/")[0])

    def _scope_of_directory(self, project: ProjectContext, directory: str) -> Scope:
        """Return the scope of a directory: its conftest, inside of those above and the plugins."""
        return self._scope_of_conftests(project, self.conftests_around(project, directory))

    def _scope_of_conftests(self, project: ProjectContext, conftests: tuple[str, ...]) -> Scope:
        if not conftests:
            return self.outermost(project)
        key = f"{project.directory}:{conftests[0]}"
        if (known := self._scopes.get(key)) is None:
            around = self._scope_of_conftests(project, conftests[1:])
            known = self._scopes[key] = self._file_scope(conftests[0], conftests[0].rpartition("/")[0], around)
        return known

    def _file_scope(self, path: str, holder: str, around: Scope) -> Scope:
        provided = self._collector.of_module(path, holder)
        space = self.names.namespace(path)
        hook = space.names.get("pytest_generate_tests")
        supplied = _supplied(hook[0].binding if hook else None)
        return Scope(around, provided, supplied, self._doubt(provided, supplied, path, self._lost(path), space.names))

    def _lost(self, path: str) -> str:
        """Return what of a file may provide any name; empty where all of it can be read."""
        module, lost = self._sources.module(path), self.names.namespace(path).lost
        if module.unread:
            return f"{path} cannot be read: {module.unread}. It"
        if lost:
            return f"from {lost[0]} import *, which cannot be read,"
        return "a name that is made at run time" if module.is_dynamic else ""

    def outermost(self, project: ProjectContext) -> Scope:
        """Return the scope around all tests of a project: the fixtures of its plugins."""
        key = f"{project.directory}:"
        if (known := self._scopes.get(key)) is None:
            plugins, lost = self.plugins.of(project)
            known = Scope(None, doubt=_one_of(project.unread_plugins), async_plugins=project.async_plugins)
            for name in lost:
                known = Scope(known, doubt=_one_of((name,)))
            for name, path in plugins:
                known = self._plugin_scope(project, name, path, known)
            self._scopes[key] = known
        return known

    def _plugin_scope(self, project: ProjectContext, name: str, path: str, around: Scope) -> Scope:
        is_conftest = path in self._conftests[project.directory]
        provided = Provided({}, (), "") if is_conftest else self._collector.of_module(path, "", name)
        for where, node in self.plugins.classes_registered_by(path):
            inner = self._collector.of_plugin_class(where, node, name)
            for key, fixtures in inner.fixtures.items():
                provided.fixtures.setdefault(key, []).extend(fixtures)
        if is_conftest or name == "pytest":
            return Scope(around, provided)
        names = self.names.namespace(path).names
        hook = names.get("pytest_generate_tests")
        supplied = _supplied(hook[0].binding if hook else None)
        lost = "" if path.startswith("/") else self._lost(path)
        return Scope(around, provided, supplied, self._doubt(provided, (), path, lost, names))

    def _doubt(
        self, provided: Provided, supplied: tuple[str, ...], path: str, lost: str, names: Mapping[str, list[Bound]]
    ) -> Callable[[str], Unknown | None]:
        """Return a function that says why a missing name may come from this holder after all."""

        def why(name: str) -> str:
            if provided.unnamed:
                return f"the fixture at {provided.unnamed} has a name that is computed"
            if "" in supplied:
                return f"pytest_generate_tests of {path} may supply it"
            if lost:
                return f"{lost} may provide it"
            bound = (*names.get(name, ()), *_called(names, name))
            return next(filter(None, map(self._collector.doubt, bound)), "")

        return lambda name: Unknown(reason) if (reason := why(name)) else None


@dataclass(frozen=True, slots=True)
class _CollectionPlace:
    """A file or class in which tests are collected."""

    project: ProjectContext
    path: str
    classes: tuple[str, ...]
    scope: Scope
    marks: Marks
    """The marks of the file."""


def _test(place: _CollectionPlace, item: CollectedTest) -> Test:
    function, marks = item.function, item.marks + place.marks
    needs, plugins = item.needs, place.project.async_plugins
    is_anyio = function.is_async and plugins.is_anyio and (marks.is_anyio or plugins.is_anyio_auto)
    if uses := (*marks.uses, *place.project.usefixtures, *(("anyio_backend",) if is_anyio else ())):
        needs = (*(Need(name, "usefixtures", function.line, function.column) for name in uses), *needs)
    return Test(
        path=place.path,
        classes=place.classes,
        name=item.name,
        line=function.line,
        column=function.column,
        function=function,
        defined_in=item.path,
        masked=marks.masked,
        needs=needs,
        marks=marks,
        scope=place.scope,
    )


def _called(names: Mapping[str, list[Bound]], name: str) -> Iterator[Bound]:
    """Yield the functions whose decorators may name them so, each with that one: `@fixture(name="it")`, `@named("it")`."""
    for bounds in names.values():
        path, binding = bounds[0].path, bounds[0].binding
        for decorator in binding.to.decorators if isinstance(binding.to, Function) else ():
            if isinstance(decorator, Call) and (
                ("name", Constant(name)) in decorator.keywords or Constant(name) in decorator.arguments
            ):
                yield Bound(path, structs.replace(binding, to=structs.replace(binding.to, decorators=(decorator,))))


def _supplied(hook: Binding | None) -> tuple[str, ...]:
    return hook.to.parametrizes if hook is not None and isinstance(hook.to, Function) else ()


def _one_of(plugins: tuple[str, ...]) -> Callable[[str], Unknown | None]:
    def doubt(name: str) -> Unknown | None:
        absent = tuple(plugin for plugin in plugins if name in PROVIDED_BY.get(plugin, {name}))
        return Unknown(f"{', '.join(absent)} may provide it, and is not installed here", absent) if absent else None

    return doubt
