"""What the index must know of one project."""

from __future__ import annotations

from dataclasses import dataclass

from envmatrix.analysis.index.async_plugins import AsyncPlugins
from envmatrix.analysis.index.collect import Patterns


@dataclass(frozen=True, slots=True)
class ProjectContext:
    """The files, plugins and settings of one project; paths are relative to the tree's root."""

    directory: str
    """The project's rootdir; empty for the tree's root."""
    patterns: Patterns
    usefixtures: tuple[str, ...]
    test_files: tuple[str, ...]
    conftests: tuple[str, ...]
    plugins: tuple[tuple[str, str], ...]
    """Name and file of each plugin, pytest's own first."""
    async_plugins: AsyncPlugins
    pytest: tuple[int, ...]
    """The numbers of pytest's version; none where it is not installed."""
    builtin: tuple[str, ...]
    """Names of the plugins that pytest brings."""
    unread_plugins: tuple[str, ...]
    """Declared plugins that are not installed here: each may provide any name."""
