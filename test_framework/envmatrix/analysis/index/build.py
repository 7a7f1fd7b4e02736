"""Build the index of a directory: walk it, load its files, resolve. Nothing of it is imported or run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from envmatrix.analysis.index.async_plugins import AsyncPlugins
from envmatrix.analysis.index.collect import Patterns
from envmatrix.analysis.index.fixture_index import Index, IndexInputs
from envmatrix.analysis.index.project_context import ProjectContext
from envmatrix.analysis.project.config_files import line_of
from envmatrix.analysis.project.installed import Site
from envmatrix.analysis.project.modules import ModuleFinder
from envmatrix.analysis.project.plugins import Plugins, find_plugins
from envmatrix.analysis.project.settings import PytestSettings
from envmatrix.analysis.project.tree import ProjectTree, PytestProject
from envmatrix.analysis.source import load
from envmatrix.analysis.source.arriving import Arriving
from envmatrix.analysis.source.facts import Constant, Module, Name, Wanted
from envmatrix.analysis.source.facts import Sequence as Items
from envmatrix.analysis.source.names import Names
from envmatrix.analysis.source.parse_file import digest_of
from envmatrix.analysis.source.source_files import SourceFiles
from envmatrix.exceptions import DeclarationError

CONTRACTS = frozenset({"real_services", "real_llm"})
"""The fixtures of the shipped contracts."""

_WORDS = (b"fixture", b"pytest_plugins", b"pytest_generate_tests", b"register(", b"import_plugin(", b"import *")

Loader: TypeAlias = Callable[[Sequence[Path]], Mapping[Path, Module]]
"""Returns the facts of files, by their absolute paths."""
ChangeLoader: TypeAlias = Callable[[Sequence[str]], Arriving]
"""Returns the facts of new and changed files, and the heads of others, as they are asked for."""


def index_of(
    root: Path,
    paths: Sequence[Path] = (),
    *,
    python: Path | None = None,
    contracts: frozenset[str] = CONTRACTS,
    load_modules: Loader | None = None,
    load_changes: ChangeLoader | None = None,
) -> Index:
    """Return the index of a directory.

    Args:
        root: The directory; where the pytest that governs it is configured above it, that directory is the root.
        paths: What to index of it; by default what pytest would collect, and the suites of `[tool.envmatrix]`.
        python: The interpreter whose plugins count; by default that of a `.venv` in the root, or the running one.
        contracts: Names of the fixtures whose reads of keys and attributes are recorded.
        load_modules: Loads files, also those that a name leads to later; by default without a cache.
        load_changes: Loads the files that are known at once; by default they are loaded as any other.

    Raises:
        UsageError: a path does not exist, or no environment belongs to `python`.
        DeclarationError: pytest's configuration is broken.
    """
    began = time.time_ns()
    root = Path(os.path.abspath(root))  # noqa: PTH100 -- a link keeps the name that the user gave it
    above = PytestSettings.find(root).root
    if above != root and root.is_relative_to(above):
        root, paths = above, paths or (root,)
    tree = ProjectTree.read(root, paths)
    site = Site.of(tree.root, python)
    _refuse_two_tables(tree, site)
    projects = [_project_files(tree, project, site) for project in tree.projects]
    files = list(dict.fromkeys(file for each in projects for file in each.files()))
    loader = load_modules or (lambda files: _load_modules(files, contracts))
    if load_changes is not None:
        known = load_changes(files)
    else:
        known = Arriving(files, {str(file): module for file, module in loader(list(map(Path, files))).items()})
    names_of = {_named(tree, file): file for file in known}
    sources = SourceFiles(tree.root, names_of, known, lambda file: loader([file])[file])
    finder = _Finder(tree, projects)
    names = Names(sources.module, finder.find, sources.skim)
    contexts = [_context(tree, each, names, site) for each in projects]
    return Index(
        tree.root,
        contexts,
        sources,
        finder.find,
        IndexInputs(tree.listings, finder.searches, _settings_digest(tree, projects), began),
    )


def _refuse_two_tables(tree: ProjectTree, site: Site) -> None:
    """Refuse what the installed pytest refuses.

    Raises:
        DeclarationError: the root's `[tool.pytest]` has keys beside `ini_options`, and pytest is 9 or newer.
    """
    settings = PytestSettings.find(tree.root)
    if settings.file and settings.beside and site.version("pytest") >= (9,):
        raise DeclarationError(
            settings.file,
            f"[tool.pytest] has {', '.join(settings.beside)} beside ini_options, which pytest 9 refuses",
            line_of(settings.file, settings.beside[0]),
            hint="Write all of pytest's settings in [tool.pytest], and those of other tools elsewhere",
        )


@dataclass(frozen=True, slots=True)
class _ProjectFiles:
    """A project with the finder of its modules, and its plugins."""

    project: PytestProject
    finder: ModuleFinder
    plugins: Plugins

    def files(self) -> Iterator[str]:
        """Yield all files; those first that decide how the others are read."""
        yield from self.project.conftests
        yield from (plugin.path for plugin in self.plugins.registered if plugin.path and plugin.path.endswith(".py"))
        yield from self.project.test_files


def _project_files(tree: ProjectTree, project: PytestProject, site: Site) -> _ProjectFiles:
    finder = ModuleFinder(project.settings, (*project.test_files, *project.conftests), site, tree.listings)
    plugins = find_plugins(project.settings, site, finder.find)
    relevant = tuple(
        plugin for plugin in plugins.registered if plugin.distribution != "pytest" or _may_matter(plugin.path)
    )
    return _ProjectFiles(project, finder, replace(plugins, registered=relevant))


def _may_matter(path: str | None) -> bool:
    """Return whether one of pytest's own files may provide fixtures, by its words; half do not, and none re-exports any."""
    try:
        source = Path(path or "").read_bytes()
    except OSError:
        return True  # loading it says why it cannot be read
    return any(word in source for word in _WORDS)


