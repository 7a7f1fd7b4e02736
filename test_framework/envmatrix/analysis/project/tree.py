"""The projects of a tree, and the files that pytest would collect in each."""

# Paths are text here, for there are very many.
# ruff: noqa: PTH100, PTH113, PTH117, PTH118, PTH120, PTH206, PTH207
from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from pathlib import Path

from envmatrix.analysis.project.directories import FILE, LINK, Listings
from envmatrix.analysis.project.settings import CONFIG_NAMES, PytestSettings
from envmatrix.exceptions import UsageError

_CONFIG_NAMES = frozenset(CONFIG_NAMES)
_NOTHING = re.compile(r"(?!)")
_MOST_LINKS = 4
"""Symbolic links to directories that are followed within each other."""


@dataclass(frozen=True, slots=True)
class PytestProject:
    """Tests that one configuration of pytest governs. Paths are absolute."""

    settings: PytestSettings
    test_files: tuple[str, ...]
    """In the order of their paths, which is nearly pytest's."""
    conftests: tuple[str, ...]
    """Conftests that the test files can see, and all others below the collected directories."""

    def without(self, ignore: Mapping[str, Sequence[str]], ignore_glob: Mapping[str, Sequence[str]]) -> PytestProject:
        """Return the project without what its conftests ignore.

        Args:
            ignore: `collect_ignore` of each conftest that has one, by the conftest's path.
            ignore_glob: `collect_ignore_glob`, likewise.
        """
        if not ignore and not ignore_glob:
            return self
        ignored = _ConftestIgnores(ignore, ignore_glob)
        return replace(
            self,
            test_files=tuple(file for file in self.test_files if not ignored.covers(file)),
            conftests=tuple(file for file in self.conftests if not ignored.covers(os.path.dirname(file))),
        )


@dataclass(frozen=True, slots=True)
class ProjectTree:
    """A directory, and the projects in it that have tests or conftests."""

    root: Path
    projects: tuple[PytestProject, ...]
    listings: Listings = field(repr=False, compare=False)
    """The directories that the walk listed."""

    @classmethod
    def read(cls, root: Path, paths: Sequence[Path] = ()) -> ProjectTree:
        """Walk a tree.

        Without `paths`, each project's `testpaths` are collected, and the `suites` of its `[tool.envmatrix]`; the whole
        of it where it has neither. A directory below belongs to a project of its own where a file in it configures
        pytest, unless the project around it collects it as its own.

        Args:
            root: The directory; what configures it may stand above it.
            paths: Files and directories to collect instead.

        Raises:
            UsageError: one of the paths does not exist.
            DeclarationError: the configuration that pytest would use for the root is broken.
        """
        root = _absolute(root)
        targets = [_absolute(path) for path in paths]
        for path in targets:
            if not path.exists():
                raise UsageError(f"no such file or directory: {path}")
        walk = _TreeWalk(Listings(), frozenset(map(str, targets)))
        walk.run(Path(os.path.commonpath([root, *targets])), PytestSettings.find(root))
        return cls(root, walk.projects(), walk.listings)

    def relative(self, path: str) -> str:
        """Return a path relative to the tree's root, with slashes; one outside of it stays absolute."""
        return path.removeprefix(f"{str(self.root).rstrip('/')}/")


class _Mode(Enum):
    COLLECT = auto()
    """Files that match are test files."""
    SEARCH = auto()
    """Search for other projects, and for paths that are to be collected."""
    TOWARDS = auto()
    """Only descend to paths that are to be collected."""


