"""Each value of a declaration as it is used, with the place that decides it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from envmatrix.environments.declaration import Declaration, value_at
from envmatrix.environments.environment import Environment
from envmatrix.environments.references import blanks_in, is_reference, texts_in
from envmatrix.environments.used_keys import usable_keys
from envmatrix.masking import MASKER


@dataclass(frozen=True, slots=True)
class ResolvedValue:
    """One value, secrets masked."""

    keys: tuple[str, ...]
    """The keys that lead to it; a table of a list has its number, from 0."""
    value: Any
    file: Path | None
    """The file that decides it, or `--set KEY`; `None` for a default."""
    line: int
    """1-based; 0 where there is none."""
    variables: Mapping[str, str]
    """Variable in it → what sets it: `environment`, `env file`, `default`; `unset` where nothing does."""


def resolve(
    environment: Environment, declaration: Declaration, set_by: Callable[[str], str]
) -> Iterator[ResolvedValue]:
    """Yield each value of an environment, defaults that are not empty among them, in the order of the reference.

    `set_by` says what sets a variable; empty where nothing does.
    """
    for keys, value in _leaves(_shown(environment)):
        is_declared, written = value_at(declaration.data, keys)
        if not is_declared and (value in ("", [], {}) or keys[0] == "variants"):
            continue  # of a fault's keys most do nothing
        variables = {
            name: set_by(name) or ("unset" if default is None else "default")
            for _, text in texts_in(written)
            for name, default in blanks_in(text)
        }
        file, line = declaration.place_of(keys) if is_declared else (None, 0)
        yield ResolvedValue(keys, value, file, line, variables)


def _shown(environment: Environment) -> Mapping[str, Any]:
    """Return the masked values that are of use: a URL is shown without what is secret in it."""
    plain = {key: value for key, value in environment.masked().items() if key != "name"}
    for name, spec in environment.services.items():
        used = usable_keys(spec)
        plain["services"][name] = {key: value for key, value in plain["services"][name].items() if key in used}
        plain["services"][name] |= {"env": _without_secrets(spec.env)} if spec.env else {}
        if spec.url is not None:
            plain["services"][name]["url"] = MASKER.mask(spec.url.get_secret_value())
    if environment.pytest.env:
        plain["pytest"] = {**plain["pytest"], "env": _without_secrets(environment.pytest.env)}
    return plain


def _without_secrets(env: Mapping[str, SecretStr]) -> dict[str, str]:
    """Return variables with those values in the clear that only name a service's address."""
    return {key: text if is_reference(text := value.get_secret_value()) else str(value) for key, value in env.items()}


def _leaves(value: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each value that is no table, with the keys that lead to it."""
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from _leaves(each, (*keys, key))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for number, each in enumerate(value):
            yield from _leaves(each, (*keys, str(number)))
    else:
        yield keys, value
