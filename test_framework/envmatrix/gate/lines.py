"""The lines of a baseline's file: what they say is changed, how they are written is kept. Pure, and as fast as reading it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping

_KEY = r"""("[^"\\]*(?:\\.[^"\\]*)*"|'[^']*'|[A-Za-z0-9_-]+)"""
_TABLE = re.compile(rf"\s*\[\s*environments\s*\.\s*{_KEY}\s*\]")
_ENTRY = re.compile(rf"(\s*{_KEY}\s*=\s*)({_KEY})(.*)", re.DOTALL)

Table = Mapping[str, str]
"""Key → its value, written as TOML."""


def rewritten(text: str, top: Table, tables: Mapping[str, Table]) -> str:
    """Return a file's text with these values and no others; comments, and the order of what stays, are kept.

    `tables` are by environment. A line that is no `key = value` of ours stays as it is: whoever writes the result reads it
    again, for a file may be written in ways that lines do not tell.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    done: list[str] = []
    left = dict(tables)
    first, *others = _sections(text.splitlines(keepends=True))
    done += _section(first[1], {**top}, newline)
    for name, lines in others:
        if name is None:
            done += lines
        elif name in left:
            done += _section(lines, {**left.pop(name)}, newline)
    for name, table in left.items():
        done += [newline, f"[environments.{_written(name)}]{newline}", *_entries(table, newline)]
    return "".join(done)


def told(text: str) -> tuple[Table, Mapping[str, Table]]:
    """Return what lines of a file say, many times as fast as TOML is read: its top, and its tables by environment.

    What is written in other ways is missing, and a line in the midst of a string is misread: the digest tells.
    """
    first, *others = _sections(text.splitlines(keepends=True))
    return _values(first[1]), {name: _values(lines) for name, lines in others if name is not None}


def _values(lines: list[str]) -> Table:
    entries = (found for line in lines if (found := _ENTRY.match(line)))
    return {_read(found[2]): _read(found[3]) for found in entries}


def quoted(text: str) -> str:
    """Return a string as TOML.

    Raises:
        UnicodeEncodeError: it is no text, but holds half a surrogate pair.
    """
    text.encode()
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _sections(lines: list[str]) -> Iterator[tuple[str | None, list[str]]]:
    """Yield each table's environment, `None` for any other, and its lines, from the comment right above its header on.

    First comes what stands before all tables.
    """
    name: str | None = None
    start = 0
    for number, line in enumerate(lines):
        if line.lstrip().startswith("["):
            begins = number
            while begins > start and lines[begins - 1].lstrip().startswith("#"):
                begins -= 1
            yield name, lines[start:begins]
            found = _TABLE.match(line)
            name, start = _read(found[1]) if found else None, begins
    yield name, lines[start:]


def _section(lines: list[str], wanted: dict[str, str], newline: str) -> list[str]:
    kept: list[str] = []
    for line in lines:
        found = _ENTRY.match(line)
        if found is None:
            kept.append(line)
        elif (value := wanted.pop(_read(found[2]), None)) is not None:
            kept.append(line if value == found[3] else f"{found[1]}{value}{found[5]}")
    end = len(kept)
    while end and not kept[end - 1].strip():
        end -= 1
    if end and wanted and not kept[end - 1].endswith("\n"):
        kept[end - 1] += newline
    return [*kept[:end], *_entries(wanted, newline), *kept[end:]]


def _entries(table: Table, newline: str) -> Iterator[str]:
    for key, value in table.items():
        yield f"{_written(key)} = {value}{newline}"


def _written(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else quoted(key)


def _read(key: str) -> str:
    if key[0] == "'":
        return key[1:-1]
    if key[0] != '"':
        return key
    return key[1:-1] if "\\" not in key else str(tomllib.loads(f"x = {key}")["x"])