class _ProjectWalk:
    """A project while the walk finds its files."""

    def __init__(self, settings: PytestSettings, initial: frozenset[str]) -> None:
        self.settings = settings
        self.initial = initial
        self.above = frozenset(parent for path in initial for parent in _parents(path))
        self.covered = _initial(settings)
        self.test_files: list[str] = []
        self.conftests: list[str] = []
        self._files = _patterns(settings.python_files)
        self._directories = _patterns(settings.norecursedirs)
        self._ignore = frozenset(settings.ignore)
        self._ignore_glob = _one_of(settings.ignore_glob)

    def covers(self, directory: str) -> bool:
        """Return whether the project collects a directory by name, even if another project begins there."""
        return any(path in self.covered for path in (directory, *_parents(directory)))

    def collects(self, name: str, path: str, mode: _Mode) -> bool:
        """Return whether a file is a test file."""
        if path in self.initial:
            return name.endswith(".py")
        return mode is _Mode.COLLECT and name.endswith(".py") and self._files(name, path) and not self._is_ignored(path)

    def mode_inside(self, name: str, path: str, mode: _Mode) -> _Mode | None:
        """Return the mode in which to visit a subdirectory; None to leave it out."""
        if path in self.initial:
            return _Mode.COLLECT
        if path in self.above:
            return _Mode.TOWARDS if self._passes(name, path) else mode
        return None if mode is _Mode.TOWARDS or self._passes(name, path) else mode

    def _passes(self, name: str, path: str) -> bool:
        """Return whether the walk leaves a directory out."""
        return name == "__pycache__" or self._directories(name, path) or self._is_ignored(path)

    def _is_ignored(self, path: str) -> bool:
        return path in self._ignore or self._ignore_glob.match(path) is not None


@dataclass(frozen=True, slots=True)
class _Visit:
    directory: str
    project: _ProjectWalk
    mode: _Mode
    links: tuple[str, ...] = ()
    """The real directories before and after each link on the way here."""


class _TreeWalk:
    def __init__(self, listings: Listings, wanted: frozenset[str]) -> None:
        self.listings = listings
        self._wanted = wanted
        self._projects: list[_ProjectWalk] = []

    def run(self, start: Path, settings: PytestSettings) -> None:
        first = str(start)
        project = self._project(settings, first)
        project.conftests += [
            conftest
            for directory in reversed(_parents(first))
            if Path(directory).is_relative_to(settings.confcutdir)
            and os.path.isfile(conftest := f"{directory}/conftest.py")
        ]
        mode = _Mode.COLLECT if first in project.initial else _Mode.TOWARDS if self._wanted else _Mode.SEARCH
        pending = [_Visit(first, project, mode)]
        while pending:
            visit = pending.pop()
            pending += self._visit(visit)
            if visit.directory in self.listings.denied and visit.mode is _Mode.COLLECT:
                visit.project.test_files.append(visit.directory)  # reported as an unread file: it may hold tests

    def projects(self) -> tuple[PytestProject, ...]:
        return tuple(
            PytestProject(
                project.settings,
                tuple(sorted(project.test_files, key=_order)),
                tuple(sorted(project.conftests, key=_order)),
            )
            for project in self._projects
            if project.test_files or project.conftests
        )

    def _project(self, settings: PytestSettings, directory: str) -> _ProjectWalk:
        named = _initial(settings) if str(settings.root) == directory else frozenset()  # pytest: only in its root
        project = _ProjectWalk(settings, self._wanted or named or frozenset({directory}))
        self._projects.append(project)
        return project

    def _visit(self, visit: _Visit) -> Iterator[_Visit]:
        directory, project, mode = visit.directory, visit.project, visit.mode
        entries = self.listings.of(directory)
        is_named = directory in project.initial or directory in project.above
        if not is_named and _is_environment(directory, entries):
            return
        if (own := self._own_project(directory, entries, project)) is not None:
            project = own
            if not self._wanted and mode is not _Mode.TOWARDS:
                mode = _Mode.COLLECT if directory in project.initial else _Mode.SEARCH
        if "conftest.py" in entries and (mode is _Mode.COLLECT or directory in project.above):
            project.conftests.append(f"{directory}/conftest.py")
        for name, kind in entries.items():
            path = f"{directory}/{name}"
            if kind == FILE:
                if project.collects(name, path, mode):
                    project.test_files.append(path)
            elif (inside := project.mode_inside(name, path, mode)) is not None:
                links = visit.links if kind != LINK else _followed(directory, path, visit.links)
                if links is not None:
                    yield _Visit(path, project, inside, links)

    def _own_project(self, directory: str, entries: Mapping[str, int], around: _ProjectWalk) -> _ProjectWalk | None:
        """Begin a project where a directory configures pytest, and the project around it does not collect it."""
        if _CONFIG_NAMES.isdisjoint(entries) or directory == str(around.settings.root) or around.covers(directory):
            return None
        settings = PytestSettings.at(Path(directory), entries)
        return None if settings is None else self._project(settings, directory)