def _named(tree: ProjectTree, path: str) -> str:
    """Return a path as the index knows it: absolute for what is installed, also in an environment inside of the tree."""
    relative = tree.relative(path)
    return path if "site-packages/" in relative or "dist-packages/" in relative else relative


class _Finder:
    """Finds modules as the project of the importing file does."""

    def __init__(self, tree: ProjectTree, projects: Sequence[_ProjectFiles]) -> None:
        self._tree = tree
        self._root = f"{str(tree.root).rstrip('/')}/"
        self._inner = sorted(projects, key=lambda each: len(str(each.project.settings.root)), reverse=True)
        self._by_file = {file: each for each in projects for file in each.files()}
        self.searches: dict[str, dict[str, str | None]] = {}
        """Path → module → the module's file, None where there is none; of all calls of `find` so far."""

    def find(self, path: str, module: str) -> str | None:
        """Return the file of a module, as seen from a file."""
        if (known := self.searches.get(path)) is None:
            known = self.searches[path] = {}
        if module not in known:
            file = path if path.startswith("/") else self._root + path
            each = self._by_file.get(file) or self._above(file)
            path_of_module = each.finder.find(file, module) if each else None
            known[module] = _named(self._tree, path_of_module) if path_of_module else None
        return known[module]

    def _above(self, file: str) -> _ProjectFiles | None:
        """Return the innermost project around a file that no project collects."""
        around = (each for each in self._inner if file.startswith(f"{each.project.settings.root}/"))
        return next(around, next(iter(self._inner), None))


def _settings_digest(tree: ProjectTree, projects: Sequence[_ProjectFiles]) -> bytes:
    """Return a digest of all settings, plugins and search paths."""
    settings = [(each.project.settings, each.plugins, each.finder.search_path) for each in projects]
    return digest_of(repr((tree.root, settings)).encode(errors="surrogateescape"))


def _context(tree: ProjectTree, files: _ProjectFiles, names: Names, site: Site) -> ProjectContext:
    ignored = {
        setting: {
            file: paths for file in files.project.conftests if (paths := _listed(names, tree.relative(file), setting))
        }
        for setting in ("collect_ignore", "collect_ignore_glob")
    }
    project = files.project.without(ignored["collect_ignore"], ignored["collect_ignore_glob"])
    settings = project.settings
    directory = tree.relative(str(settings.root))
    return ProjectContext(
        directory="" if Path(directory) == tree.root else directory,
        patterns=Patterns(settings.python_classes, settings.python_functions),
        usefixtures=settings.usefixtures,
        test_files=tuple(tree.relative(file) for file in project.test_files),
        conftests=tuple(tree.relative(file) for file in project.conftests),
        plugins=tuple(
            (plugin.distribution or plugin.name, _named(tree, plugin.path))
            for plugin in files.plugins.registered
            if plugin.path
        ),
        async_plugins=_async_plugins(files),
        pytest=site.version("pytest"),
        builtin=files.plugins.builtin,
        unread_plugins=(
            *files.plugins.absent,
            *(
                plugin.name
                for plugin in files.plugins.registered
                if not plugin.path and plugin.distribution != "pytest"
            ),
        ),
    )


def _async_plugins(files: _ProjectFiles) -> AsyncPlugins:
    settings = files.project.settings
    paths = {plugin.distribution: plugin.path or "" for plugin in files.plugins.registered}
    return AsyncPlugins(
        is_asyncio_auto=settings.asyncio_mode == "auto",
        asyncio=paths.get("pytest-asyncio", ""),
        fixture_loop_scope=settings.fixture_loop_scope,
        is_anyio="anyio" in paths,
        is_anyio_auto=settings.anyio_mode == "auto",
    )


def _listed(names: Names, conftest: str, setting: str) -> tuple[str, ...]:
    """Return the names in a setting of a conftest; none where it may not be set."""
    bound = names.namespace(conftest).names.get(setting)
    if not bound or not bound[0].binding.is_certain:
        return ()
    value = names.literal(conftest, Name(setting))
    items = value.items if isinstance(value, Items) else ()
    return tuple(item.value for item in items if isinstance(item, Constant) and isinstance(item.value, str))


def _load_modules(files: Sequence[Path], contracts: frozenset[str]) -> dict[Path, Module]:
    modules = load.load_modules(map(str, files), wanted=Wanted(contracts))
    return {Path(path): module for path, module in modules.items()}
