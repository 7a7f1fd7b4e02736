"""Read the source for a command: unchanged files from the cache, with progress on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envmatrix.analysis.source.arriving import Arriving
    from envmatrix.analysis.source.cache import Cache
    from envmatrix.analysis.source.facts import Module, Wanted
    from envmatrix.analysis.source.load import Progress


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads many files at once."""

    cache: Cache | None
    _wanted: Wanted
    _progress: Progress | None
    _stack: ExitStack

    def __call__(self, files: Sequence[Path]) -> dict[Path, Module]:
        """Return the facts of files, absolute."""
        from envmatrix.analysis.source.load import load_modules

        found = load_modules(map(str, files), wanted=self._wanted, cache=self.cache, progress=self._progress)
        return {Path(path): module for path, module in found.items()}

    def look(self, files: Sequence[str]) -> Arriving:
        """Return the facts of changed files, and the heads of the others, while they are still read."""
        from envmatrix.analysis.source.load import load_changes

        arriving = load_changes(files, wanted=self._wanted, cache=self.cache, progress=self._progress)
        self._stack.callback(arriving.close)
        return arriving


@contextmanager
def reader(
    root: Path, contracts: frozenset[str] | None = None, *, parts: bool = False, no_cache: bool = False
) -> Iterator[Reader]:
    """Give a reader of many files, which may be used until the end of the context.

    Args:
        root: Where the cache is kept.
        contracts: The fixtures of which it is recorded what is read of them; by default those of the shipped contracts.
        parts: Whether the parts of the files are read, too.
        no_cache: Whether to read every file anew.
    """
    from envmatrix.analysis.index.build import CONTRACTS
    from envmatrix.analysis.source.cache import DEFAULT, Cache
    from envmatrix.analysis.source.facts import Wanted
    from envmatrix.analysis.source.load import no_garbage_collection

    contracts = CONTRACTS if contracts is None else contracts
    with ExitStack() as stack:
        cache = None if no_cache else stack.enter_context(Cache(root / DEFAULT, sorted(contracts)))
        progress = stack.enter_context(_progress())
        stack.enter_context(
            no_garbage_collection()
        )  # an index is kept until the end, and looking through it takes a fifth
        yield Reader(cache, Wanted(contracts, parts), progress, stack)


@contextmanager
def _progress() -> Iterator[Progress | None]:
    """Show on a terminal how many files are read; standard output holds the report alone."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    with console.status("Reading the tree") as status:
        yield lambda done, total: status.update(f"{done} of {total} files read")
