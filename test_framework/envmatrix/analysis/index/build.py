"""From a directory to its index: walk, read, put together. Nothing of it is imported or run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from envmatrix.analysis.index.collect import Patterns
from envmatrix.analysis.index.index import Ground, Index, Surroundings
from envmatrix.analysis.project.installed import Site
from envmatrix.analysis.project.modules import ModuleFinder
from envmatrix.analysis.project.plugins import Plugins, find_plugins
from envmatrix.analysis.project.settings import Settings
from envmatrix.analysis.project.tree import Project, Tree
from envmatrix.analysis.source import reading
from envmatrix.analysis.source.cache import digest_of
from envmatrix.analysis.source.facts import Constant, Head, Module, Name
from envmatrix.analysis.source.facts import Sequence as Items
from envmatrix.analysis.source.names import Names
from envmatrix.analysis.source.sources import Sources

CONTRACTS = frozenset({"real_services", "real_llm"})
"""The fixtures of the shipped contracts."""

_WORDS = (b"fixture", b"pytest_plugins", b"pytest_generate_tests", b"register(", b"import_plugin(", b"import *")

Reader: TypeAlias = Callable[[Sequence[Path]], Mapping[Path, Module]]
"""From files, absolute, to the facts of each."""
Look: TypeAlias = Callable[[Sequence[str]], Mapping[str, Module | Head]]
"""The same, as text for there are very many; of a file that did not change, the head is enough."""


def index_of(
    root: Path,
    paths: Sequence[Path] = (),
    *,
    python: Path | None = None,
    contracts: frozenset[str] = CONTRACTS,
    read_all: Reader | None = None,
    look: Look | None = None,
) -> Index:
    """Return the index of a directory.

    Args:
        root: The directory; where the pytest that governs it is configured above it, that directory is the root.
        paths: What to index of it; by default what pytest would collect, and the suites of `[tool.envmatrix]`.
        python: The interpreter whose plugins count; by default that of a `.venv` in the root, or the running one.
        contracts: Names of the fixtures of which it is recorded what is read of them.
        read_all: Reads files, those that a name leads to later, too; by default without a cache.
        look: Reads what changed since an earlier run of the files that are known at once; by default all of it is read.

    Raises:
        UsageError: a path does not exist, or no environment belongs to `python`.
        DeclarationError: pytest's configuration is broken.
    """
    began = time.time_ns()
    root = Path(os.path.abspath(root))  # noqa: PTH100 -- a link keeps the name that the user gave it
    above = Settings.find(root).root
    if above != root and root.is_relative_to(above):
        root, paths = above, paths or (root,)
    tree = Tree.read(root, paths)
    site = Site.of(tree.root, python)
    places = [_place(tree, project, site) for project in tree.projects]
    files = list(dict.fromkeys(file for place in places for file in place.files()))
    reader = read_all or (lambda files: _read_all(files, contracts))
    known = look(files) if look else {str(file): module for file, module in reader(list(map(Path, files))).items()}
    sources = Sources(
        tree.root, {_named(tree, file): each for file, each in known.items()}, lambda file: reader([file])[file]
    )
    finder = _Finder(tree, places)
    names = Names(sources.module, finder.find, sources.skim)
    surroundings = [_surroundings(tree, place, names) for place in places]
    return Index(
        tree.root, surroundings, sources, finder.find, Ground(tree.listings, finder.found, _view(tree, places), began)
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """A project, and what it can import and load."""

    project: Project
    finder: ModuleFinder
    plugins: Plugins

    def files(self) -> Iterator[str]:
        yield from self.project.test_files
        yield from self.project.conftests
        yield from (plugin.path for plugin in self.plugins.found if plugin.path and plugin.path.endswith(".py"))


def _place(tree: Tree, project: Project, site: Site) -> _Place:
    finder = ModuleFinder(project.settings, (*project.test_files, *project.conftests), site, tree.listings)
    plugins = find_plugins(project.settings, site, finder.find)
    kept = tuple(plugin for plugin in plugins.found if plugin.path is None or _may_matter(plugin.path))
    return _Place(project, finder, replace(plugins, found=kept))


def _may_matter(path: str) -> bool:
    """Whether a plugin's file has a word of what provides fixtures or arguments; half of pytest's own have none."""
    try:
        source = Path(path).read_bytes()
    except OSError:
        return True  # reading it says why it cannot be read
    return any(word in source for word in _WORDS)


def _named(tree: Tree, path: str) -> str:
    """Return a path as the index knows it: absolute for what is installed, also in an environment inside of the tree."""
    relative = tree.relative(path)
    return path if "site-packages/" in relative or "dist-packages/" in relative else relative


class _Finder:
    """Finds modules as the project does to which the importing file belongs."""

    def __init__(self, tree: Tree, places: Sequence[_Place]) -> None:
        self._tree = tree
        self._root = f"{str(tree.root).rstrip('/')}/"
        self._inner = sorted(places, key=lambda place: len(str(place.project.settings.root)), reverse=True)
        self._of = {file: place for place in places for file in place.files()}
        self.found: dict[str, dict[str, str | None]] = {}
        """Path → module → its file: all that was asked for."""

    def find(self, path: str, module: str) -> str | None:
        """Return the file of a module, as seen from a file."""
        if (known := self.found.get(path)) is None:
            known = self.found[path] = {}
        if module not in known:
            file = path if path.startswith("/") else self._root + path
            place = self._of.get(file) or self._above(file)
            found = place.finder.find(file, module) if place else None
            known[module] = _named(self._tree, found) if found else None
        return known[module]

    def _above(self, file: str) -> _Place | None:
        """Return the innermost project around a file that no project collects."""
        around = (place for place in self._inner if file.startswith(f"{place.project.settings.root}/"))
        return next(around, next(iter(self._inner), None))


def _view(tree: Tree, places: Sequence[_Place]) -> bytes:
    """Return a digest of all that decides what is seen of a tree beside its files and directories."""
    seen = [(place.project.settings, place.plugins, place.finder.search_path) for place in places]
    return digest_of(repr((tree.root, seen)).encode(errors="surrogateescape"))


def _surroundings(tree: Tree, place: _Place, names: Names) -> Surroundings:
    ignored = {
        setting: {
            file: listed for file in place.project.conftests if (listed := _listed(names, tree.relative(file), setting))
        }
        for setting in ("collect_ignore", "collect_ignore_glob")
    }
    project = place.project.without(ignored["collect_ignore"], ignored["collect_ignore_glob"])
    settings = project.settings
    directory = tree.relative(str(settings.root))
    return Surroundings(
        directory="" if Path(directory) == tree.root else directory,
        patterns=Patterns(settings.python_classes, settings.python_functions),
        usefixtures=settings.usefixtures,
        test_files=tuple(tree.relative(file) for file in project.test_files),
        conftests=tuple(tree.relative(file) for file in project.conftests),
        plugins=tuple(
            (plugin.distribution or plugin.name, _named(tree, plugin.path))
            for plugin in place.plugins.found
            if plugin.path
        ),
        unread_plugins=(
            *place.plugins.absent,
            *(plugin.name for plugin in place.plugins.found if not plugin.path and plugin.distribution != "pytest"),
        ),
    )


def _listed(names: Names, conftest: str, setting: str) -> tuple[str, ...]:
    """Return the names in a setting of a conftest, where it certainly holds."""
    bound = names.namespace(conftest).names.get(setting)
    if not bound or not bound[0].binding.is_certain:
        return ()
    listed = names.literal(conftest, Name(setting))
    items = listed.items if isinstance(listed, Items) else ()
    return tuple(item.value for item in items if isinstance(item, Constant) and isinstance(item.value, str))


def _read_all(files: Sequence[Path], contracts: frozenset[str]) -> dict[Path, Module]:
    found = reading.read_all(map(str, files), contracts=contracts)
    return {Path(path): module for path, module in found.items()}
