"""Search the text of a tree's files for patterns; the results of unchanged files are cached."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeAlias

import msgspec

from envmatrix.analysis.source.cache import Cache, Stamp, View
from envmatrix.analysis.source.parse_file import digest_of
from envmatrix.safety.input_files import open_regular

_SKIPPED = frozenset({"node_modules", "site-packages", "__pycache__", "venv"})
_MAX_BYTES = 4 << 20


class _Mark(NamedTuple):
    """The search results of one file."""

    stamp: Stamp
    searched: frozenset[int]
    """Numbers of patterns."""
    hits: frozenset[int]
    """Numbers of those that match."""


_Search: TypeAlias = Callable[[bytes], object]
_decode = msgspec.msgpack.Decoder(dict[str, _Mark]).decode


class SearchPattern(NamedTuple):
    """A pattern to search for."""

    word: bytes
    """A word without which the pattern cannot match."""
    fits: bytes
    """A regular expression; it is fast where it begins with a word, or with a set of characters."""


class FileSearch:
    """Searches the files of a tree.

    Args:
        root: The root of the tree.
        cache: Keeps the results of each file.
    """

    def __init__(self, root: Path, cache: Cache | None = None) -> None:
        self._root = root
        self._cache = cache

    def below(self, directory: str, endings: tuple[str, ...]) -> Iterator[str]:
        """Yield the files below a directory whose names end so, relative to the root, in the order of their paths."""
        skipped = len(str(self._root).rstrip("/")) + 1
        for here, inner, names in os.walk(self._root / directory):
            inner[:] = sorted(name for name in inner if not name.startswith(".") and name not in _SKIPPED)
            yield from (f"{here}/{name}"[skipped:] for name in sorted(names) if name.endswith(endings))

    def search(
        self, paths: Iterable[str], patterns: Sequence[SearchPattern], wanted: Collection[int] | None = None
    ) -> Iterator[tuple[str, frozenset[int]]]:
        """Yield each file in which some patterns match, and the numbers of these.

        Args:
            paths: Relative to the root, or absolute; what is no regular file, or cannot be read, is passed over.
            patterns: The patterns to search for.
            wanted: Numbers of the patterns that are still of interest, all by default; it may shrink during the search.
        """
        compiled: dict[int, _Search] = {}
        wanted = range(len(patterns)) if wanted is None else wanted
        began = time.time_ns()
        view = self._view(patterns)
        known = _decode(view.inputs) if view and view.inputs else {}
        marks: dict[str, _Mark] = {}
        try:
            for path in paths:
                stamp = Stamp.of_file(os.path.join(self._root, path))  # noqa: PTH118 -- paths are text here, for there are very many
                if stamp is None:
                    continue
                mark = known.get(path)
                if mark is None or mark.stamp != stamp or not mark.searched.issuperset(wanted):
                    mark = _Mark(
                        stamp, frozenset(wanted), frozenset(_hits(self._root / path, patterns, compiled, wanted))
                    )
                marks[path] = mark
                if hits := mark.hits.intersection(wanted):
                    yield path, hits
        finally:  # the caller may stop early
            if view is not None and self._cache is not None and marks != known:
                settled = {path: mark for path, mark in marks.items() if mark.stamp.is_settled(began)}
                with suppress(UnicodeEncodeError):  # of a name that no encoding has
                    self._cache.keep(View(view.key, view.state, msgspec.msgpack.encode(settled)))

    def _view(self, patterns: Sequence[SearchPattern]) -> View | None:
        key = repr((str(self._root), patterns)).encode(errors="surrogateescape")
        return self._cache.view(digest_of(key)) if self._cache is not None else None


def _hits(
    file: Path, patterns: Sequence[SearchPattern], compiled: dict[int, _Search], wanted: Iterable[int]
) -> Iterator[int]:
    try:
        with open_regular(file) as stream:
            text = stream.read(_MAX_BYTES)
    except OSError:
        return
    has: dict[bytes, bool] = {}
    for number in wanted:
        word = patterns[number].word
        if word not in has:
            has[word] = word in text
        if not has[word]:
            continue
        if (search := compiled.get(number)) is None:
            search = compiled[number] = re.compile(patterns[number].fits).search
        if search(text):
            yield number
