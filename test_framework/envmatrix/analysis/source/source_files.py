"""The files that the index reads: those of the tree at once, others when a name leads to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from envmatrix.analysis.source.facts import Head, Module
from envmatrix.analysis.source.parse_file import digest_of
from envmatrix.analysis.source.skim import definitions, has_our_words, skim

_EMPTY = Module()


class SourceFiles(Mapping[str, Module]):
    """The facts of every file read so far, by its path: relative to the root with slashes, or absolute outside of it.

    Args:
        root: The tree's root.
        known: What has been read already; of a file that did not change since an earlier run, the head is enough.
        read: Reads one more, by its path.
    """

    def __init__(self, root: Path, known: Mapping[str, Module | Head], read: Callable[[Path], Module]) -> None:
        self._root = root
        self._modules = {path: each for path, each in known.items() if isinstance(each, Module)}
        self._heads = {path: each for path, each in known.items() if isinstance(each, Head)}
        self._read = read
        self._glimpses: dict[str, _Glimpse] = {}

    def __contains__(self, path: object) -> bool:
        return path in self._modules or path in self._heads

    def __getitem__(self, path: str) -> Module:
        if path not in self:
            raise KeyError(path)
        return self.module(path)

    def __iter__(self) -> Iterator[str]:
        return iter({**self._heads, **self._modules})

    def __len__(self) -> int:
        return len(self._heads.keys() | self._modules.keys())

    def head(self, path: str) -> Head:
        """Return the head of a file, which is read where it has not been yet."""
        if (known := self._heads.get(path)) is None:
            known = self._heads[path] = Head.of(self.module(path))
        return known

    def heads(self) -> Iterator[tuple[str, Head]]:
        """Yield every file that was read, and its head."""
        for path in self:
            yield path, self.head(path)

    def module(self, path: str) -> Module:
        """Return the facts of a file, which is read where it has not been yet; a namespace, a directory, has none."""
        if not path.endswith(".py"):
            return _EMPTY
        if (known := self._modules.get(path)) is None:
            known = self._modules[path] = self._read(self._root / path)
        return known

    def skim(self, path: str, name: str) -> Module | None:
        """Return where the names of a file come from, at the least cost; None if this one is plainly nothing of ours."""
        if path in self or not path.endswith(".py"):
            return self.module(path)
        if (glimpse := self._glimpses.get(path)) is None:
            glimpse = self._glimpses[path] = _Glimpse(self._root / path)
        is_here, is_below = glimpse.defines(name.encode())
        if glimpse.is_ours and (is_here or is_below):
            return self.module(path)
        return None if is_here else glimpse.module

    def digests(self) -> Iterator[tuple[str, bytes]]:
        """Yield each file that was looked into, with the digest of its bytes, empty where these could not be had."""
        for path, head in self.heads():
            yield path, head.digest
        for path, glimpse in self._glimpses.items():
            if path not in self._modules:
                yield path, glimpse.digest


class _Glimpse:
    """What patterns see in a file."""

    def __init__(self, path: Path) -> None:
        try:
            source = path.read_bytes()
        except OSError:
            source = b""
        self.digest = digest_of(source)
        self.is_ours = has_our_words(source)
        self._source = source

    def defines(self, name: bytes) -> tuple[bool, bool]:
        """Whether a function or class of this name is at the top level, and whether one is below: under `if`, a method."""
        if b"def " + name not in self._source and b"class " + name not in self._source:
            return False, False  # nearly always
        top, below = self._definitions
        return name in top, name in below

    @cached_property
    def _definitions(self) -> tuple[frozenset[bytes], frozenset[bytes]]:
        return definitions(self._source)

    @cached_property
    def module(self) -> Module:
        """What it imports and assigns."""
        return skim(self._source)
