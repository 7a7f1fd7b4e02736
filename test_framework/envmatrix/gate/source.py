"""Does a test still stand in the sources? By that, one that was left out of a run is told from one that is gone."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from envmatrix.nodeid import split

StillThere = Callable[[str], bool]
"""Node id → whether its function is still defined."""


def nowhere(_: str) -> bool:
    """Know of no sources: then nobody can say that a test was left out."""
    return False


def defined_below(root: Path) -> StillThere:
    """Return what tells whether a test's function is still defined; each file is parsed once, and never imported.

    Node ids are relative to `root`. What a file defines under a condition, inherits or makes up is not seen.
    """

    @cache
    def functions(file: str) -> frozenset[str]:
        path = root / file
        try:
            return frozenset(_functions(ast.parse(path.read_bytes()).body) if path.is_file() else ())
        except (OSError, SyntaxError, ValueError, RecursionError):
            return frozenset()  # nobody can say

    def is_defined(test: str) -> bool:
        file, function, _ = split(test)
        return function in functions(file)

    return is_defined


def _functions(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield prefix + node.name
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node.body, f"{prefix}{node.name}::")
