"""Write text into GitHub-flavoured Markdown so that it is only read, and keep pages within GitHub's limit."""

from __future__ import annotations

import re
from collections.abc import Iterable

from envmatrix.report.console import short
from envmatrix.report.text import inert_lines

MOST = (1 << 20) - (1 << 16)
"""Bytes of a page. GitHub drops a step's summary of more than 1 MiB; the step's other output needs room too."""


def page(lines: Iterable[str]) -> str:
    """Return lines as one page, cut where GitHub would refuse it."""
    return "\n".join(within(lines, MOST, "**Cut here: a summary may hold 1 MiB. The run files have all.**")) + "\n"


def within(lines: Iterable[str], room: int, cut: str) -> list[str]:
    """Return the first lines that have room in so many bytes; where there are more, `cut` says so behind them."""
    kept: list[str] = []
    for line in lines:
        room -= len(line.encode()) + 1
        if room < 0:
            return [*kept, "", cut]
        kept.append(line)
    return kept


def code(text: str, *, in_table: bool = False) -> str:
    """Return text as a code span, in which Markdown and HTML mean nothing, however many backticks it holds."""
    text = short(text)
    if in_table:
        text = text.replace("|", r"\x7c")
    fence = "`" * (_longest_fence(text) + 1)
    # The spaces keep a backtick, or nothing at all, off the fence; Markdown drops them again.
    return f"{fence} {text} {fence}" if not text.strip() or "`" in (text[0], text[-1]) else f"{fence}{text}{fence}"


def block(text: str, language: str = "text") -> list[str]:
    """Return the lines of a code block that holds a text, in which Markdown and HTML mean nothing."""
    text = inert_lines(text)
    fence = "`" * max(3, _longest_fence(text) + 1)
    return [f"{fence}{language}", *text.splitlines(), fence]


def _longest_fence(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
