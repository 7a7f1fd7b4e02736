"""Take a function apart into itself and the functions inside of it, which run at other times."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator

from envmatrix.analysis.source.parts.file_parts import Piece
from envmatrix.analysis.source.parts.uses import Def


def pieces_of(function: Def, name: str, text: str, write: Callable[[ast.AST], str]) -> Iterator[Piece]:
    """Yield a function with its name and text, and those inside of it, each without the bodies of its own inner ones."""
    inner = list(_inside(function))
    bodies = [each.body for each in inner]
    for each in inner:
        each.body = []
    first = min(each.lineno for each in (function, *function.decorator_list))
    yield Piece(name, (first, function.end_lineno or function.lineno), write(function) if inner else text)
    numbers = Counter[str]()
    for each, body in zip(inner, bodies, strict=True):
        each.body = body
        numbers[each.name] += 1
        inner_name = f"{name}.<locals>.{numbered(each.name, numbers[each.name])}"
        yield from pieces_of(each, inner_name, write(each), write)


def numbered(name: str, number: int) -> str:
    """Return the name of a piece that is one of several of a name."""
    return name if number == 1 else f"{name}#{number}"


def _inside(node: ast.AST) -> Iterator[Def]:
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            yield each
        else:
            yield from _inside(each)
