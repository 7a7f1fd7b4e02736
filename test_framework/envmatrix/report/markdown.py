"""Write text into GitHub-flavoured Markdown so that it is only read, and keep pages within GitHub's limit."""

from __future__ import annotations

import re
from collections.abc import Iterable

from envmatrix.report.console import short

MOST = (1 << 20) - (1 << 16)
"""Bytes of a page. GitHub drops a step's summary of more than 1 MiB; the step's other output needs room too."""


def page(lines: Iterable[str]) -> str:
    """Return lines as one page, cut where GitHub would refuse it."""
    kept: list[str] = []
    room = MOST
    for line in lines:
        room -= len(line.encode()) + 1
        if room < 0:
            kept += ["", "**Cut here: a summary may hold 1 MiB. The run files have all.**"]
            break
        kept.append(line)
    return "\n".join(kept) + "\n"


def code(text: str, *, in_table: bool = False) -> str:
    """Return text as a code span, in which Markdown and HTML mean nothing, however many backticks it holds."""
    text = short(text)
    if in_table:
        text = text.replace("|", r"\x7c")
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    # The spaces keep a backtick, or nothing at all, off the fence; Markdown drops them again.
    return f"{fence} {text} {fence}" if not text.strip() or "`" in (text[0], text[-1]) else f"{fence}{text}{fence}"
