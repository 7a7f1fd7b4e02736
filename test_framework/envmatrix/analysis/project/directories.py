"""The contents of directories, each listed once."""

# Paths are text here, for there are very many.
# ruff: noqa: PTH119, PTH120
from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

FILE: Final = 0
DIRECTORY: Final = 1
LINK: Final = 2
"""A symbolic link to a directory."""

_BUILT = frozenset({"pyproject.toml", "setup.cfg", "setup.py"})
_KEPT = (".py", ".toml", ".ini", ".cfg")


class Listings:
    """The subdirectories, Python files and configuration files of directories."""

    def __init__(self) -> None:
        self._known: dict[str, Mapping[str, int]] = {}
        self.denied: set[str] = set()
        """Existing directories that may not be listed."""

    def of(self, directory: str) -> Mapping[str, int]:
        """Return the sorted names in a directory with their kinds; none where it cannot be listed."""
        if (known := self._known.get(directory)) is None:
            try:
                known = _listed(directory)
            except PermissionError:
                known = {}
                self.denied.add(directory)
            except OSError:  # no directory
                known = {}
            self._known[directory] = known
        return known

    def known(self) -> tuple[str, ...]:
        """Return the directories that were listed."""
        return tuple(self._known)

    def distributions(self, root: str) -> tuple[str, ...]:
        """Return the directories that are built as a distribution: of those that were listed, or near the root."""
        for directory in (root, *self._inside(root)):
            for inner in self._inside(directory):
                self.of(inner)
        return tuple(directory for directory, entries in self._known.items() if not _BUILT.isdisjoint(entries))

    def _inside(self, directory: str) -> list[str]:
        entries = self.of(directory).items()
        return [f"{directory}/{name}" for name, kind in entries if kind == DIRECTORY and name[0] not in "._"]

    def package_root(self, directory: str) -> str:
        """Return the first directory at or above this one that is no package: what pytest puts on `sys.path`."""
        while "__init__.py" in self.of(directory) and os.path.basename(directory).isidentifier():
            directory = os.path.dirname(directory)
        return directory


def _listed(directory: str) -> dict[str, int]:
    """List a directory.

    Raises:
        OSError: it cannot be listed, or is none.
    """
    kinds: dict[str, int] = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            if (kind := _kind(entry)) is not None:
                kinds[entry.name] = kind
    return dict(sorted(kinds.items()))


def _kind(entry: os.DirEntry[str]) -> int | None:
    try:
        if entry.name.endswith(_KEPT) and entry.is_file():
            return FILE
        if entry.is_dir():
            return LINK if entry.is_symlink() else DIRECTORY
    except OSError:  # probably a link to itself
        pass
    return None
