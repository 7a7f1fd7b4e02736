"""Read a project's configuration files, TOML and INI, with errors that name file and line."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import iniconfig

from envmatrix.exceptions import DeclarationError
from envmatrix.safety.input_files import parse_toml, read_text

_T = TypeVar("_T")


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        DeclarationError: it cannot be read, is too large, is not UTF-8 or is not TOML.
    """
    return _parsed(path, read_text(path))


@functools.lru_cache(maxsize=8)  # several rooms ask for the same few files
def _parsed(path: Path, text: str) -> dict[str, Any]:
    return parse_toml(path, text)


def read_ini(path: Path) -> dict[str, dict[str, str]]:
    """Read an INI file as pytest does: its sections, each with its values as text.

    Raises:
        DeclarationError: it cannot be read, is too large, is not UTF-8 or is not INI.
    """
    try:
        parsed = iniconfig.IniConfig(str(path), read_text(path))
    except iniconfig.ParseError as error:
        raise DeclarationError(path, f"is not INI: {error.msg}", error.lineno + 1) from None
    return {section.name: dict(section.items()) for section in parsed}


def lenient(read: Callable[[Path], _T], file: Path) -> _T | None:
    """Return what `read` makes of a file; None if it is broken, for pytest need not be able to read it."""
    try:
        return read(file)
    except DeclarationError:
        return None


def table(data: Any, *keys: str) -> dict[str, Any]:
    """Return the table that keys lead to; an empty one where there is none."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


def line_of(path: Path, key: str) -> int:
    """Return the first line that sets a key, 0 where none does."""
    lines = enumerate(read_text(path).splitlines(), start=1)
    return next((number for number, line in lines if re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=:]", line)), 0)
