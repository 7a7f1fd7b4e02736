"""The two kinds of blanks in a declaration: `${VARIABLE}` and `{service.field}`. Pure functions over text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

REFERENCE_FIELDS = frozenset(
    {"url", "host", "port", "user", "password", "database", "cert_file", "key_file", "ca_file", "state_dir"}
)
"""What `{service.FIELD}` may ask of a service's endpoint."""

GLOBAL_FIELDS = frozenset({"python", "environment", "commit"})
"""What `{NAME}` alone may be: the running interpreter, the environment's name, the commit under test."""

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_REFERENCE = re.compile(r"(?<!\$)\{([A-Za-z_][A-Za-z0-9_-]*)(?:\.([A-Za-z_][A-Za-z0-9_]*))?\}")


def blanks_in(text: str) -> Iterator[tuple[str, str | None]]:
    """Yield each `${NAME}` with its default, `None` where it has none."""
    return ((match[1], match[2]) for match in _VARIABLE.finditer(text))


def variables_in(text: str) -> Iterator[str]:
    """Yield the `${NAME}` that have no default."""
    return (name for name, default in blanks_in(text) if default is None)


def references_in(text: str) -> Iterator[tuple[str, str]]:
    """Yield each `{service.field}` as (service, field), and each `{global}` as (global, "")."""
    return ((match[1], match[2] or "") for match in _REFERENCE.finditer(text))


def is_reference(text: str) -> bool:
    """Return whether a text is one `{service.field}` and nothing else."""
    return _REFERENCE.fullmatch(text) is not None


def substitute(text: str, variables: Mapping[str, str]) -> str:
    """Fill in each `${NAME}`; as in a shell, a default replaces a variable that is unset or empty.

    An unset variable without a default stays as written.
    """

    def value(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        return variables.get(name, match[0]) if default is None else variables.get(name) or default

    return _VARIABLE.sub(value, text)


def fill(text: str, lookup: Callable[[str, str], str]) -> str:
    """Fill in each `{service.field}` and `{global}` with what `lookup(name, field)` returns."""
    return _REFERENCE.sub(lambda match: lookup(match[1], match[2] or ""), text)


def map_text(value: Any, change: Callable[[str], str]) -> Any:
    """Return a TOML value with every string in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [map_text(item, change) for item in value]
    if isinstance(value, dict):
        return {key: map_text(item, change) for key, item in value.items()}
    return value


def texts_in(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield every string in a TOML value with the keys that lead to it."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from texts_in(item, (*path, str(number)) if isinstance(item, dict) else path)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from texts_in(item, (*path, key))
