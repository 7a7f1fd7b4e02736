"""Text from tests, made harmless for a terminal, a log or a page: it may say anything, and do nothing."""

from __future__ import annotations

import re

_COMMANDS = re.compile(r"::(?=[a-z-]+(?:\s[^:]*)?::)|##(?=\[)")
"""What a CI log would obey: `::error::`, `::set-output name=x::`, `##[group]`; wherever it stands, since lines fold."""


def inert(text: str) -> str:
    """Return one line in which nothing moves a cursor, turns text round, hides, or commands a CI log.

    Control, format and surrogate characters are shown as Python would escape them.
    """
    if not text.isprintable():
        text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return _COMMANDS.sub(lambda match: rf"{match[0][0]}\x{ord(match[0][1]):02x}", text)


def inert_lines(text: str) -> str:
    """Return text whose lines and tabs are kept, and each line of which is inert."""
    return re.sub(r"[^\t\r\n]+|\r(?!\n)", lambda match: inert(match[0]), text)


def plural(number: int, what: str) -> str:
    """Return `1 finding`, `2 findings`."""
    return f"{number} {what}{'s'[: number != 1]}"


def middle(text: str, width: int) -> str:
    """Return text cut in its middle to at most `width` characters: both ends of a node id tell something."""
    if len(text) <= width:
        return text
    head = (width - 3) // 2
    return f"{text[:head]}...{text[len(text) - (width - 3 - head) :]}"


def short_path(text: str, width: int) -> str:
    """Return a path cut to at most `width` characters: directories go first, since the file's name tells most."""
    if len(text) <= width:
        return text
    name = text.rpartition("/")[2]
    return f".../{name}" if len(name) + 4 <= width else middle(name, width)


def first_line(text: str) -> str:
    """Return the first line that says something."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def seconds(duration: float) -> str:
    """Return a duration as a person would say it: `2 ms`, `1.25 s`."""
    return f"{duration * 1000:.0f} ms" if duration < 1 else f"{duration:.2f} s"
