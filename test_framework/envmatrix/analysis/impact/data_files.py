"""Files other than Python: those that concern every test, those that concern none, and what names the others."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

_EVERYTHING = {
    "pyproject.toml": "it configures pytest and names what is installed",
    "pytest.ini": "it configures pytest",
    ".pytest.ini": "it configures pytest",
    "tox.ini": "it configures pytest and how it is run",
    "setup.cfg": "it configures pytest and names what is installed",
    "*.lock": "it says what is installed",
    "pylock*.toml": "it says what is installed",
    "requirements*.txt": "it says what is installed",
    "constraints*.txt": "it says what is installed",
    "Pipfile": "it says what is installed",
    "environment.y*ml": "it says what is installed",
    ".python-version": "it says which Python runs",
    ".gitlab-ci.yml": "it says how everything is run",
    "Jenkinsfile": "it says how everything is run",
    "Dockerfile*": "it says what everything is run in",
}
"""Patterns of a file's name, with the reason."""
_PROGRAMS = {
    "setup.py": "it says what is installed",
    "noxfile.py": "it says how everything is run",
    "sitecustomize.py": "Python runs it before anything else",
}
"""Programs; beside an `__init__.py` they are modules like others."""
_EVERYTHING_BELOW = (".github/", ".gitlab/", ".circleci/", ".ci/")
_NOTHING = {
    "*.md": "documentation",
    "*.rst": "documentation",
    "LICENSE*": "documentation",
    "NOTICE*": "documentation",
    "AUTHORS*": "documentation",
    "CODEOWNERS": "a setting of the code's host",
    ".gitignore": "a setting of git",
    ".gitattributes": "a setting of git",
    ".editorconfig": "a setting of editors",
    ".pre-commit-config.yaml": "a setting of hooks",
    ".pre-commit-hooks.yaml": "a setting of hooks",
    "envmatrix-baseline.json": "what the gate compares with, which no test reads",
    "envmatrix-waivers.toml": "what the gate forgives, which no test reads",
}
_NOTHING_BELOW = ("docs/", "doc/")
_CACHES = frozenset({"__pycache__", ".envmatrix", ".hypothesis", ".mypy_cache", ".nox", ".pytest_cache", ".ruff_cache"})


def concerns_everything(path: str, files: Collection[str] = ()) -> str:
    """Return why a file may change what any test does; empty where that is not so.

    `files` are those of the tree: a `setup.py` inside of a package is a module like others.
    """
    if path.startswith(_EVERYTHING_BELOW):
        return "it says how everything is run"
    if path.rpartition("/")[2] in _PROGRAMS and f"{path.rpartition('/')[0]}/__init__.py" not in files:
        return _PROGRAMS[path.rpartition("/")[2]]
    return _matching(path, _EVERYTHING)


def concerns_nothing(path: str) -> str:
    """Return what kind of file no test reads unless it names it; empty for any other file."""
    if path.startswith(_NOTHING_BELOW) and not path.endswith(".py"):
        return "documentation"
    return _matching(path, _NOTHING)


def is_cache(path: str) -> bool:
    """Return whether a file is a cache of some tool, which git may not ignore."""
    return not _CACHES.isdisjoint(path.split("/"))


def _matching(path: str, patterns: Mapping[str, str]) -> str:
    name = path.rpartition("/")[2]
    return next((why for pattern, why in patterns.items() if fnmatchcase(name, pattern)), "")


@dataclass(frozen=True, slots=True)
class Mention:
    """A line that names another file, or a directory that it is in."""

    path: str
    line: int
    text: str


def mentions(paths: Iterable[str], sources: Iterable[tuple[str, bytes]]) -> Sequence[Mention]:
    """Return where one of these files is named: by its name, or else by the nearest directory that is named at all.

    A directory counts where its parent is the root, or holds the file that names it: `Path(__file__).parent / "data"`.
    """
    all_sources = list(sources)
    return [mention for path in paths for mention in _mentions(path, all_sources)]


def _mentions(path: str, sources: Iterable[tuple[str, bytes]]) -> Sequence[Mention]:
    *directories, name = path.split("/")
    words = [name, *reversed(directories)]
    quoted = re.compile(
        rb"""["'/](%s)(?=["'/])""" % b"|".join(re.escape(os.fsencode(word)) for word in dict.fromkeys(words))
    )
    mentions_of: dict[str, list[Mention]] = {}
    for source_path, source in sources:
        for match in quoted.finditer(source):
            word = os.fsdecode(match[1])
            line = source.count(b"\n", 0, match.start()) + 1
            mentions_of.setdefault(word, []).append(Mention(source_path, line, word))
    if name in mentions_of:
        return mentions_of[name]
    for depth in range(len(directories) - 1, -1, -1):
        parent = "/".join(directories[:depth])
        nearby = [
            mention
            for mention in mentions_of.get(directories[depth], ())
            if not parent or PurePosixPath(mention.path).is_relative_to(parent)
        ]
        if nearby:
            return nearby
    return ()
