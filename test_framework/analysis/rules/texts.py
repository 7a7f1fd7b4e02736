"""Words in the files of a tree, beside what the index knows of it: searched once while a file stays the same."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import msgspec

from test_framework.analysis.cache import Cache, Stamp, View, digest_of

_SKIPPED = frozenset({"node_modules", "site-packages", "__pycache__", "venv"})
_MAX_BYTES = 4 << 20

_Marks: TypeAlias = dict[str, tuple[Stamp, tuple[int, ...]]]
"""File → its stamp, and the numbers of the patterns that fit."""
_decode = msgspec.msgpack.Decoder(_Marks).decode


class Pattern(NamedTuple):
    """What is searched."""

    word: bytes
    """Without which a file need not be looked at any closer."""
    fits: bytes
    """A regular expression."""


class Texts:
    """The texts of a tree.

    Args:
        root: Of the tree.
        cache: Where it is kept what was found in which file.
    """

    def __init__(self, root: Path, cache: Cache | None = None) -> None:
        self._root = root
        self._cache = cache

    def below(self, directory: str, endings: tuple[str, ...]) -> Iterator[str]:
        """Yield the files below a directory whose names end so, relative to the root, in the order of their paths."""
        top = os.path.join(self._root, directory)  # noqa: PTH118 -- paths are text here, for there are very many
        skipped = len(str(self._root).rstrip("/")) + 1
        for here, inner, names in os.walk(top):
            inner[:] = sorted(name for name in inner if not name.startswith(".") and name not in _SKIPPED)
            yield from (f"{here}/{name}"[skipped:] for name in sorted(names) if name.endswith(endings))

    def search(self, paths: Iterable[str], patterns: Sequence[Pattern]) -> Iterator[tuple[str, frozenset[int]]]:
        """Yield each file in which some patterns fit, and the numbers of these.

        Args:
            paths: Relative to the root, or absolute; what is no regular file, or cannot be read, is passed over.
            patterns: What to search.
        """
        searches = [(pattern.word, re.compile(pattern.fits).search) for pattern in patterns]
        began = time.time_ns()
        view = self._view(patterns)
        known: _Marks = _decode(view.ground) if view and view.ground else {}
        marks: _Marks = {}
        for path in paths:
            if (stamp := Stamp.of_file(os.path.join(self._root, path))) is None:  # noqa: PTH118 -- as above
                continue
            earlier = known.get(path)
            if earlier is not None and earlier[0] == stamp:
                marks[path] = earlier
            else:
                text = _content(self._root / path)
                marks[path] = stamp, tuple(at for at, (word, fits) in enumerate(searches) if word in text and fits(text))
        if view is not None and self._cache is not None and marks != known:
            settled = {path: mark for path, mark in marks.items() if mark[0].is_settled(began)}
            self._cache.keep(View(view.key, view.state, msgspec.msgpack.encode(settled)))
        yield from ((path, frozenset(hits)) for path, (_, hits) in marks.items() if hits)

    def _view(self, patterns: Sequence[Pattern]) -> View | None:
        asked = repr((str(self._root), patterns)).encode(errors="surrogateescape")
        return self._cache.view(digest_of(asked)) if self._cache is not None else None


def _content(path: Path) -> bytes:
    """Return the beginning of a regular file, nothing where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(_MAX_BYTES)
    except OSError:
        return b""
