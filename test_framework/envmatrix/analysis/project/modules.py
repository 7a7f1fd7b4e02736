"""Which file a module's name stands for, as seen from the file that imports it. Nothing is imported to find out."""

# Paths are text here, for there are very many.
# ruff: noqa: PTH118, PTH119, PTH120
from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from envmatrix.analysis.project.installed import Site
from envmatrix.analysis.project.settings import Settings

FILE: Final = 0
DIRECTORY: Final = 1
LINK: Final = 2
"""A symbolic link to a directory."""

_KEPT = (".py", ".toml", ".ini", ".cfg")


class Listings:
    """The contents of directories, each listed once: subdirectories, Python files and what may configure pytest."""

    def __init__(self) -> None:
        self._known: dict[str, Mapping[str, int]] = {}
        self.denied: set[str] = set()
        """Directories that are there, and may not be listed."""

    def of(self, directory: str) -> Mapping[str, int]:
        """Return the names in a directory, sorted, each `FILE`, `DIRECTORY` or `LINK`; nothing where it can't be listed."""
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
    found: dict[str, int] = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            if (kind := _kind(entry)) is not None:
                found[entry.name] = kind
    return dict(sorted(found.items()))


def _kind(entry: os.DirEntry[str]) -> int | None:
    try:
        if entry.name.endswith(_KEPT) and entry.is_file():
            return FILE
        if entry.is_dir():
            return LINK if entry.is_symlink() else DIRECTORY
    except OSError:  # a link that leads to itself, as like as not
        pass
    return None


class ModuleFinder:
    """Finds modules as one project's tests would import them.

    The order is that of `sys.path` in a run: the importing file's own root and those of the directories above it,
    `pythonpath`, the roots of other test files and conftests, the project's root and its `src`, and what is installed.

    Args:
        settings: The project's.
        files: Its test files and conftests, absolute: with the import modes `prepend` and `append`, pytest puts the
            root of each of them on `sys.path`.
        site: What is installed.
        listings: Directories that were listed already.
    """

    def __init__(self, settings: Settings, files: Iterable[str], site: Site, listings: Listings) -> None:
        self._listings = listings
        self._site = site
        root = str(settings.root)
        directories = {os.path.dirname(file) for file in files}
        roots = {listings.package_root(directory) for directory in directories}
        self._before = [str(path) for path in settings.pythonpath]
        # The root is there when pytest is run as a module; where it is itself a package, nobody runs that in it.
        own = [] if "__init__.py" in listings.of(root) else [root, os.path.join(root, "src")]
        self._after = [*sorted(roots), *own]
        if settings.import_mode == "importlib":  # nothing is put on sys.path; the file's own root is a guess then
            self._after = [*own, *sorted(roots)]
        self._local = list(dict.fromkeys([*self._before, *self._after]))
        self._heads: dict[str, list[str]] = {}
        self.search_path = (*self._local, *site.directories, *site.packages.items())
        """Where it looks; the order counts."""
        self._found: dict[tuple[str, str], str | None] = {}

    def find(self, path: str, dotted: str) -> str | None:
        """Return the file of a module, absolute.

        A package is its `__init__.py`, a package without one (a namespace) its first directory. None where there is no
        source to read: not found, built in, or part of the standard library.

        Args:
            path: The file that imports it, absolute.
            dotted: Its name; a relative one begins with its dots.
        """
        directory = os.path.dirname(path)
        key = directory, dotted
        if key not in self._found:
            self._found[key] = self._relative(directory, dotted) if dotted.startswith(".") else self._absolute(*key)
        return self._found[key]

    def _relative(self, directory: str, dotted: str) -> str | None:
        name = dotted.lstrip(".")
        for _ in range(len(dotted) - len(name) - 1):
            directory = os.path.dirname(directory)
        if name:
            return self._search([directory], name.split("."))
        init = f"{directory}/__init__.py"
        return init if "__init__.py" in self._listings.of(directory) else directory

    def _absolute(self, directory: str, dotted: str) -> str | None:
        parts = dotted.split(".")
        places = self._places(directory, parts[0])
        is_standard = parts[0] in sys.stdlib_module_names
        found = self._search(places, parts) if places else None
        if is_standard:  # before it on sys.path a module counts, a namespace does not
            return found if found and found.endswith(".py") else None
        if found and found.endswith(".py"):
            return found
        return self._search([*places, *self._site.places(parts[0])], parts)

    def _places(self, directory: str, head: str) -> list[str]:
        """Return the directories of the tree that hold a top-level name, nearest first."""
        if (holding := self._heads.get(head)) is None:
            holding = self._heads[head] = [place for place in self._local if self._holds(place, head)]
        own = self._listings.package_root(directory)
        if self._holds(own, head):
            holding = [own, *holding]
        if len(holding) > 1:
            near = [place for place in holding if directory == place or directory.startswith(f"{place}/")]
            return list(dict.fromkeys([*sorted(near, key=len, reverse=True), *holding]))
        return holding

    def _holds(self, place: str, head: str) -> bool:
        entries = self._listings.of(place)
        return f"{head}.py" in entries or bool(entries.get(head))

    def _search(self, places: Sequence[str], parts: Sequence[str]) -> str | None:
        """Go down from one of these directories as Python's path finder does."""
        found: str | None = None
        for part in parts:
            portions: list[str] = []
            for place in places:
                entries = self._listings.of(place)
                inner = f"{place}/{part}"
                is_directory = entries.get(part)
                if is_directory and "__init__.py" in self._listings.of(inner):
                    places, found = [inner], f"{inner}/__init__.py"
                    break
                if entries.get(f"{part}.py") == FILE:
                    places, found = [], f"{inner}.py"
                    break
                if is_directory:
                    portions.append(inner)
            else:
                if not portions:
                    return None
                places, found = portions, portions[0]
        return found
