"""The nearest provider of a missing fixture, and the change that brings it into sight."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from envmatrix.analysis.audit.rules.file_search import FileSearch, SearchPattern
from envmatrix.analysis.audit.rules.known_plugins import PLUGINS
from envmatrix.analysis.audit.rules.survey import RequestGroup, Survey
from envmatrix.analysis.index.answers import Fixture
from envmatrix.analysis.index.fixture_index import Index
from envmatrix.analysis.source.facts import Binding, Call, Class, Constant, Expression, Function, Name

_NAMED = 3


@dataclass(frozen=True, slots=True)
class NearbyProvider:
    """A definition of a fixture somewhere in the tree."""

    path: str
    line: int
    class_: str
    """The class that it is in; empty for none."""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class VisibilityFix:
    """A change that brings a fixture into sight: an import into a conftest, or a move there."""

    provider: NearbyProvider
    target: str
    """The conftest, which may not exist yet."""
    module: str = ""
    """The provider's module, as the conftest can import it; empty for a move."""

    @property
    def by_hand(self) -> str:
        """Return the advice where the change is not safe."""
        return f"{'import' if self.module else 'move'} it by hand"

    def in_words(self, name: str) -> str:
        """Return the change in words."""
        return (
            f"add `from {self.module} import {name}` to {self.target}" if self.module else f"move it to {self.target}"
        )


class NearestProviders:
    """Every definition of the fixtures that are missing in a tree.

    Args:
        index: The index of the tree.
        survey: The survey of the index.
        names: The names of the missing fixtures.
    """

    def __init__(self, index: Index, survey: Survey, names: Iterable[str]) -> None:
        self._index = index
        self._known: dict[str, set[NearbyProvider]] = {name: set() for name in names if name}
        for fixture in survey.fixtures if self._known else ():
            if fixture.name in self._known:
                self._known[fixture.name].add(NearbyProvider(fixture.path, fixture.line, _class(fixture)))
        for path in _files_that_define(survey.texts, self._known) if self._known else ():
            self._look_into(path)

    def _look_into(self, path: str) -> None:
        for name, provider in _definitions(path, self._index.modules.module(path).body):
            providers_of_name = self._known.get(name)
            if providers_of_name is not None and not any(
                (each.path, each.line) == (path, provider.line) for each in providers_of_name
            ):
                providers_of_name.add(provider)

    def hint(self, group: RequestGroup) -> str:
        """Return where the fixture is, and how to let the tests of a group see it."""
        name = group.request.name
        home, providers = self._around(group)
        if providers:
            there = ", ".join(map(str, providers[:_NAMED]))
            more = f" and {len(providers) - _NAMED} more" if len(providers) > _NAMED else ""
            inside = providers[0].class_
            mend = self._mend(providers[0], home)
            if inside and (
                {test.path for test in group.tests} == {providers[0].path} or mend.target == providers[0].path
            ):
                return f"{there}{more} {_verb(providers)} it: move it out of class {inside}"
            return f"{there}{more} {_verb(providers)} it: {mend.in_words(name)}"
        if name in PLUGINS:
            return f"The plugin {PLUGINS[name]} provides it: install it where the tests run"
        if name in {"pytester", "testdir"}:
            return "The plugin pytester provides it, which pytest brings: add -p pytester to addopts"
        if group.request.close:
            return f"Did you mean {group.request.close!r}?"
        return f"Define it in {_conftest(home)}, or give it a value with parametrize"

    def mend(self, group: RequestGroup) -> VisibilityFix | None:
        """Return the change that lets the tests of a group see a missing fixture.

        None unless exactly one definition is meant to be shared: at the top of a conftest, or of a module without tests.
        """
        home, providers = self._around(group)
        shared = [each for each in providers if not (each.class_ or self._has_tests(each.path))]
        return self._mend(shared[0], home) if len(shared) == 1 else None

    def _around(self, group: RequestGroup) -> tuple[str, list[NearbyProvider]]:
        """Return the directory that the tests of a group share, and the providers of the missing fixture, nearest first."""
        home = _common([_directory(test.path) for test in group.tests])
        known = self._known.get(group.request.name, set())
        return home, sorted(known, key=lambda each: (-_shared(home, each.path), each.path, each.line))

    def _mend(self, provider: NearbyProvider, home: str) -> VisibilityFix:
        if not (provider.class_ or provider.path.endswith("conftest.py") or self._has_tests(provider.path)):
            target = self._nearest_conftest(home)
            if module := self.module(target, provider.path):
                return VisibilityFix(provider, target, module)
        return VisibilityFix(provider, _conftest(_common([home, _directory(provider.path)])))

    def _has_tests(self, path: str) -> bool:
        """Return whether pytest imports a file for its tests, so that no other file should."""
        return any(path in project.test_files for project in self._index.projects)

    def _nearest_conftest(self, home: str) -> str:
        """Return the nearest conftest that all tests below a directory see, or the path of a new one."""
        directory = home
        while True:
            conftest = _conftest(directory)
            if any(conftest in project.conftests for project in self._index.projects):
                return conftest
            if not directory:
                return _conftest(home)
            directory = _directory(directory)

    def module(self, importer: str, path: str) -> str:
        """Return the shortest dotted name by which a file finds a module; empty for none."""
        parts = path.removesuffix(".py").removesuffix("/__init__").split("/")
        for start in range(len(parts) - 1, -1, -1):
            dotted = ".".join(parts[start:])
            if self._index.find(importer, dotted) == path:
                return dotted
        return ""


