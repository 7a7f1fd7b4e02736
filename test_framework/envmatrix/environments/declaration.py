"""Read a declaration: its file, the files that it extends and what the command line sets, merged into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from envmatrix.environments.explain import explained
from envmatrix.environments.tables import Table
from envmatrix.environments.toml_file import TomlFile, read_toml
from envmatrix.exceptions import DeclarationError, ReferenceCycleError, UnknownKeyError, UsageError, nearest
from envmatrix.safety.input_files import parse_toml

SET = "--set"
"""The option, as the file in which a value of the command line stands."""


class Inheritance(Table):
    """The keys of a declaration that say what it inherits."""

    extends: str | None = None
    """Another TOML file, relative to this one, whose values hold where this file says nothing. Tables are merged, lists
    replaced; that file may extend another one."""
    remove: tuple[str, ...] = ()
    """Keys of the extended file that are not inherited: `["services.auth.env.DATABASE_URL", "services.llm"]`."""


@dataclass(frozen=True)
class Declaration(TomlFile):
    """The merged values of a declaration; `path` and `text` are those of its own file."""

    overrides: tuple[TomlFile, ...]
    """What the command line sets; the last one, which wins, comes first."""
    files: tuple[TomlFile, ...]
    """Its own file, and each that the one before extends."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return the files that it was read from, its own first."""
        return tuple(file.path for file in self.files)

    def place_of(self, keys: tuple[str, ...]) -> tuple[Path, int]:
        """Return the file and the line that decide a value, or the nearest table above it."""
        known = next(number for number in range(len(keys), -1, -1) if value_at(self.data, keys[:number])[0])
        if known == 0:
            return self.path, self.line_of(keys)
        return (*self.overrides, *self.files)[self.depth_of(keys[:known])].place_of(keys)

    def depth_of(self, keys: tuple[str, ...]) -> int:
        """Return how many overrides and files go before the one that decides the value at some keys, which there is."""
        layers = (*self.overrides, *self.files)
        return next(depth for depth, layer in enumerate(layers) if value_at(layer.data, keys)[0])


def read_declaration(path: Path, overrides: Sequence[str] = ()) -> Declaration:
    """Read a declaration with all that it extends; `overrides` are the words of `--set`, `services.backend.url=…`.

    Raises:
        DeclarationError: a file cannot be read, extends what is not there or itself, or removes what is not there.
        UsageError: an override is not KEY=VALUE.
        UnknownKeyError: an override is about a service that no file declares.
    """
    files = [read_toml(path)]
    while (extends := _inheritance(files[-1]).extends) is not None:
        files.append(_extended(files, extends))
    data: dict[str, Any] = {}
    for file in reversed(files):
        data = _layered(data, file)
    settings = [_override(text) for text in overrides]
    for setting in settings:
        if "extends" in setting.data:
            raise UsageError(f"{setting.path}: only a file can extend another", "Name an environment that extends it")
        _check_service(data, setting)
        data = _layered(data, setting)
    return Declaration(path, data, files[0].text, tuple(reversed(settings)), tuple(files))


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of two tables: tables in both are merged, any other value of the second one wins."""
    result = dict(base)
    for key, value in over.items():
        before = result.get(key)
        is_table = isinstance(value, dict)
        result[key] = _merged(before if isinstance(before, dict) else {}, value) if is_table else value
    return result


def _inheritance(layer: TomlFile) -> Inheritance:
    table = {key: layer.data[key] for key in Inheritance.model_fields if key in layer.data}
    try:
        return Inheritance.model_validate(table)
    except ValidationError as error:
        raise explained(layer, error, Inheritance) from None


def _extended(files: Sequence[TomlFile], extends: str) -> TomlFile:
    """Read the file that the last of some files extends.

    Raises:
        DeclarationError: it is not there, or is one of them.
    """
    *_, file = files
    path, line = file.path.parent / extends, file.line_of(("extends",))
    for number, each in enumerate(files):
        if path.exists() and each.path.samefile(path):
            way = " → ".join(one.path.name for one in (*files[number:], each))
            raise ReferenceCycleError(file.path, f"files extend each other: {way}", line, "Drop one extends")
    if not path.is_file():
        beside = [each.name for each in path.parent.glob("*.toml")]
        what = f"extends {extends!r}, and there is no such file"
        raise DeclarationError(file.path, what, line, nearest(path.name, beside))
    return read_toml(path)


def _override(text: str) -> TomlFile:
    """Return what one `--set` says, as a layer; a value that is no TOML is a text.

    Raises:
        UsageError: it is not KEY=VALUE.
    """
    key, separator, written = text.partition("=")
    words = keys_in(key)
    if not separator or not words:
        raise UsageError(f"{SET} {key[:200]!r} is not KEY=VALUE", "Such as --set services.backend.url=https://…")
    table = _toml(f"value = {written}")
    value: Any = table["value"] if table.keys() == {"value"} else written
    for word in reversed(words):
        value = {word: value}
    return TomlFile(Path(f"{SET} {key.strip()}"), value, "")


def _toml(text: str) -> dict[str, Any]:
    """Return what a text says as TOML; nothing where it is none."""
    try:
        return parse_toml(Path(SET), text)
    except DeclarationError:
        return {}


def keys_in(text: str) -> tuple[str, ...]:
    """Return the parts of a dotted key of TOML; none where it is no key."""
    table: Any = _toml(f"{text} = 0")
    words: list[str] = []
    while isinstance(table, dict) and len(table) == 1:
        ((word, table),) = table.items()
        words.append(word)
    return tuple(words) if table == 0 else ()


def _layered(inherited: Mapping[str, Any], layer: TomlFile) -> dict[str, Any]:
    """Return what a layer inherits, without the keys that it removes, and with its own values over it.

    Raises:
        UnknownKeyError: it removes what it does not inherit.
    """
    data = _merged({}, inherited)  # a copy of the tables, since other layers keep theirs
    for key in _inheritance(layer).remove:
        words = keys_in(key) or (key,)
        for number, word in enumerate(words):
            above, table = words[:number], value_at(data, words[:number])[1]
            if not isinstance(table, dict) or word not in table:
                path, line = layer.place_of(("remove",))
                known = table if isinstance(table, dict) else {}
                hint = nearest(".".join((*above, word)), (".".join((*above, each)) for each in known))
                raise UnknownKeyError(path, f"removes {key!r}, which it does not inherit", line, hint)
        del value_at(data, words[:-1])[1][words[-1]]
    return _merged(data, {key: value for key, value in layer.data.items() if key not in Inheritance.model_fields})


def _check_service(data: Mapping[str, Any], layer: TomlFile) -> None:
    """Refuse to set something of a service that no file declares: its name is mistyped."""
    services, declared = layer.data.get("services"), data.get("services")
    if isinstance(services, dict) and isinstance(declared, dict):
        for name in services.keys() - declared.keys():
            raise UnknownKeyError(layer.path, f"no service {name!r} is declared", 0, nearest(name, declared))


def value_at(data: Any, keys: tuple[str, ...]) -> tuple[bool, Any]:
    """Return whether there is a value at some keys, and the value; a table of a list has its number, from 0."""
    for key in keys:
        if isinstance(data, dict) and key in data:
            data = data[key]
        elif isinstance(data, list) and key.isdecimal() and int(key) < len(data):
            data = data[int(key)]
        else:
            return False, None
    return True, data
