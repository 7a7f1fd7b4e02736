"""Read the annotations in a file's source; rewrite a read: an attribute as an item, or an item as an attribute."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from contextlib import suppress

from envmatrix.analysis.source.facts import Read
from envmatrix.exceptions import CannotFixError

LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
"""A line as Python counts them: a form feed does not end one."""

_WORD = re.compile(r"\w+")


def rewrite_read(source: str, read: Read) -> str:
    """Return the source with one read rewritten, and all else unchanged.

    That is proven: the new source parses to the old one's tree, the read replaced.

    Raises:
        CannotFixError: it is no plain `name.key` or `name["key"]` on one line, or cannot be written the other way.
    """
    tree = _parsed(source)
    node = next((each for each in ast.walk(tree) if _is(each, read)), None)
    if not isinstance(node, ast.expr) or node.lineno != node.end_lineno:
        raise CannotFixError(f"no plain read of {read.key!r}: mend it by hand")
    writings = list(_written(read, tree, node, source))
    wanted = ast.dump(_Respelling(node, read).visit(tree))
    lines = LINE.findall(source)
    line = lines[node.lineno - 1].encode()
    for written in writings:
        lines[node.lineno - 1] = (line[: node.col_offset] + written + line[node.end_col_offset :]).decode()
        text = "".join(lines)
        with suppress(SyntaxError, ValueError):
            if ast.dump(_parsed(text)) == wanted:
                return text
    raise CannotFixError(f"{read.key!r} cannot be written that way there: mend it by hand")


def annotated(source: str, line: int, column: int | None = None) -> Iterator[str]:
    """Yield the names in the annotation of the parameter at a place, or of what the function on a line returns."""
    for node in ast.walk(_parsed(source.removeprefix("\ufeff"))):
        match node:
            case ast.arg(annotation=ast.expr() as annotation) if (node.lineno, node.col_offset + 1) == (line, column):
                yield from _WORD.findall(ast.unparse(annotation))
            case (
                ast.FunctionDef(returns=ast.expr() as annotation)
                | ast.AsyncFunctionDef(returns=ast.expr() as annotation)
            ):
                if column is None and node.lineno == line:
                    yield from _WORD.findall(ast.unparse(annotation))


def _is(node: ast.AST, read: Read) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id=read.parameter), attr=read.key):
            how = "attribute"
        case ast.Subscript(value=ast.Name(id=read.parameter), slice=ast.Constant(value=read.key)):
            how = "item"
        case _:
            return False
    return how == read.how and (node.lineno, node.col_offset + 1) == (read.line, read.column)


class _Respelling(ast.NodeTransformer):
    def __init__(self, node: ast.expr, read: Read) -> None:
        self._node = node
        self._read = read

    def visit(self, node: ast.AST) -> ast.AST:
        if node is not self._node:
            return self.generic_visit(node)
        name = ast.Name(self._read.parameter, ast.Load())
        if self._read.how == "attribute":
            return ast.Subscript(name, ast.Constant(self._read.key), ast.Load())
        return ast.Attribute(name, self._read.key, ast.Load())


def _written(read: Read, tree: ast.Module, node: ast.expr, source: str) -> Iterator[bytes]:
    """Yield spellings of the read, best first: in the file's own quotes; inside an f-string, in others than its own."""
    if read.how == "item":
        if not read.key.startswith("__"):  # which means another name inside of a class
            yield f"{read.parameter}.{read.key}".encode()
        return
    around = [each for each in ast.walk(tree) if isinstance(each, ast.JoinedStr) and node in ast.walk(each)]
    text = (ast.get_source_segment(source, around[0]) if around else source) or source
    for quote in sorted("\"'", key=text.count, reverse=not around):
        yield f"{read.parameter}[{quote}{read.key}{quote}]".encode()


def _parsed(source: str) -> ast.Module:
    with warnings.catch_warnings(action="ignore"):  # of its escapes, which are not ours to judge
        return ast.parse(source)
