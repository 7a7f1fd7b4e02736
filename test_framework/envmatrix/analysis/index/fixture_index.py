"""The fixture index of a tree: every fixture, every test, and which fixture answers each request. Nothing is imported."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from envmatrix.analysis.index.answers import Fixture, Missing, Need, Request, Unknown
from envmatrix.analysis.index.collect import CollectedClass, CollectedTest, Collector, Patterns, Provided
from envmatrix.analysis.index.decorators import Marks
from envmatrix.analysis.index.scopes import Scope
from envmatrix.analysis.index.tests import Test
from envmatrix.analysis.project.directories import Listings
from envmatrix.analysis.project.plugins import PROVIDED_BY
from envmatrix.analysis.source.facts import Assigned, Binding, Call, Class, Constant, Function, Import, Name, Sequence
from envmatrix.analysis.source.names import Definition, Lost, Names
from envmatrix.analysis.source.source_files import SourceFiles

NOT_INSTALLED = "is not installed here"
"""How an unknown answer ends that reading in another environment would make known."""


@dataclass(frozen=True, slots=True)
class ProjectContext:
    """What one project brings to its tests, its paths relative to the tree's root."""

    directory: str
    """The project's rootdir; empty for the tree's root."""
    patterns: Patterns
    usefixtures: tuple[str, ...]
    test_files: tuple[str, ...]
    conftests: tuple[str, ...]
    plugins: tuple[tuple[str, str], ...]
    """Name and file of each plugin, pytest's own first."""
    unread_plugins: tuple[str, ...]
    """Plugins that it declares and that are not installed here: each may provide any name."""


@dataclass(frozen=True, slots=True)
class IndexInputs:
    """What an index rests on beside the bytes of files: who keeps a part of it has to see that this did not change."""

    listings: Listings
    """The directories that were looked into."""
    found: Mapping[str, Mapping[str, str | None]]
    """File → each module that was looked for from there → its file; more of it while more is asked."""
    view: bytes
    """A digest of all settings."""
    began_ns: int
    """When the first file was read, or before."""


