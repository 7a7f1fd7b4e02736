"""Read a TOML file, and find the line on which a key stands (tomllib does not tell)."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envmatrix.safety.input_files import parse_toml, read_text


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

    def place_of(self, keys: tuple[str, ...]) -> tuple[Path, int]:
        """Return the file and the line of a key, as `line_of` finds it."""
        return self.path, self.line_of(keys)


def read_toml(path: Path) -> TomlFile:
    """Read a TOML file.

    Raises:
        DeclarationError: it cannot be read, is too large, is not UTF-8 or is not TOML.
    """
    text = read_text(path)
    return TomlFile(path, parse_toml(path, text), text)
