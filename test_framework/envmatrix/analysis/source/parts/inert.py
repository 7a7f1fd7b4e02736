"""Tell expressions that run no code of the project, and decorators that register nothing."""

from __future__ import annotations

import ast
import re

_NEUTRAL = frozenset(
    [
        "staticmethod",
        "classmethod",
        "property",
        "cached_property",
        "setter",
        "getter",
        "deleter",
        "abstractmethod",
        "override",
        "overload",
        "final",
        "contextmanager",
        "asynccontextmanager",
        "cache",
        "lru_cache",
        "wraps",
        "total_ordering",
        "dataclass",
        "unique",
        "runtime_checkable",
        "fixture",
        "hookimpl",
        "hookspec",
        "given",
        "settings",
        "example",
    ]
)
"""Decorators that do not register what they decorate."""
_INERT_CALLS = _NEUTRAL | frozenset(
    ["field", "Field", "frozenset", "set", "dict", "list", "tuple", "compile", "Path", "TypeVar", "param"]
)
"""Functions that call nothing of what they are given."""
_INERT = (
    *(
        ast.Constant,
        ast.Name,
        ast.Attribute,
        ast.Starred,
        ast.Tuple,
        ast.List,
        ast.Set,
        ast.Dict,
        ast.Subscript,
        ast.Slice,
    ),
    *(ast.UnaryOp, ast.BinOp, ast.JoinedStr, ast.FormattedValue, ast.Lambda, ast.arguments, ast.arg),
    *(ast.expr_context, ast.operator, ast.unaryop),
)
_MARK = re.compile(r"(?:^|\.)mark\.\w+$")


def registers(decorator: ast.expr) -> bool:
    """Return whether a decorator may register what it decorates, so that other code calls it."""
    dotted = ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator)
    return dotted.rpartition(".")[2] not in _NEUTRAL and not _MARK.search(dotted)


def is_inert(node: ast.AST) -> bool:
    """Return whether evaluating an expression runs no code of the project."""
    if isinstance(node, ast.Call):
        dotted = ast.unparse(node.func)
        is_known = dotted.rpartition(".")[2] in _INERT_CALLS or _MARK.search(dotted) is not None
        return is_known and all(map(is_inert, [*node.args, *(word.value for word in node.keywords)]))
    return isinstance(node, _INERT) and all(map(is_inert, ast.iter_child_nodes(node)))


def is_inert_statement(node: ast.stmt) -> bool:
    """Return whether a statement in a class only binds an expression that runs no code."""
    match node:
        case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
            return is_inert(value)
        case ast.AnnAssign() | ast.Pass() | ast.Expr(value=ast.Constant()):
            return True
        case _:
            return False
