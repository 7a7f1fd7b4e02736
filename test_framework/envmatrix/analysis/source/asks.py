"""Calls of `request.getfixturevalue`, and whether they surely happen."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from envmatrix.analysis.source.expressions import dotted, expression
from envmatrix.analysis.source.facts import Ask, Constant

_LEAVING = ast.Return | ast.Raise | ast.Continue | ast.Break
_CONDITIONAL = (
    *(ast.If, ast.IfExp, ast.BoolOp, ast.Match, ast.For, ast.AsyncFor, ast.While, ast.Lambda, ast.FunctionDef),
    *(ast.AsyncFunctionDef, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)


def asks_of(nodes: Iterable[ast.AST], *, is_certain: bool = True) -> Iterator[Ask]:
    """Yield the calls of `getfixturevalue` in statements and expressions, in the order in which they are written."""
    for node in nodes:
        match node:
            case ast.Call(func=ast.Attribute(attr="getfixturevalue"), args=arguments, keywords=keywords):
                named = arguments or [word.value for word in keywords if word.arg == "argname"]
                literal = expression(named[0]) if named else None
                name = literal.value if isinstance(literal, Constant) and isinstance(literal.value, str) else ""
                yield Ask(name, node.lineno, node.col_offset + 1, is_certain)
        yield from asks_of(ast.iter_child_nodes(node), is_certain=is_certain and not _is_conditional(node))
        if isinstance(node, ast.If) and any(isinstance(inner, _LEAVING) or _is_skip(inner) for inner in ast.walk(node)):
            is_certain = False  # what follows may not run


def _is_conditional(node: ast.AST) -> bool:
    """Return whether what is inside of a statement or expression may not run, or may fail without harm."""
    match node:
        case ast.Try(handlers=handlers) | ast.TryStar(handlers=handlers):
            return bool(handlers)
        case ast.With(items=items) | ast.AsyncWith(items=items):
            return any(dotted(expression(item.context_expr)).endswith(("raises", "suppress")) for item in items)
        case _:
            return isinstance(node, _CONDITIONAL)


def _is_skip(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and dotted(expression(node.func)).endswith(("skip", "xfail", "fail"))
