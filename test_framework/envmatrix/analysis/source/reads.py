"""Keys and attributes that a function reads of its fixtures' values."""

from __future__ import annotations

import ast
import builtins
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from msgspec.structs import replace

from envmatrix.analysis.source.expressions import FunctionNode
from envmatrix.analysis.source.facts import Function, Read
from envmatrix.analysis.source.word_lines import WordLines

_METHODS = frozenset(name for name in dir(dict) if not name.startswith("__"))
"""Methods of a dict, which are no keys."""
_BUILTINS = frozenset(dir(builtins)) - {"setattr"}
"""Functions that change none of their arguments."""
_HANDED = re.compile(r"(?<![.\w])(\w+)\((?:\w+=)?(\w+)[,)]")
"""A function, and the name that is its first argument."""
_ABSENT = frozenset({"KeyError", "AttributeError", "LookupError", "Exception", "BaseException"})
"""A function that catches one of these expects a key to be missing."""


def lines_of(file: Path) -> list[str]:
    """Return the lines of a file; none where it cannot be read."""
    try:
        return file.read_text(encoding="utf-8").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError):
        return []


def reads_in(lines: Sequence[str], function: Function, name: str) -> tuple[Read, ...]:
    """Return what a function reads of one parameter, by the lines of its file."""
    text = "".join(lines[function.line - 1 : function.end_line])
    if not _may_read(text, name):
        return ()  # nearly always
    try:
        source = ("if 1:\n" if function.column > 1 else "\n") + text  # as deep as it is written
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return ()
    node = next((node for node in ast.walk(tree) if isinstance(node, FunctionNode)), None)
    reads = reads_of(node, frozenset({name}), WordLines(source.encode())) if node else ()
    return tuple(replace(read, line=read.line + function.line - 2) for read in reads)


def _may_read(text: str, name: str) -> bool:
    """Return whether a function's text may read or change a parameter; handing it to a built-in function does neither."""
    handed_on = rf"^(?!\s*(?:async )?def\b).*[(,=]\s*{name}\s*[,)]"
    use = re.compile(rf"\b{name}\s*[.\[]|^\s*\w+\s*=\s*{name}\s*$|{handed_on}", re.MULTILINE)
    if not use.search(text):
        return False
    others = _HANDED.sub(lambda call: "" if call[1] in _BUILTINS and call[2] == name else call[0], text)
    return use.search(others) is not None


def reads_of(node: FunctionNode, names: frozenset[str], words: WordLines) -> tuple[Read, ...]:
    """Return the keys and attributes that a function reads of parameters with these names.

    Inner functions are included. Another name of a parameter is followed, unless either is bound again. What is read where its absence is expected
    (`"key" in services`, `pytest.raises(KeyError)`) is no read.
    """
    arguments = node.args
    parameters = {each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)} & names
    inside = _mentioning(node, parameters, words)
    if any(isinstance(each, ast.Assign) and getattr(each.value, "id", "") in parameters for each in inside):
        inside = list(ast.walk(node))  # the other name is followed too
    bound = Counter(inner.id for inner in inside if isinstance(inner, ast.Name) and not isinstance(inner.ctx, ast.Load))
    aliases = {name: name for name in parameters if not bound[name]}
    for inner in inside if aliases else ():
        match inner:
            case ast.Assign(targets=[ast.Name(id=other)], value=ast.Name(id=name)) if (
                name in aliases and bound[other] == 1
            ):
                aliases[other] = aliases[name]
    if not aliases:
        return ()
    reader = _ReadsVisitor({inner.lineno for inner in inside if isinstance(inner, ast.Name) and inner.id in aliases})
    reader.visit_all(node.body, aliases)
    return tuple(read for read in reader.reads if (read.parameter, read.key) not in reader.expected_absent)


