"""Read the files that people and other programs write: small, regular, UTF-8; anything else is one clear error.

A file may turn out to be a pipe that nobody writes to, a device without an end, or made so that its parser never comes back.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import tomllib
from pathlib import Path
from typing import IO, Any

from envmatrix.exceptions import DeclarationError

MOST = 1 << 20
"""Bytes. What people write is a page or two; a megabyte is some other file given by mistake."""
_BLOCK = 1 << 18
"""Bytes that are read at once."""
_DEEPEST = 200
"""Parts of a dotted key; tomllib's time grows with their square."""
_QUOTED = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'")


def open_regular(path: Path) -> IO[bytes]:
    """Open a regular file to read.

    Raises:
        OSError: it cannot be opened, or is a directory, a pipe or a device.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError:
        raise OSError(errno.EINVAL, "its name has a NUL byte") from None
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, os.strerror(errno.EISDIR) if stat.S_ISDIR(mode) else "it is a pipe or a device")
    return os.fdopen(descriptor, "rb", _BLOCK)


def sqlite_numbers(path: Path) -> tuple[int, int] | None:
    """Return the `user_version` and the `application_id` of an SQLite file; None for anything else."""
    try:
        with open_regular(path) as stream:
            header = stream.read(72)
    except OSError:
        return None
    if len(header) < 72 or not header.startswith(b"SQLite format 3\0"):  # noqa: PLR2004  up to the numbers
        return None
    return int.from_bytes(header[60:64], "big"), int.from_bytes(header[68:], "big")


def read_bytes(path: Path, most: int = MOST) -> bytes:
    """Read a regular file of at most so many bytes.

    Raises:
        DeclarationError: it cannot be read, or is larger.
    """
    try:
        with open_regular(path) as stream:
            content = stream.read(most + 1)
    except OSError as error:
        raise DeclarationError(path, f"cannot be read: {error.strerror}") from None
    if len(content) > most:
        raise DeclarationError(path, f"is larger than {most >> 20} MiB", hint="Is it the right file?")
    return content


def read_text(path: Path, most: int = MOST) -> str:
    """Read a text of at most so many bytes.

    Raises:
        DeclarationError: it cannot be read, is larger or is not UTF-8.
    """
    content = read_bytes(path, most)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DeclarationError(path, "is not UTF-8", line, "Save it as UTF-8 text") from None


def parse_toml(path: Path, text: str) -> dict[str, Any]:
    """Return what a TOML file's text says.

    Raises:
        DeclarationError: it is not TOML, or nested or dotted absurdly deep.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") > _DEEPEST and any(
            run.count(".") > _DEEPEST for run in re.split(r"[^\w.\- \t]", _QUOTED.sub("", line).partition("#")[0])
        ):
            raise DeclarationError(path, f"has a key of more than {_DEEPEST} parts", number)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"\(at line (\d+), column \d+\)", str(error))
        what = re.sub(r"\s*\(at .*\)$", "", str(error))
        last = len(text.splitlines())  # "at end of document"
        raise DeclarationError(path, f"is not TOML: {what}", int(where[1]) if where else last) from None
    except RecursionError:
        raise DeclarationError(path, "is nested too deeply to be read") from None
    except ValueError as error:  # Python's limit of digits
        raise DeclarationError(path, f"has a number that is too long: {error}") from None


def read_json(path: Path, most: int = MOST) -> Any:
    """Read a JSON file of at most so many bytes.

    Raises:
        DeclarationError: it cannot be read, is larger, is not JSON or is nested too deeply.
    """
    content = read_bytes(path, most)
    try:
        return json.loads(content)
    except RecursionError:
        raise DeclarationError(path, "is nested too deeply to be read") from None
    except ValueError as error:  # also not UTF-8, and Python's limit of digits
        raise DeclarationError(path, f"is not JSON: {error}") from None
