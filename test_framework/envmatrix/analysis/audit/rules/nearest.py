"""Who provides a missing fixture elsewhere, and the one line that would bring it into sight."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from envmatrix.analysis.audit.rules.survey import Group, Survey
from envmatrix.analysis.audit.rules.texts import Pattern, Texts
from envmatrix.analysis.audit.rules.well_known import PLUGINS
from envmatrix.analysis.index.answers import Fixture
from envmatrix.analysis.index.fixture_index import Index
from envmatrix.analysis.source.facts import Binding, Call, Class, Constant, Expression, Function, Name

_NAMED = 3


@dataclass(frozen=True, slots=True)
class Provider:
    """A definition of a fixture that stands somewhere in the tree."""

    path: str
    line: int
    class_: str
    """The class that holds it; empty for none."""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class Mend:
    """One change that brings a fixture into sight: an import into a conftest, or a move there."""

    provider: Provider
    target: str
    """The conftest, which may not be there yet."""
    module: str = ""
    """The provider's module, as the conftest can import it; empty for a move."""

    def said_of(self, name: str) -> str:
        """Return the change in words."""
        return (
            f"add `from {self.module} import {name}` to {self.target}" if self.module else f"move it to {self.target}"
        )


class Nearest:
    """Knows every definition of the fixtures that are missing in a tree.

    Args:
        index: Of the tree.
        survey: Of the index.
        names: The missing ones.
    """

    def __init__(self, index: Index, survey: Survey, names: Iterable[str]) -> None:
        self._index = index
        self._known: dict[str, set[Provider]] = {name: set() for name in names if name}
        for fixture in survey.fixtures if self._known else ():
            if fixture.name in self._known:
                self._known[fixture.name].add(Provider(fixture.path, fixture.line, _class(fixture)))
        for path in _files_that_define(survey.texts, self._known) if self._known else ():
            self._look_into(path)

    def _look_into(self, path: str) -> None:
        for name, provider in _definitions(path, self._index.modules.module(path).body):
            held = self._known.get(name)
            if held is not None and not any((each.path, each.line) == (path, provider.line) for each in held):
                held.add(provider)

    def hint(self, group: Group) -> str:
        """Return where the fixture is, and what to do so that the tests of a group see it."""
        name = group.request.name
        home, providers = self._around(group)
        if providers:
            there = ", ".join(map(str, providers[:_NAMED]))
            more = f" and {len(providers) - _NAMED} more" if len(providers) > _NAMED else ""
            inside = providers[0].class_
            if inside and {test.path for test in group.tests} == {providers[0].path}:
                return f"{there}{more} {_verb(providers)} it: move it out of class {inside}"
            return f"{there}{more} {_verb(providers)} it: {self._mend(providers[0], home).said_of(name)}"
        if name in PLUGINS:
            return f"The plugin {PLUGINS[name]} provides it: install it where the tests run"
        if name in {"pytester", "testdir"}:
            return "The plugin pytester provides it, which pytest brings: add -p pytester to addopts"
        if group.request.close:
            return f"Did you mean {group.request.close!r}?"
        return f"Define it in {_conftest(home)}, or give it a value with parametrize"

    def mend(self, group: Group) -> Mend | None:
        """Return the one change that brings a missing fixture into the sight of a group's tests; None for no such."""
        home, providers = self._around(group)
        return self._mend(providers[0], home) if providers and not providers[0].class_ else None

    def _around(self, group: Group) -> tuple[str, list[Provider]]:
        """Return the directory that a group's tests share, and the providers of what is missing, the nearest first."""
        home = _common([_directory(test.path) for test in group.tests])
        known = self._known.get(group.request.name, set())
        return home, sorted(known, key=lambda each: (-_shared(home, each.path), each.path, each.line))

    def _mend(self, provider: Provider, home: str) -> Mend:
        if not provider.class_ and not self._is_collected(provider.path):
            target = self._nearest_conftest(home)
            if module := self.module(target, provider.path):
                return Mend(provider, target, module)
        return Mend(provider, _conftest(_common([home, _directory(provider.path)])))

    def _is_collected(self, path: str) -> bool:
        """Whether pytest itself imports a file: importing it from another one would be a second way to the same."""
        return path.endswith("conftest.py") or any(path in project.test_files for project in self._index.projects)

    def _nearest_conftest(self, home: str) -> str:
        """Return the conftest that all tests below a directory see and that is nearest to them; a new one for none."""
        directory = home
        while True:
            conftest = _conftest(directory)
            if any(conftest in project.conftests for project in self._index.projects):
                return conftest
            if not directory:
                return _conftest(home)
            directory = _directory(directory)

    def module(self, importer: str, path: str) -> str:
        """Return the shortest dotted name by which a file finds a module, empty for none; each part is a way to it."""
        parts = path.removesuffix(".py").removesuffix("/__init__").split("/")
        for start in range(len(parts) - 1, -1, -1):
            dotted = ".".join(parts[start:])
            if self._index.find(importer, dotted) == path:
                return dotted
        return ""


def _verb(providers: Sequence[Provider]) -> str:
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
    """Return how many directories the way to a path has in common with one."""
    count = 0
    for one, other in zip(directory.split("/"), path.split("/"), strict=False):
        if one != other:
            break
        count += 1
    return count


def _files_that_define(texts: Texts, names: Iterable[str]) -> Iterator[str]:
    """Yield the files of a tree that may define fixtures of these names, as functions or by `name=`."""
    one_of = b"|".join(re.escape(name.encode()) for name in sorted(names))
    definition = Pattern(b"fixture", rb"[d\"'](?:ef\s+)?(?:" + one_of + rb")\b")
    for path, _ in texts.search(texts.below("", (".py",)), [definition]):
        yield path


def _definitions(path: str, body: Iterable[Binding], class_: str = "") -> Iterator[tuple[str, Provider]]:
    for binding in body:
        match binding.to:
            case Class(name=name, body=inner):
                yield from _definitions(path, inner, f"{class_}::{name}" if class_ else name)
            case Function(decorators=decorators, line=line) as function:
                for decorator in decorators:
                    if (named := _fixture(decorator)) is not None:
                        yield named or function.name, Provider(path, line, class_)


def _fixture(decorator: Expression) -> str | None:
    """Return the name that a fixture's decorator gives, empty where the function's own counts; None for another one."""
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
