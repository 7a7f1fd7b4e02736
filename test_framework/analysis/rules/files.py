"""Files that a rule looks into beside those of the index: as bytes, one after the other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_SKIPPED = frozenset({"node_modules", "site-packages", "__pycache__", "venv"})
_MAX_BYTES = 4 << 20


def files_below(directory: Path, endings: tuple[str, ...]) -> Iterator[Path]:
    """Yield the files below a directory whose names end so, in the order of their paths."""
    for here, inner, names in os.walk(directory):
        inner[:] = sorted(name for name in inner if not name.startswith(".") and name not in _SKIPPED)
        yield from (Path(here, name) for name in sorted(names) if name.endswith(endings))


def content(path: Path) -> bytes:
    """Return the beginning of a regular file, nothing where it cannot be read."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as stream:
            return stream.read(_MAX_BYTES)
    except OSError:
        return b""
