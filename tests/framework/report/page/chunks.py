"""Reads what a page embeds, as its own code does."""

from __future__ import annotations

import base64
import gzip
import json
from html.parser import HTMLParser
from typing import Any


class _Scripts(HTMLParser):
    """Collects the text of each `<script type="application/gzip">`, and every other tag."""

    def __init__(self) -> None:
        super().__init__()
        self.packed: dict[str, str] = {}
        self.tags: list[str] = []
        self._name = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "script" and values.get("type") == "application/gzip":
            self._name = values["id"] or ""
            self.packed[self._name] = ""
        else:
            self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002  the parser calls it by position
        self._name = ""

    def handle_data(self, data: str) -> None:
        if self._name:
            self.packed[self._name] += data


def chunks(page: str) -> dict[str, Any]:
    """Return each chunk of a page by its name."""
    scripts = _Scripts()
    scripts.feed(page)
    return {name: json.loads(gzip.decompress(base64.b64decode(text))) for name, text in scripts.packed.items()}


def packed_chunks(page: str) -> list[bytes]:
    """Return each chunk as gzip made it: bytes 4 to 8 are when."""
    scripts = _Scripts()
    scripts.feed(page)
    return [base64.b64decode(text) for text in scripts.packed.values()]


def tags(page: str) -> list[str]:
    """Return the tags of a page that are no chunk."""
    scripts = _Scripts()
    scripts.feed(page)
    return scripts.tags
