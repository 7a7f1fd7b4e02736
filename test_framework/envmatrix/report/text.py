"""Make text of tests and services harmless for a terminal, a log or a page, and short enough to read."""

from __future__ import annotations

import re

_COMMANDS = re.compile(r"::(?=[a-z-]+(?:\s[^:]*)?::)|##(?=\[)")
"""Commands that a CI log obeys: `::error::`, `::set-output name=x::`, `##[group]`; anywhere, since lines fold."""


def inert(text: str) -> str:
    """Return text as one line that cannot move a cursor, reverse or hide text, or command a CI log.

    Control, format and surrogate characters are shown as Python would escape them.
    """
    if not text.isprintable():
        text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return _COMMANDS.sub(lambda match: rf"{match[0][0]}\x{ord(match[0][1]):02x}", text)


def inert_lines(text: str) -> str:
    """Return text with its lines and tabs, each line inert."""
    return re.sub(r"[^\t\r\n]+|\r(?!\n)", lambda match: inert(match[0]), text)


def plural(number: int, what: str) -> str:
    """Return `1 finding`, `2 findings`."""
    return f"{number} {what}{'s'[: number != 1]}"


def middle(text: str, width: int) -> str:
    """Return text cut in its middle to at most `width` characters: both ends of a node id are telling."""
    if len(text) <= width:
        return text
    head = (width - 3) // 2
    return f"{text[:head]}...{text[len(text) - (width - 3 - head) :]}"


def short_path(text: str, width: int) -> str:
    """Return a path cut to at most `width` characters; its directories are dropped first."""
    if len(text) <= width:
        return text
    name = text.rpartition("/")[2]
    return f".../{name}" if len(name) + 4 <= width else middle(name, width)


def first_line(text: str) -> str:
    """Return the first line that is not blank; empty where there is none."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def seconds(duration: float) -> str:
    """Return a duration for people: `2 ms`, `1.25 s`."""
    return f"{duration * 1000:.0f} ms" if duration < 1 else f"{duration:.2f} s"