def _is_environment(directory: str, entries: Mapping[str, int]) -> bool:
    """Return whether a directory is the root of a virtual environment, by pytest's criteria."""
    return "pyvenv.cfg" in entries or ("conda-meta" in entries and os.path.isfile(f"{directory}/conda-meta/history"))


def _followed(directory: str, path: str, links: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the real directories on the way through a link; None for a cycle or too many links."""
    target = os.path.realpath(path)
    way = (*links, os.path.realpath(directory))
    if len(way) > 2 * _MOST_LINKS or any(real == target or real.startswith(f"{target.rstrip('/')}/") for real in way):
        return None
    return (*way, target)


class _ConftestIgnores:
    """The paths that conftests ignore; the nearest conftest above a path that sets a value decides."""

    def __init__(self, ignore: Mapping[str, Sequence[str]], ignore_glob: Mapping[str, Sequence[str]]) -> None:
        self._ignore = {
            os.path.dirname(conftest): frozenset(_joined(conftest, paths)) for conftest, paths in ignore.items()
        }
        self._glob = {
            os.path.dirname(conftest): _one_of(_joined(conftest, paths)) for conftest, paths in ignore_glob.items()
        }
        self._known: dict[str, bool] = {}

    def covers(self, path: str) -> bool:
        """Return whether a path or a directory above it is ignored."""
        if (known := self._known.get(path)) is None:
            parents = _parents(path)
            ignored = next((self._ignore[parent] for parent in parents if parent in self._ignore), frozenset[str]())
            pattern = next((self._glob[parent] for parent in parents if parent in self._glob), _NOTHING)
            known = path in ignored or pattern.match(path) is not None or (bool(parents) and self.covers(parents[0]))
            self._known[path] = known
        return known


def _joined(conftest: str, paths: Iterable[str]) -> list[str]:
    return [os.path.normpath(os.path.join(os.path.dirname(conftest), path)) for path in paths]


def _initial(settings: PytestSettings) -> frozenset[str]:
    """Return the existing paths that a project collects by name: its `testpaths` and suites."""
    initial: set[str] = set()
    for pattern in (*settings.testpaths, *settings.suites):
        initial |= {os.path.normpath(path) for path in glob.iglob(str(settings.root / pattern), recursive=True)}
    return frozenset(initial)


def _patterns(patterns: Iterable[str]) -> Callable[[str, str], bool]:
    """Return a matcher of a name and its path; as in pytest, a pattern with a slash is for the path."""
    names, paths = [], []
    for pattern in patterns:
        if os.sep not in pattern:
            names.append(pattern)
        else:
            paths.append(pattern if os.path.isabs(pattern) else f"*{os.sep}{pattern}")
    name_fits, path_fits = _one_of(names).match, _one_of(paths).match
    if not paths:
        return lambda name, _: name_fits(name) is not None
    return lambda name, path: name_fits(name) is not None or path_fits(path) is not None


def _one_of(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(fnmatch.translate, patterns)) or _NOTHING.pattern)


def _parents(path: str) -> list[str]:
    """Return the directories above a path, nearest first."""
    return [str(parent) for parent in Path(path).parents]


def _order(path: str) -> list[str]:
    return path.split(os.sep)


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))
