"""Reads pages of Markdown: their blocks of code, their links, their headings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))

_BLOCK = re.compile(r"^```(\S*) ?(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    language: str
    title: str
    """What follows the language: here a file's name, or an exit code."""
    text: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [Block(*found) for found in _BLOCK.findall(page.read_text(encoding="utf-8"))]


def links(page: Path) -> list[str]:
    """What a page links to, outside of its code."""
    return _LINK.findall(_BLOCK.sub("", page.read_text(encoding="utf-8")))


def headings(page: Path) -> list[str]:
    """The headings of a page, outside of its code."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    return [line.lstrip("# ").strip() for line in text.splitlines() if line.startswith("#")]


def anchor(heading: str) -> str:
    """What a heading is called in a link, by GitHub's rule."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def folded(text: str) -> str:
    """A text with every run of white space as one space: reports break lines where the terminal ends."""
    return " ".join(text.split())
