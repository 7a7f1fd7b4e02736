"""The functions of a package: what coverage saw of each, and each broken."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from coverage import CoverageData

from envmatrix.runs.nodeid import function_of


@dataclass(frozen=True, slots=True)
class Function:
    """One function of a package."""

    path: str
    line: int
    body: tuple[int, int]
    """First and last line of its statements, without the docstring."""
    column: int

    def broken(self, source: bytes) -> bytes:
        """Return its file with an error raised before its first statement."""
        lines = source.splitlines(keepends=True)
        lines.insert(self.body[0] - 1, b" " * self.column + b"raise RuntimeError('broken')\n")
        return b"".join(lines)

    def tests(self, data: CoverageData, root: Path) -> frozenset[str]:
        """Return the tests, without parameters, under which coverage saw a line of it run."""
        contexts = data.contexts_by_lineno(str(root / self.path))
        first, last = self.body
        seen = {each.rpartition("|")[0] for line in range(first, last + 1) for each in contexts.get(line, ())}
        return frozenset(function_of(test) for test in seen if test)


def functions_of(root: Path, package: str) -> Iterator[Function]:
    """Yield the functions of a package whose body stands on lines of its own."""
    for file in sorted((root / package).rglob("*.py")):
        path = file.relative_to(root).as_posix()
        try:
            tree = ast.parse(file.read_bytes())
        except SyntaxError:  # a template of a file
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) is not None else node.body
                if body and body[0].lineno > node.lineno and not isinstance(body[0], ast.Expr | ast.Pass):
                    # The first line of a decorated function is that of its decorator.
                    first = min(each.lineno for each in (body[0], *getattr(body[0], "decorator_list", ())))
                    yield Function(path, node.lineno, (first, node.end_lineno or 0), body[0].col_offset)
