"""Tell a test that was left out of a run from one that was removed, by the sources."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from envmatrix.exceptions import DeclarationError
from envmatrix.runs.nodeid import split
from envmatrix.safety.input_files import read_bytes

StillThere = Callable[[str], bool]
"""Node id → whether its function is still defined."""


def nowhere(_: str) -> bool:
    """Return false: without sources no test is known to be left out."""
    return False


def defined_below(root: Path) -> StillThere:
    """Return a function that says whether a test is still defined; each file is parsed once, and never imported.

    Node ids are relative to `root`. Tests that are inherited, generated or defined under a condition are not seen.
    """

    @cache
    def functions(file: str) -> frozenset[str]:
        path = root / file
        try:
            return frozenset(_functions(ast.parse(read_bytes(path)).body))
        except (DeclarationError, SyntaxError, ValueError, RecursionError, MemoryError):
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
