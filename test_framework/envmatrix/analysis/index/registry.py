"""The registry of a tree's fixtures: their definitions, what each needs, and the tests that use it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import TypeAlias

from envmatrix.analysis.index.answers import Fixture, Found
from envmatrix.analysis.index.fixture_index import Index
from envmatrix.analysis.index.tests import Test
from envmatrix.analysis.source.facts import Shape

Place: TypeAlias = tuple[str, int]
"""The file and line of a definition: the identity of a provider, however often it is imported."""

_ITSELF = "request"
"""pytest's own fixture, left out: any fixture may request it."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One definition of a fixture."""

    name: str
    path: str
    """Relative to the tree's root; empty for a plugin's that is installed."""
    line: int
    plugin: str
    """The plugin that brings it; empty for what the tree defines for its own tests."""
    visible: tuple[str, ...]
    """Where it is visible, in pytest's notation: empty for everywhere, a directory, a file, `file::Class`."""
    scope: str
    is_autouse: bool
    has_params: bool
    document: str
    shape: Shape | None
    needs: tuple[str, ...]
    """Fixtures that it asks for, by name."""
    needs_places: tuple[Place, ...]
    """The definitions that answer these requests in tests of this tree."""
    users: tuple[str, ...]
    """Node ids of the tests that reach it, without parameters."""
    place: Place

    @property
    def yields(self) -> str:
        """Describe its value in a few words; empty where the source does not show it."""
        return describe(self.shape)


@dataclass(frozen=True)
class Registry:
    """Every fixture that a tree defines, and those of installed plugins that its tests reach."""

    providers: tuple[Provider, ...]
    """By name, then by file."""

    @cached_property
    def by_name(self) -> Mapping[str, Sequence[Provider]]:
        """Group the providers of one name."""
        groups: dict[str, list[Provider]] = defaultdict(list)
        for provider in self.providers:
            groups[provider.name].append(provider)
        return dict(groups)

    @property
    def own(self) -> Registry:
        """Return those that the tree defines itself."""
        return Registry(tuple(provider for provider in self.providers if provider.path))

    def around(self, name: str) -> Registry:
        """Return the providers of a name, those that they need, and those that need them."""
        start = {provider.place for provider in self.by_name.get(name, ())}
        below = {provider.place: set(provider.needs_places) for provider in self.providers}
        above: dict[Place, set[Place]] = defaultdict(set)
        for place, needs in below.items():
            for need in needs:
                above[need].add(place)
        related = _reached(start, below) | _reached(start, above)
        return Registry(tuple(provider for provider in self.providers if provider.place in related))

    @classmethod
    def of(cls, index: Index) -> Registry:
        """Collect the fixtures of a tree."""
        users: dict[Place, dict[str, None]] = defaultdict(dict)
        needs: dict[Place, dict[Place, None]] = defaultdict(dict)
        definitions: dict[Place, list[Fixture]] = defaultdict(list)
        for fixture in index.fixtures:
            definitions[_place(fixture)].append(fixture)
        for test in index.tests:
            for fixture, asker in _reaches(index, test):
                place = _place(fixture)
                if not definitions[place]:
                    definitions[place].append(fixture)
                users[place][test.nodeid] = None
                if asker is not None:
                    needs[_place(asker)][place] = None
        for place, fixtures in definitions.items():
            if place not in users:  # no test reaches it: all definitions of a name are a guess
                names = {need.name for need in fixtures[0].needs}
                needs[place] = dict.fromkeys(other for other, each in definitions.items() if each[0].name in names)
        providers = (
            _provider(fixtures, tuple(users[place]), tuple(each for each in needs[place] if each != place))
            for place, fixtures in definitions.items()
        )
        return cls(tuple(sorted(providers, key=lambda each: (each.name, each.path, each.line))))


def describe(shape: Shape | None) -> str:
    """Describe a fixture's value in a few words: `dict with url, token`."""
    if shape is None or shape.kind == "unknown":
        return shape.type if shape is not None else ""
    keys = ", ".join(key.name for key in shape.keys)
    more = "" if shape.is_complete else ", …" if keys else "…"
    return f"{shape.type or shape.kind}{f' with {keys}{more}' if keys and shape.kind != 'value' else ''}"


def _reaches(index: Index, test: Test) -> Iterable[tuple[Fixture, Fixture | None]]:
    for request in index.requests(test):
        if isinstance(request.answer, Found) and request.answer.fixtures:
            yield request.answer.fixtures[0], request.asker


def _place(fixture: Fixture) -> Place:
    return fixture.path, fixture.line


def _provider(fixtures: Sequence[Fixture], users: tuple[str, ...], needs: tuple[Place, ...]) -> Provider:
    first, function = fixtures[0], fixtures[0].function
    return Provider(
        name=first.name,
        path="" if PurePath(first.path).is_absolute() else first.path,
        line=first.line,
        plugin=first.plugin,
        visible=tuple(dict.fromkeys(fixture.holder for fixture in fixtures)),
        scope=first.scope,
        is_autouse=first.is_autouse,
        has_params=first.has_params,
        document=function.document if function is not None else "",
        shape=function.shape if function is not None else None,
        needs=tuple(dict.fromkeys(need.name for need in first.needs if need.name not in {"", _ITSELF})),
        needs_places=needs,
        users=users,
        place=_place(first),
    )


def _reached(start: Collection[Place], ways: Mapping[Place, Iterable[Place]]) -> set[Place]:
    reached: set[Place] = set()
    pending = list(start)
    while pending:
        if (place := pending.pop()) not in reached:
            reached.add(place)
            pending.extend(ways.get(place, ()))
    return reached
