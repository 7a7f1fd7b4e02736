"""Find the file of a module by its name, as seen from the file that imports it, without importing it."""

# Paths are text here, for there are very many.
# ruff: noqa: PTH118, PTH120
from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence

from envmatrix.analysis.project.directories import FILE, Listings
from envmatrix.analysis.project.installed import Site
from envmatrix.analysis.project.settings import PytestSettings
from envmatrix.analysis.project.workspace import siblings


class ModuleFinder:
    """Finds modules as one project's tests would import them.

    The order is that of `sys.path` in a run: the importing file's own root and those of the directories above it,
    `pythonpath`, the roots of other test files and conftests, the project's root and its `src`, what is installed, and
    last the distributions of the tree, of the workspace and of path dependencies, and their `src`, which may be installed
    where the tests run.

    Args:
        settings: The project's.
        files: Its test files and conftests, absolute: with the import modes `prepend` and `append`, pytest puts the
            root of each of them on `sys.path`.
        site: What is installed.
        listings: Directories that were listed already.
    """

    def __init__(self, settings: PytestSettings, files: Iterable[str], site: Site, listings: Listings) -> None:
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
        distributions = dict.fromkeys((*listings.distributions(root), *siblings(settings.root)))
        self._members = [place for each in distributions for place in (each, f"{each}/src")]
        self._heads: dict[str, list[str]] = {}
        self.search_path = (*self._local, *site.directories, *site.packages.items(), *self._members)
        """The directories to search, in order."""
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
        file = self._search(places, parts) if places else None
        if is_standard:  # before it on sys.path a module counts, a namespace does not
            return file if file and file.endswith(".py") else None
        if file and file.endswith(".py"):
            return file
        members = [place for place in self._members if self._holds(place, parts[0])]
        return self._search([*places, *self._site.places(parts[0]), *members], parts)

    def _places(self, directory: str, head: str) -> list[str]:
        """Return the directories of the tree with a top-level module of this name, nearest first."""
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
        """Search a module below these directories as Python's path finder does."""
        file: str | None = None
        for part in parts:
            portions: list[str] = []
            for place in places:
                entries = self._listings.of(place)
                inner = f"{place}/{part}"
                is_directory = entries.get(part)
                if is_directory and "__init__.py" in self._listings.of(inner):
                    places, file = [inner], f"{inner}/__init__.py"
                    break
                if entries.get(f"{part}.py") == FILE:
                    places, file = [], f"{inner}.py"
                    break
                if is_directory:
                    portions.append(inner)
            else:
                if not portions:
                    return None
                places, file = portions, portions[0]
        return file