def _mentioning(node: ast.AST, names: Iterable[str], words: WordLines) -> list[ast.AST]:
    """Return the nodes inside of a node, without the statements that have none of these names in them."""
    encoded = [name.encode() for name in names]
    inside = [node]
    for each in inside:  # which grows meanwhile
        inside += [
            inner
            for inner in ast.iter_child_nodes(each)
            if not isinstance(inner, ast.stmt) or any(words.in_(inner, name) for name in encoded)
        ]
    return inside


class _ReadsVisitor:
    def __init__(self, lines: set[int]) -> None:
        self.reads: list[Read] = []
        self.expected_absent: set[tuple[str, str]] = set()
        self._lines = lines
        """The lines with a name that is followed."""

    def visit_all(self, nodes: Iterable[ast.AST], aliases: dict[str, str]) -> None:
        """Record the reads of nodes; a statement without a name that is followed has none."""
        for node in nodes:
            if not isinstance(node, ast.stmt) or any(
                node.lineno <= line <= (node.end_lineno or line) for line in self._lines
            ):
                self.visit(node, aliases)

    def visit(self, node: ast.AST, aliases: dict[str, str]) -> None:  # noqa: C901, PLR0912 -- one case for each way to read
        """Record the reads of a node and all nodes inside of it."""
        for name in _changed(node):
            if name in aliases:
                self.reads.append(Read(aliases[name], "", "change", 1, 1))  # where it is does not matter
        match node:
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(key)), ctx=ast.Load()) if (
                name in aliases
            ):
                self.reads.append(Read(aliases[name], key, "item", node.lineno, node.col_offset + 1))
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=name), attr="get"), args=[ast.Constant(value=str(key)), *_]
            ) if name in aliases:
                self.reads.append(Read(aliases[name], key, "get", node.lineno, node.col_offset + 1))
            case ast.Attribute(value=ast.Name(id=name), attr=key, ctx=ast.Load()) if name in aliases:
                if key not in _METHODS and not key.startswith("_"):
                    self.reads.append(Read(aliases[name], key, "attribute", node.lineno, node.col_offset + 1))
            case (
                ast.Compare(
                    left=ast.Constant(value=str(key)), ops=[ast.In() | ast.NotIn()], comparators=[ast.Name(id=name)]
                )
                | ast.Call(
                    func=ast.Name(id="hasattr" | "getattr"), args=[ast.Name(id=name), ast.Constant(value=str(key)), *_]
                )
            ) if name in aliases:
                self.expected_absent.add((aliases[name], key))
            case ast.Try(body=body, handlers=handlers) if any(_expects_absence(each.type) for each in handlers):
                for each in (*handlers, *node.orelse, *node.finalbody):
                    self.visit(each, aliases)
                for statement in body:
                    self._visit_unread(statement, aliases)
                return
            case ast.With(items=items, body=body) if any(_expects_absence(item.context_expr) for item in items):
                for statement in body:
                    self._visit_unread(statement, aliases)
                return
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                own = {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}
                aliases = {name: parameter for name, parameter in aliases.items() if name not in own}
        self.visit_all(ast.iter_child_nodes(node), aliases)

    def _visit_unread(self, node: ast.AST, aliases: dict[str, str]) -> None:
        count = len(self.reads)
        self.visit(node, aliases)
        del self.reads[count:]


def _changed(node: ast.AST) -> Iterator[str]:
    """Yield the names whose values a node changes, or hands on to what may change them."""
    match node:
        case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store()):
            yield name
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="update" | "setdefault")):
            yield name
        case ast.Call(func=function, args=arguments, keywords=keywords):
            if not (isinstance(function, ast.Name) and function.id in _BUILTINS):
                values = (*arguments, *(keyword.value for keyword in keywords if keyword.arg))
                yield from (each.id for each in values if isinstance(each, ast.Name))


def _expects_absence(node: ast.expr | None) -> bool:
    """Return whether `except X` or `with pytest.raises(X)` expects a missing key, as a bare `except` does."""
    return node is None or not _ABSENT.isdisjoint(_words(node))


def _words(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            yield inner.id
