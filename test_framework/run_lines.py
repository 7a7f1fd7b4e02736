"""The lines of a run file, as bytes: found fast, and read as JSON only where that is needed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from test_framework.exceptions import RunFileError

_MAX_LINE_BYTES = 64 << 20
"""A header with 300,000 long node ids is about that; anything longer is no run file of ours."""

_BLOCK = 1 << 20
"""Bytes that are read, and searched for lines, at once."""

PLAIN_ATTEMPT = re.compile(rb'{"type":"attempt","test":"([^"\\]*)","outcome":.*}\n|.*\n')
"""Any line; the group is the test's name, as `quoted`, in an attempt as we write it."""

quote = json.encoder.encode_basestring_ascii
"""A string as JSON, as json.dumps would write it."""


def quoted(test: str) -> bytes:
    """Return a test's name as it stands between the quotes in a run file."""
    return quote(test)[1:-1].encode()


def is_suite(line: bytes) -> bool:
    """Return whether a line says what the whole suite is, by far the longest, without reading it; `False` in doubt."""
    return line.startswith(b'{"type":"suite",')


def raw_lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Yield each line's number, where it starts, and its bytes; a torn last line is dropped, as a killed run leaves it.

    Raises:
        RunFileError: the file cannot be read, or a line in it is too long.
    """
    start = 0
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(iter(partial(stream.readline, _MAX_LINE_BYTES + 1), b""), start=1):
                if not line.endswith(b"\n"):
                    if len(line) > _MAX_LINE_BYTES:
                        raise RunFileError(path, _TOO_LONG, number)
                    return
                yield number, start, line
                start += len(line)
    except OSError as error:
        raise RunFileError(path, f"cannot be read: {error.strerror}") from None


def matched_lines(path: Path, plain: re.Pattern[bytes]) -> Iterator[tuple[int, int, re.Match[bytes]]]:
    """Yield each line's number, where it starts, and how the pattern, which must match any line, matches it.

    Several times as fast as line by line: whole blocks are searched at once. A torn last line is dropped.

    Raises:
        RunFileError: the file cannot be read, or a line in it is too long.
    """
    number = start = 0
    rest = b""
    try:
        with path.open("rb") as stream:
            for chunk in iter(partial(stream.read, _BLOCK), b""):
                block = rest + chunk
                whole = block.rfind(b"\n") + 1
                for found in plain.finditer(block, 0, whole):
                    number += 1
                    yield number, start + found.start(), found
                start += whole
                rest = block[whole:]
                if len(rest) > _MAX_LINE_BYTES:
                    raise RunFileError(path, _TOO_LONG, number + 1)
    except OSError as error:
        raise RunFileError(path, f"cannot be read: {error.strerror}") from None


_TOO_LONG = "is no run file: a line is longer than 64 MiB"


def parse_line(path: Path, number: int, line: bytes) -> dict[str, Any]:
    """Return the event that a line holds.

    Raises:
        RunFileError: it holds none.
    """
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        raise RunFileError(path, "is no run file: not JSON", number) from None
    if not isinstance(event, dict):
        raise RunFileError(path, "is no run file: not a JSON object", number)
    return event
