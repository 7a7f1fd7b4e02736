"""Statements, the blocks inside of them, and the names and calls in them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping

from envmatrix.analysis.source.facts import Note

INSIDE: Mapping[type, tuple[str, ...]] = {
    kind: tuple(field for field in ("body", "orelse", "finalbody", "handlers", "cases") if field in kind._fields)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.stmt) and {"body", "cases"} & set(kind._fields)
}
"""Types of statements with blocks inside of them, and the fields that hold these."""
BROAD = frozenset({"Exception", "BaseException"})


def note_at(code: str, node: ast.stmt | ast.excepthandler, message: str) -> Note:
    """Return a note whose place is that of a node."""
    return Note(code, node.lineno, node.col_offset + 1, message)


def all_statements(body: list[ast.stmt]) -> list[ast.stmt]:
    """Return statements and all statements inside of them, those of inner functions too."""
    if INSIDE.keys().isdisjoint(map(type, body)):
        return body  # nearly always
    statements: list[ast.stmt] = []
    for statement in body:
        statements.append(statement)
        for below in blocks_of(statement):
            statements += all_statements(below)
    return statements


def call_of(statement: ast.stmt) -> ast.Call | None:
    """Return the call that a statement is, awaited or not."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    value = value.value if isinstance(value, ast.Await) else value
    return value if isinstance(value, ast.Call) else None


def last_names(node: ast.expr | None) -> str:
    """Return a name with its dots, as far as it is one from its end: `a.b` of `a.b`, `b` of `f().b`."""
    words: list[str] = []
    while isinstance(node, ast.Attribute):
        words.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        words.append(node.id)
    return ".".join(reversed(words))


def names_in(nodes: Iterable[ast.AST]) -> set[str]:
    """Return all names inside of nodes."""
    return {inner.id for node in nodes for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def blocks_of(statement: ast.stmt) -> list[list[ast.stmt]]:
    """Return the blocks inside of a statement, those of handlers and cases last."""
    blocks = []
    for field in INSIDE.get(type(statement), ()):
        inside = getattr(statement, field)
        blocks += [part.body for part in inside] if field in {"handlers", "cases"} else [inside]
    return blocks


def caught_by(handler: ast.ExceptHandler) -> set[str]:
    """Return the last words of the exception names that a handler catches; `BaseException` of a bare one."""
    if handler.type is None:
        return {"BaseException"}
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {last_names(each).rpartition(".")[2] for each in types}


def is_log_call(call: ast.Call) -> bool:
    """Return whether a call prints or logs."""
    dotted = last_names(call.func)
    return dotted == "print" or dotted.split(".")[0] in {"log", "logger", "logging", "LOG", "LOGGER", "_logger"}


def reads_availability(node: ast.AST) -> bool:
    """Return whether a node reads if a service is available: `services["redis_available"]`."""
    match node:
        case ast.Subscript(value=ast.Name(), slice=ast.Constant(value=str(key))):
            return key.endswith("_available")
        case ast.Attribute(value=ast.Name(), attr=key):
            return key.endswith("_available")
        case ast.Call(func=ast.Attribute(value=ast.Name(), attr="get"), args=[ast.Constant(value=str(key)), *_]):
            return key.endswith("_available")
        case _:
            return False
