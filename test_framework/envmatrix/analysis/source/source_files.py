"""The facts of all files that the index uses: the tree's at once, others when a name leads to them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from envmatrix.analysis.source.arriving import Arriving
from envmatrix.analysis.source.facts import Head, Module
from envmatrix.analysis.source.parse_file import digest_of
from envmatrix.analysis.source.skim import definitions, has_our_words, made_by_calls, skim

_EMPTY = Module()
_PLUGINS = re.compile(rb"pytest_plugins|import[\s\\]*\*")


class SourceFiles(Mapping[str, Module]):
    """The facts of each loaded file by its path: relative to the root, or absolute outside of it.

    Args:
        root: The tree's root.
        files: Path of each file that is loaded already → the key of its facts in `known`.
        known: The facts, or the heads of unchanged files.
        load: Loads another file by its path.
    """

    def __init__(
        self,
        root: Path,
        files: Mapping[str, str],
        known: Arriving,
        load: Callable[[Path], Module],
    ) -> None:
        self._root = root
        self._files = files
        self._known = known
        self._load = load
        self._modules: dict[str, Module] = {}
        self._heads: dict[str, Head] = {}
        self._skimmed: dict[str, _SkimmedFile] = {}

    def __contains__(self, path: object) -> bool:
        return path in self._modules or path in self._files

    def __getitem__(self, path: str) -> Module:
        if path not in self:
            raise KeyError(path)
        return self.module(path)

    def __iter__(self) -> Iterator[str]:
        return iter({**self._files, **self._modules})

    def __len__(self) -> int:
        return len(self._files.keys() | self._modules.keys())

    def head(self, path: str) -> Head:
        """Return the head of a file, which is loaded if need be."""
        if (head := self._heads.get(path)) is None:
            known = self._known[self._files[path]] if path in self._files else None
            head = self._heads[path] = known if isinstance(known, Head) else Head.of(self.module(path))
        return head

    def heads(self) -> Iterator[tuple[str, Head]]:
        """Yield path and head of each loaded file."""
        for path in self:
            yield path, self.head(path)

    def names_plugins(self, path: str) -> bool:
        """Return whether a file may bind `pytest_plugins`; the words of one that is still being read tell in time."""
        is_here = path not in self._files or self._known.here(self._files[path]) is not None
        return (is_here or _PLUGINS.search(_read(self._root / path)) is not None) and self.head(path).names_plugins

    def module(self, path: str) -> Module:
        """Return the facts of a file, which is loaded if need be; a directory (a namespace) has none."""
        if not path.endswith(".py"):
            return _EMPTY
        if (module := self._modules.get(path)) is None:
            known = self._known[self._files[path]] if path in self._files else None
            module = known if isinstance(known, Module) else self._load(self._root / path)
            self._modules[path] = module
        return module

    def skim(self, path: str, name: str) -> Module | None:
        """Return the facts of a file that say where a name comes from; None if that is no fixture, test or mark."""
        if path in self or not path.endswith(".py"):
            return self.module(path)
        if (skimmed := self._skimmed.get(path)) is None:
            skimmed = self._skimmed[path] = _SkimmedFile(self._root / path)
        encoded = name.encode()
        top, below = skimmed.defined
        if skimmed.is_ours and (encoded in top or encoded in below or encoded in skimmed.made):
            return self.module(path)
        return None if encoded in top and not skimmed.derives(encoded) else skimmed.module

    def digests(self) -> Iterator[tuple[str, bytes]]:
        """Yield path and digest of each file that was loaded or skimmed; the digest of an unreadable one is empty."""
        for path, head in self.heads():
            yield path, head.digest
        for path, skimmed in self._skimmed.items():
            if path not in self._modules:
                yield path, skimmed.digest


class _SkimmedFile:
    """A file of which only patterns are known."""

    def __init__(self, path: Path) -> None:
        source = _read(path)
        self.digest = digest_of(source)
        self.is_ours = has_our_words(source)
        self._source = source

    def derives(self, name: bytes) -> bool:
        """Return whether the file seems to define a class of this name with bases."""
        return b"class %b(" % name in self._source

    @cached_property
    def defined(self) -> tuple[frozenset[bytes], frozenset[bytes]]:
        """Return the names of functions and classes at its top level, and of those further inside."""
        return definitions(self._source)

    @cached_property
    def made(self) -> frozenset[bytes]:
        """Return the names that a call's value is assigned to."""
        return made_by_calls(self._source)

    @cached_property
    def module(self) -> Module:
        """Return its imports, assignments and classes."""
        return skim(self._source)


def _read(path: Path) -> bytes:
    """Return the bytes of a file; none where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