def _verb(providers: Sequence[NearbyProvider]) -> str:
    return "provides" if len(providers) == 1 else "provide"


def _class(fixture: Fixture) -> str:
    return fixture.holder.partition("::")[2]


def _directory(path: str) -> str:
    return path.rpartition("/")[0]


def _conftest(directory: str) -> str:
    return f"{directory}/conftest.py" if directory else "conftest.py"


def _common(directories: Sequence[str]) -> str:
    return "" if "" in directories else os.path.commonpath(directories)


def _shared(directory: str, path: str) -> int:
    """Return the number of directories that a path shares with a directory."""
    count = 0
    for one, other in zip(directory.split("/"), path.split("/"), strict=False):
        if one != other:
            break
        count += 1
    return count


def _files_that_define(texts: FileSearch, names: Iterable[str]) -> Iterator[str]:
    """Yield the files of a tree that may define fixtures of these names, as functions or by `name=`."""
    one_of = b"|".join(re.escape(name.encode()) for name in sorted(names))
    definition = SearchPattern(b"fixture", rb"[d\"'](?:ef\s+)?(?:" + one_of + rb")\b")
    for path, _ in texts.search(texts.below("", (".py",)), [definition]):
        yield path


def _definitions(path: str, body: Iterable[Binding], class_: str = "") -> Iterator[tuple[str, NearbyProvider]]:
    for binding in body:
        match binding.to:
            case Class(name=name, body=inner):
                yield from _definitions(path, inner, f"{class_}::{name}" if class_ else name)
            case Function(decorators=decorators, line=line) as function:
                for decorator in decorators:
                    if (named := _fixture(decorator)) is not None:
                        yield named or function.name, NearbyProvider(path, line, class_)


def _fixture(decorator: Expression) -> str | None:
    """Return the name that a fixture's decorator gives, empty if it gives none; None for another decorator."""
    match decorator:
        case Call(function=Name(dotted=dotted), keywords=keywords):
            names = [value.value for key, value in keywords if key == "name" and isinstance(value, Constant)]
        case Name(dotted=dotted):
            names = []
        case _:
            return None
    if dotted.rpartition(".")[2] != "fixture":
        return None
    return str(names[0]) if names and names[0] else ""
