"""Turn pydantic's findings on a TOML file into one error with file, line and the nearest right spelling."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from envmatrix.environments.toml_file import TomlFile
from envmatrix.exceptions import DeclarationError, UnknownKeyError, nearest

FILLED_IN_BY_US = frozenset(
    {"name", "file", "root", "written", "written_args", "bases", "overrides", "alias", "driver"}
)
"""Fields of the models that no file may set."""


def explained(
    file: TomlFile,
    error: ValidationError,
    model: type[BaseModel],
    prefix: tuple[str, ...] = (),
    *,
    may_show: bool = False,
) -> DeclarationError:
    """Return the error to raise for what pydantic found in a table of a file.

    `prefix` leads to the table. `may_show` says that no value in it can be a secret.
    """
    errors = error.errors(include_url=False, include_input=may_show)
    first = min(errors, key=lambda each: each["type"] != "extra_forbidden")  # a key mistyped is also one missing
    keys = (*prefix, *map(str, first["loc"]))
    (path, line), where = file.place_of(keys), _spelled(keys[:-1])
    match first["type"]:
        case "extra_forbidden":
            hint = nearest(keys[-1], _known_keys(model, keys[len(prefix) : -1]))
            return UnknownKeyError(path, f"unknown key {keys[-1]!r} in {where}", line, hint)
        case "missing":
            return DeclarationError(path, f"{where} needs the key {keys[-1]!r}", line)
        case "tuple_type":
            one = first.get("input")
            what, spelled = "a list", '"…"'
            if isinstance(one, str):
                what, spelled = "a list, also of one", json.dumps(one, ensure_ascii=False)
            return DeclarationError(path, f"{_spelled(keys)} is {what}", line, f"Write [{spelled}]")
        case "string_type":
            return DeclarationError(path, f"{_spelled(keys)} is a text", line, 'Write it in quotes: "…"')
    hint = "The spelling and the case count" if first["type"] in {"enum", "literal_error"} else ""
    what = str(first["ctx"]["error"]) if first["type"] == "value_error" else first["msg"]
    return DeclarationError(path, f"{_spelled(keys)}: {what}", line, hint)


def _spelled(keys: tuple[str, ...]) -> str:
    """Return keys as people write them, the tables of a list counted from one: `waiver 1.issue`."""
    return "".join(f" {int(key) + 1}" if key.isdecimal() else f".{key}" for key in keys).removeprefix(".") or "the file"


def _known_keys(model: type[BaseModel], keys: tuple[str, ...]) -> Iterator[str]:
    """Yield the keys that were possible in the table that keys lead to."""
    candidates: list[type[BaseModel]] = []
    for key in keys:
        if key in model.model_fields:  # else a service's name, a table's number, or the type of one of several tables
            candidates = list(_models_in(model.model_fields[key].annotation)) or [model]
            model = candidates[0]
        else:
            model = next((each for each in candidates if _is_of_type(each, key)), model)
    return (key for key in model.model_fields if key not in FILLED_IN_BY_US)


def _is_of_type(model: type[BaseModel], name: str) -> bool:
    return "type" in model.model_fields and name in get_args(model.model_fields["type"].annotation)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
