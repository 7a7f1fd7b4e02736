"""Read a TOML file, and find the line on which a key stands (tomllib does not tell)."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envmatrix.exceptions import DeclarationError

_MAX_BYTES = 1 << 20
"""A declaration is a page or two; a megabyte is some other file given by mistake."""


@dataclass(frozen=True)
class TomlFile:
    """A file's values and its text."""

    path: Path
    data: dict[str, Any]
    text: str

    def line_of(self, keys: tuple[str, ...]) -> int:
        """Return the 1-based line of the key that `keys` lead to, or of its nearest table; 0 where neither is found."""
        best, best_depth = 0, 0
        table: tuple[str, ...] = ()
        seen: Counter[tuple[str, ...]] = Counter()
        for number, line in enumerate(self.text.splitlines(), start=1):
            if header := re.match(r"\s*(\[+)\s*([^\]]+?)\s*\]+", line):
                here = table = tuple(part.strip().strip("\"'") for part in header[2].split("."))
                if header[1] == "[[":
                    table = (*table, str(seen[here]))
                    seen[here] += 1
                    here = table if keys[: len(table)] == table else here
            elif entry := re.match(r"\s*([\w\"'.-]+)\s*=", line):
                here = (*table, *(part.strip("\"'") for part in entry[1].split(".")))
            else:
                continue
            depth = len(here) if keys[: len(here)] == here else 0
            if depth > best_depth:
                best, best_depth = number, depth
        return best


def read_toml(path: Path) -> TomlFile:
    """Read a TOML file.

    Raises:
        DeclarationError: it cannot be read, is too large, is not UTF-8 or is not TOML.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise DeclarationError(path, f"cannot be read: {error.strerror}") from None
    if len(raw) > _MAX_BYTES:
        raise DeclarationError(path, "is larger than 1 MiB, too large for a declaration")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DeclarationError(path, "is not UTF-8", line, "TOML files are UTF-8 text") from None
    try:
        return TomlFile(path, tomllib.loads(text), text)
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"\(at line (\d+), column \d+\)", str(error))
        what = re.sub(r"\s*\(at .*\)$", "", str(error))
        line = int(where[1]) if where else len(text.splitlines())  # "at end of document"
        raise DeclarationError(path, f"is not TOML: {what}", line) from None
