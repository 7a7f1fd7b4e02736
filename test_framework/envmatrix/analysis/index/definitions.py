"""Find all definitions of fixtures below a directory, without resolving names: for suggestions."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SKIPPED = {"node_modules", "site-packages", "__pycache__", "build", "dist", "venv"}
_MAX_BYTES = 4 << 20
"""A test module is far smaller; what is larger is generated data that defines no fixture."""


@dataclass(frozen=True, order=True)
class FixtureDefinition:
    """The place of a definition of a fixture."""

    file: Path
    line: int
    name: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def find_definitions(root: Path) -> Iterator[FixtureDefinition]:
    """Yield every fixture that a Python file below `root` defines; files that cannot be read or parsed are left out."""
    for directory, names, files in os.walk(root):
        names[:] = sorted(name for name in names if not name.startswith(".") and name not in _SKIPPED)
        for file in sorted(files):
            if file.endswith(".py"):
                yield from _in_file(Path(directory, file))


def _in_file(path: Path) -> Iterator[FixtureDefinition]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            return
        source = path.read_bytes()
        if b"fixture" not in source:
            return
        tree = ast.parse(source)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                if (name := _fixture_name(decorator, node.name)) is not None:
                    yield FixtureDefinition(path, node.lineno, name)


def _fixture_name(decorator: ast.expr, function: str) -> str | None:
    call = decorator if isinstance(decorator, ast.Call) else None
    target = call.func if call else decorator
    last = target.attr if isinstance(target, ast.Attribute) else target.id if isinstance(target, ast.Name) else ""
    if last != "fixture":
        return None
    for keyword in call.keywords if call else ():
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value)
    return function
