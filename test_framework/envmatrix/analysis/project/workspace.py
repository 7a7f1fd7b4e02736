"""The other distributions of a repository that a project is installed with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from envmatrix.analysis.project.config_files import lenient, read_toml, table


def siblings(root: Path) -> tuple[str, ...]:
    """Return the directories of the distributions beside a project: those of its uv workspace, and its path dependencies."""
    places = dict.fromkeys(str(place) for place in (*_by_path(root), *_of_workspace(root)) if place.is_dir())
    return tuple(place for place in places if place != str(root))


def _by_path(root: Path) -> Iterator[Path]:
    """Yield the directories that a project's dependencies name, those of uv and of Poetry."""
    tool = table(lenient(read_toml, root / "pyproject.toml") or {}, "tool")
    poetry = table(tool, "poetry")
    groups = [table(group, "dependencies") for group in table(poetry, "group").values()]
    for declared in (table(tool, "uv", "sources"), table(poetry, "dependencies"), *groups):
        for source in declared.values():
            path = table(source).get("path")
            if isinstance(path, str):
                yield Path(os.path.normpath(root / path))


def _of_workspace(root: Path) -> Iterator[Path]:
    """Yield the members of the nearest uv workspace around a project that is one of them."""
    for directory in root.parents:
        workspace = table(lenient(read_toml, directory / "pyproject.toml") or {}, "tool", "uv", "workspace")
        members = [place for pattern in _texts(workspace.get("members")) for place in _matching(directory, pattern)]
        if root in members:
            yield directory
            yield from sorted(members)
            return


def _texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _matching(directory: Path, pattern: str) -> list[Path]:
    try:
        return list(directory.glob(pattern))
    except (ValueError, NotImplementedError, OSError):  # an empty or an absolute pattern
        return []