class Index:
    """Everything that the source of a tree says about its fixtures and tests.

    Args:
        root: The tree's root, to which all paths are relative.
        projects: Which files there are, and what surrounds them.
        sources: Their facts.
        find: The path of a module by its name, as seen from a file.
        ground: What else it rests on; None where nothing of it may be kept.
    """

    def __init__(
        self,
        root: Path,
        projects: Iterable[ProjectContext],
        sources: SourceFiles,
        find: Callable[[str, str], str | None],
        ground: IndexInputs | None = None,
    ) -> None:
        self.root = root
        self.modules = sources
        self.find = find
        self.ground = ground
        self.names = Names(sources.module, find, sources.skim)
        self.projects = tuple(projects)
        self._sources = sources
        self._collector = Collector(self.names)
        self._scopes: dict[str, Scope] = {}
        self._tests: dict[str, tuple[Test, ...]] = {}
        self._around: dict[tuple[str, str], tuple[str, ...]] = {}
        self._conftests = {project.directory: frozenset(project.conftests) for project in self.projects}
        self._projects = {path: project for project in self.projects for path in project.test_files}

    @cached_property
    def tests(self) -> tuple[Test, ...]:
        """Every test, file by file."""
        return tuple(test for path in self._projects for test in self.tests_of(path))

    @cached_property
    def fixtures(self) -> tuple[Fixture, ...]:
        """Every fixture that this tree defines, once for each place that provides it."""
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
        """Return all that a test asks for, then what the fixtures that answer ask for on its behalf."""
        scope, ignored = test.scope, test.marks.parametrized
        if scope is None:
            return ()
        own = [request for request in scope.autouse_requests() if request.name not in ignored]
        for need in test.needs:
            if need.name in ignored:
                continue
            answer = scope.answer(need.name)
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
        """Return the tests of one file, as pytest would collect them, and remember them."""
        if (known := self._tests.get(path)) is None:
            known = self._tests[path] = tuple(self.collected(path))
        return known

    def scope_of(self, path: str, nodeid: str) -> Scope | None:
        """Return what a test of a file can see; None where there is no such test."""
        return next((test.scope for test in self.tests_of(path) if test.nodeid == nodeid), None)

    def conftests_around(self, project: ProjectContext, directory: str) -> tuple[str, ...]:
        """Return the conftests that what is in a directory can see, nearest first."""
        if (known := self._around.get((project.directory, directory))) is None:
            conftest = f"{directory}/conftest.py" if directory else "conftest.py"
            own = (conftest,) if conftest in self._conftests[project.directory] else ()
            is_top = directory == project.directory or not directory
            above = () if is_top else self.conftests_around(project, directory.rpartition("/")[0])
            known = self._around[project.directory, directory] = (*own, *above)
        return known

    def own_scopes(self, test: Test) -> Iterator[Scope]:
        """Yield the scopes around a test that are of its own file: of its classes, then of the file."""
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
        doubt = self._doubt(provided, supplied, holder, item.lineage.lost)
        scope = Scope(place.scope, provided, supplied, doubt, runs_hooks=not item.lineage.is_unittest)
        inside = replace(place, classes=classes, scope=scope)
        for test in item.tests:
            yield _test(inside, test)
        marks = self._collector.lineage_marks(item.lineage) + place.marks  # they hold for inner classes, too
        for inner in item.classes:
            yield from self._tests_of_class(replace(inside, marks=marks), inner)

    def _module_scope(self, project: ProjectContext, path: str) -> Scope:
        around = self._scope_of_directory(project, path.rpartition("/")[0])
        return self._file_scope(path, path, around)

    def conftest_scope(self, project: ProjectContext, path: str) -> Scope:
        """Return what the tests around a conftest see."""
        return self._scope_of_directory(project, path.rpartition("/")[0])

    def _scope_of_directory(self, project: ProjectContext, directory: str) -> Scope:
        """Return what tests of a directory see: its conftest, those above up to the project's root, its plugins."""
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
        lost = f"from {space.lost[0]} import *, which cannot be read," if space.lost else ""
        module = self._sources.module(path)
        if module.is_dynamic:
            lost = lost or "a name that is made at run time"
        if module.unread:
            lost = f"{path} cannot be read: {module.unread}. It"
        return Scope(around, provided, supplied, self._doubt(provided, supplied, path, lost, in_file=True))

    def outermost(self, project: ProjectContext) -> Scope:
        """Return what every test of a project sees: the fixtures of its plugins."""
        key = f"{project.directory}:"
        if (known := self._scopes.get(key)) is None:
            plugins, lost = self.plugins_of(project)
            known = Scope(None, doubt=_one_of(project.unread_plugins))
            for name in lost:
                known = Scope(known, doubt=_one_of((name,)))
            for name, path in plugins:
                known = self._plugin_scope(name, path, known)
            self._scopes[key] = known
        return known

    def plugins_of(self, project: ProjectContext) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
        """Return name and file of each plugin of a project, and the names of those that are not found.

        Those are among them that its files, or other plugins, name.
        """
        waiting = [*project.plugins]
        lost: list[str] = []
        named = [name for path in (*project.conftests, *project.test_files) for name in self._plugins_named_in(path)]
        named += [name for path in project.conftests for name in self._registered_by(path) if self.find(*name)]
        for path, name in named:
            if (found := self.find(path, name)) is None:
                lost.append(name)
            else:
                waiting.append((name, found))
        seen: dict[str, str] = {}
        while waiting:
            name, path = waiting.pop(0)
            if path in seen:
                continue
            seen[path] = name
            for where, other in (*self._plugins_named_in(path), *self._registered_by(path)):
                if found := self.find(where, other):
                    waiting.append((other, found))
        return tuple((name, path) for path, name in seen.items()), tuple(lost)

    def _plugin_scope(self, name: str, path: str, around: Scope) -> Scope:
        provided = self._collector.of_module(path, "", name)
        for where, node in self._classes_registered_by(path):
            inner = self._collector.of_plugin_class(where, node, name)
            for key, fixtures in inner.fixtures.items():
                provided.fixtures.setdefault(key, []).extend(fixtures)
        hook = self.names.namespace(path).names.get("pytest_generate_tests")
        is_pytest = name == "pytest"
        return Scope(around, provided, () if is_pytest else _supplied(hook[0].binding if hook else None))

    def _plugins_named_in(self, path: str) -> list[tuple[str, str]]:
        """Return the plugins of a file's `pytest_plugins`, each with the file that names it."""
        if not self._sources.head(path).names_plugins:
            return []
        if "pytest_plugins" not in self.names.namespace(path).names:
            return []
        match self.names.literal(path, Name("pytest_plugins")):
            case Constant(value=str(name)):
                return [(path, name)]
            case Sequence(items=items):
                return [
                    (path, item.value) for item in items if isinstance(item, Constant) and isinstance(item.value, str)
                ]
            case _:
                return []

    def _classes_registered_by(self, path: str) -> Iterator[tuple[str, Class]]:
        """Yield the classes whose instances a plugin registers: all of its own where it registers a variable."""
        names = self.names.namespace(path).names
        for name in self._sources.module(path).registers:
            match self.names.glance(path, name):
                case Definition(path=where, binding=Binding(to=Class() as node)):
                    yield where, node
                case Lost():
                    nodes = (bound[0].binding.to for bound in names.values())
                    yield from ((path, node) for node in nodes if isinstance(node, Class))
                case _:
                    pass

    def _registered_by(self, path: str) -> list[tuple[str, str]]:
        """Return the modules that a plugin registers or loads itself, each with the file that says so."""
        module = self._sources.module(path)
        local = {each.attribute or each.module: each for each in module.imports}
        named = []
        for name in module.registers:
            imported = local.get(name)
            named.append((path, f"{imported.module}.{imported.attribute}" if imported and imported.attribute else name))
        return named

    def _doubt(
        self, provided: Provided, supplied: tuple[str, ...], path: str, lost: str, *, in_file: bool = False
    ) -> Callable[[str], str]:
        """Return what says why a name that nobody provides may still come from this holder."""

        def why(name: str) -> str:
            if provided.unnamed:
                return f"the fixture at {provided.unnamed} has a name that is computed"
            if "" in supplied:
                return f"pytest_generate_tests of {path} may supply it"
            if lost:
                return f"{lost} may provide it"
            return self._maybe_bound(path, name) if in_file else ""

        return why

    def _maybe_bound(self, path: str, name: str) -> str:
        """Return what a file binds a name to, where that may be a fixture: made by a call, imported from nowhere."""
        for bound in self.names.namespace(path).names.get(name, ()):
            match bound.binding.to:
                case Assigned(value=Call()):
                    return f"{bound.path}:{bound.binding.line} makes it by a call that is not followed"
                case Import() if isinstance(self.names.glance(path, name), Lost):
                    return f"{bound.path}:{bound.binding.line} imports it from where nothing can be read"
        return ""


@dataclass(frozen=True, slots=True)
class _CollectionPlace:
    """Where tests are collected: in a file, or in a class of it."""

    project: ProjectContext
    path: str
    classes: tuple[str, ...]
    scope: Scope
    marks: Marks
    """Of the file."""


def _test(place: _CollectionPlace, item: CollectedTest) -> Test:
    function, marks = item.function, item.marks + place.marks
    needs = item.needs
    if uses := (*marks.uses, *place.project.usefixtures):
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


def _supplied(hook: Binding | None) -> tuple[str, ...]:
    return hook.to.parametrizes if hook is not None and isinstance(hook.to, Function) else ()


def _one_of(plugins: tuple[str, ...]) -> Callable[[str], str]:
    def why(name: str) -> str:
        candidates = [plugin for plugin in plugins if name in PROVIDED_BY.get(plugin, {name})]
        return f"{', '.join(candidates)} may provide it, and {NOT_INSTALLED}" if candidates else ""

    return why
