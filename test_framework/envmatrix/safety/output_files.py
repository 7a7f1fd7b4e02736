"""Files that are written whole or not at all."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a name beside a file to write to, which takes the file's place at the end.

    A reader sees all of the old or all of the new, never a part. What is given up leaves nothing, and the old as it was.

    Raises:
        OSError: it cannot take the place.
    """
    # No name of the file's own, which may be the longest; machines that share a directory share no ids of processes.
    fresh = path.with_name(f".{uuid.uuid4().hex}")
    try:
        yield fresh
        fresh.replace(path)
    finally:
        with suppress(OSError):
            fresh.unlink()
