"""The lines of a file with some word in them."""

from __future__ import annotations

import ast
import bisect
from collections.abc import Iterator


class WordLines:
    """Tells which statements have a word in them: one without it is not walked in search of it."""

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._lines: dict[bytes, list[int]] = {}

    def in_(self, node: ast.stmt, word: bytes) -> bool:
        """Return whether a statement has a line with a word."""
        if (lines := self._lines.get(word)) is None:
            lines = self._lines[word] = list(self._lines_of(word))
        if not lines:
            return False
        index = bisect.bisect_left(lines, node.lineno)
        return index < len(lines) and lines[index] <= (node.end_lineno or node.lineno)

    def _lines_of(self, word: bytes) -> Iterator[int]:
        line, last, at = 1, 0, self._source.find(word)
        while at >= 0:
            line += self._source.count(b"\n", last, at)
            yield line
            last, at = at, self._source.find(word, at + 1)
