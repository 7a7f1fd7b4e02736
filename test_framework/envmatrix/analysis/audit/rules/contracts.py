"""The values of fixtures and the contracts for them, both read from source; nothing is imported."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from envmatrix.analysis.index.answers import Fixture
from envmatrix.analysis.index.fixture_index import Index
from envmatrix.analysis.project.config_files import lenient, read_toml
from envmatrix.analysis.source.facts import Assigned, Binding, Call, Class, Function, Key, Name
from envmatrix.analysis.source.fields import OURS, ClassFields, FieldReader, tuple_fields
from envmatrix.analysis.source.names import Definition, Lost
from envmatrix.analysis.source.values import BAGS, is_mock

_OUR_FIXTURES = "envmatrix/plugin/"
_OUR_CONTRACTS = {"real_services": "RealServices", "real_llm": "RealLLM"}
_FAKES = ("Mock", "Fake", "Stub", "Dummy")
_HOST = re.compile(r"://(?:[^\s/@$]*@)?([\w-]+(?:\.[\w-]+)+)")


@dataclass(frozen=True, slots=True)
class FixtureValue:
    """The value that a provider gives."""

    kind: Literal["dict", "object", "both", "unknown"]
    """How it is read: by keys, by attributes, by either; or that is unknown."""
    type: str
    keys: tuple[Key, ...]
    """Those that its function names."""
    names: frozenset[str] | None
    """All names that can be read of it; None if there may be more."""
    is_contract: bool = False
    """Whether it is an object of a contract's own class, which has every field."""


class Contracts:
    """The contracts of a tree's fixtures, ours and those that its `[tool.envmatrix.contracts]` names.

    Args:
        index: The index of the tree.
    """

    def __init__(self, index: Index) -> None:
        settings = _settings(index.root)
        self._index = index
        self._reader = FieldReader(index.root, index.find)
        self.classes: dict[str, ClassFields] = {}
        for fixture, name in _OUR_CONTRACTS.items():
            if (ours := self._reader.of(str(OURS), name)) is not None:
                self.classes[fixture] = ours
        for fixture, dotted in declared_contracts(index.root).items():
            self.classes.pop(fixture, None)  # ours does not hold where theirs cannot be read
            if (theirs := self._reader.named(dotted)) is not None:
                self.classes[fixture] = theirs
        directory = settings.get("environments", "environments")
        self.hosts: Mapping[str, str] = dict(_hosts(index.root, directory)) if isinstance(directory, str) else {}
        """Host → the declaration of an environment that names it."""

    def given(self, fixture: Fixture) -> FixtureValue | None:  # noqa: PLR0911 -- one answer for each kind of value
        """Return the value of a fixture; None if its source does not show it."""
        if _OUR_FIXTURES in fixture.path:
            contract = self.classes.get(fixture.name)
            return FixtureValue("both", contract.name, (), _names(contract), is_contract=True) if contract else None
        shape = fixture.function.shape if fixture.function is not None and is_as_made(fixture.function) else None
        if shape is None or shape.kind not in {"dict", "object"} or is_mock(shape.type):
            return None
        own = frozenset(key.name for key in shape.keys)
        if shape.kind == "dict" or shape.type in BAGS:
            return FixtureValue(shape.kind, shape.type, shape.keys, own if shape.is_complete else None)
        read = None
        match self._index.names.resolve(fixture.path, shape.type):
            case Definition(path=path, binding=Binding(to=Class(name=name))):
                read = self._reader.of(path, name)
            case Definition(path=path, binding=Binding(to=Assigned(value=Call(function=Name(dotted=made)) as call))):
                target = self._index.names.resolve(path, made)
                if isinstance(target, Lost) and target.dotted == "collections.namedtuple":
                    return FixtureValue("object", shape.type, shape.keys, tuple_fields(call))
        if read is None:
            return FixtureValue("unknown", shape.type, shape.keys, None)
        if "used_meanings" in read.members:
            return FixtureValue("both", shape.type, shape.keys, _names(read), is_contract=True)
        names = _names(read)
        if read.is_dict:  # with a dict among its arguments, it may have any keys
            return FixtureValue(
                "dict", shape.type, shape.keys, names | own if names and own and shape.is_complete else None
            )
        kind: Literal["object", "both", "unknown"] = "both" if "__getitem__" in read.members else "object"
        return FixtureValue(
            kind if read.is_whole else "unknown",
            shape.type,
            shape.keys,
            names | own if names is not None and shape.is_complete else None,
        )


def declared_contracts(root: Path) -> dict[str, str]:
    """Return fixture → `module:Class`, as the nearest `pyproject.toml` says; nothing where it cannot be read."""
    declared = _settings(root).get("contracts")
    return {key: str(value) for key, value in declared.items()} if isinstance(declared, dict) else {}


def is_as_made(function: Function) -> bool:
    """Return whether no decorator may change what the function gives."""
    words = [each.function if isinstance(each, Call) else each for each in function.decorators]
    return sum(not (isinstance(word, Name) and ".mark." in f".{word.dotted}.") for word in words) <= 1


def is_stand_in(written: str) -> bool:
    """Return whether a call of this name makes a mock, or an object of a class that is called a fake."""
    last = written.rpartition(".")[2].lstrip("_")
    return is_mock(written) or any(last.startswith(word) and last[len(word) :][:1].isupper() for word in _FAKES)


def _names(read: ClassFields) -> frozenset[str] | None:
    return frozenset({*read.fields, *read.members}) if read.is_whole else None


def _settings(root: Path) -> dict[str, Any]:
    for directory in (root, *root.parents):
        if (file := directory / "pyproject.toml").is_file():
            tool = _toml(file).get("tool")
            settings = tool.get("envmatrix") if isinstance(tool, dict) else None
            return settings if isinstance(settings, dict) else {}
    return {}


def _hosts(root: Path, directory: str) -> Iterator[tuple[str, str]]:
    for file in sorted((root / directory).glob("*.toml")):
        for text in _texts(_toml(file)):
            for host in _HOST.findall(text):
                yield host, f"{directory}/{file.name}"


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def _toml(file: Path) -> dict[str, Any]:
    return lenient(read_toml, file) or {}  # who reads declarations to use them says what is wrong with them
