"""The lines of a run file as bytes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from envmatrix.exceptions import RunFileError
from envmatrix.safety.input_files import open_regular

_MAX_LINE_BYTES = 64 << 20
"""A header with 300,000 long node ids is about that; anything longer is no run file of ours."""

_BLOCK = 1 << 18
"""Bytes that are read at once."""

_TOO_LONG = "is no run file: a line is longer than 64 MiB"


def is_suite(line: bytes) -> bool:
    """Return whether a line holds the whole suite, by far the longest, without reading it; `False` in doubt."""
    return line.startswith(b'{"type":"suite",')


def raw_lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Yield each line's number, where it starts, and its bytes; a torn last line is dropped, as a killed run leaves it.

    Raises:
        RunFileError: the file cannot be read, or a line in it is too long.
    """
    start = 0
    try:
        with open_regular(path) as stream:
            for number, line in enumerate(iter(partial(stream.readline, _MAX_LINE_BYTES + 1), b""), start=1):
                if not line.endswith(b"\n"):
                    if len(line) > _MAX_LINE_BYTES:
                        raise RunFileError(path, _TOO_LONG, number)
                    return
                yield number, start, line
                start += len(line)
    except OSError as error:
        raise RunFileError(path, f"cannot be read: {error.strerror}") from None
