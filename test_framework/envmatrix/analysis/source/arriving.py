"""The facts of files that are still being read."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

from envmatrix.analysis.source.facts import Head, Module


class Arriving(Mapping[str, Module | Head]):
    """The facts of files by their paths; asking for those of a file waits until it is read.

    Args:
        paths: All files.
        here: Facts that are known at once.
        others: Path and facts of each other file, in any order.
        progress: Called with the number of files that are done, and of all.
    """

    def __init__(
        self,
        paths: Sequence[str],
        here: Mapping[str, Module | Head],
        others: Generator[tuple[str, Module | Head]] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._paths = dict.fromkeys(paths)
        self._here = dict(here)
        self._others = others
        self._progress = progress

    def here(self, path: str) -> Module | Head | None:
        """Return the facts of a file if they are known already."""
        return self._here.get(path)

    def __contains__(self, path: object) -> bool:
        return path in self._paths

    def __getitem__(self, path: str) -> Module | Head:
        while path not in self._here and path in self._paths and self._others is not None:
            arrived, facts = next(self._others)
            self._here[arrived] = facts
            if self._progress is not None:
                self._progress(len(self._here), len(self._paths))
            if len(self._here) == len(self._paths):
                self.close()  # else what parsed would live as long as we
        return self._here[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def close(self) -> None:
        """End the processes that still parse."""
        if self._others is not None:
            self._others.close()
