"""Turn expressions of a syntax tree into facts: names, calls and literals."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import TypeAlias

from envmatrix.analysis.source.facts import Call, Constant, Expression, Mapping, Name, Other, Sequence, Text

FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

OTHER = Other()
_LONGEST = 1000
"""Items of a literal that are looked at: what is longer is data. The longest `__all__` that we saw has 600."""
_DEEPEST = 6


def expression(node: ast.expr, depth: int = 0) -> Expression:
    """Return the part of an expression that we follow: names, calls, literals."""
    if isinstance(node, ast.Constant):
        return _constant(node.value)
    if isinstance(node, ast.Name):
        return Name(node.id)
    if isinstance(node, ast.Attribute):
        return _attribute(node)
    return OTHER if depth > _DEEPEST else _compound(node, depth)


def _attribute(node: ast.Attribute) -> Expression:
    words = [node.attr]
    base = node.value
    while isinstance(base, ast.Attribute):
        words.append(base.attr)
        base = base.value
    if not isinstance(base, ast.Name):
        return OTHER
    words.append(base.id)
    return Name(".".join(words[::-1]))


def _compound(node: ast.expr, depth: int) -> Expression:  # noqa: PLR0911 -- one answer for each kind of node
    match node:
        case ast.Call():
            return _call(node, depth)
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            return Sequence(tuple([expression(item, depth + 1) for item in items])) if len(items) <= _LONGEST else OTHER
        case ast.Starred(value=value):
            return Call(Name("*"), (expression(value, depth + 1),), ())
        case ast.BinOp(op=ast.Add()):
            left, right = expression(node.left, depth + 1), expression(node.right, depth + 1)
            return _text((left, right)) if _is_text_of(left) or _is_text_of(right) else joined(left, right)
        case ast.JoinedStr(values=values):
            return _text([expression(_formatted(each), depth + 1) for each in values])
        case ast.Dict() if len(node.keys) <= _LONGEST:
            keys = (None if key is None else expression(key, depth + 1) for key in node.keys)
            return Mapping(tuple(zip(keys, (expression(value, depth + 1) for value in node.values), strict=True)))
        case _:
            return OTHER


def _call(node: ast.Call, depth: int) -> Expression:
    function = expression(node.func, depth + 1)
    data = 1 if dotted(function).endswith("parametrize") else -1  # its values are the most of many files
    return Call(
        function,
        tuple([OTHER if at == data else expression(argument, depth + 1) for at, argument in enumerate(node.args)]),
        tuple(
            [(word.arg or "", expression(word.value, depth + 1)) for word in node.keywords if word.arg != "argvalues"]
        ),
    )


def _constant(value: object) -> Expression:
    if isinstance(value, str):
        return Constant(value) if value.isascii() or _is_text(value) else OTHER
    if value is None or isinstance(value, bool | float):
        return Constant(value)
    if isinstance(value, int):
        return Constant(value) if -(1 << 63) <= value < 1 << 63 else OTHER
    return Name("...") if value is ... else OTHER


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


def _formatted(part: ast.expr) -> ast.expr:
    """Return what an f-string puts in as it is; any other part as a whole."""
    if isinstance(part, ast.FormattedValue) and part.conversion == -1 and part.format_spec is None:
        return part.value
    return part


def _is_text_of(value: Expression) -> bool:
    return isinstance(value, Text) or (isinstance(value, Constant) and isinstance(value.value, str))


def _text(parts: Iterable[Expression]) -> Expression:
    """Return the text that parts make, where each is a literal or a name."""
    known: list[Expression] = []
    for part in parts:
        if not (isinstance(part, Name) or _is_text_of(part)):
            return OTHER
        known += part.parts if isinstance(part, Text) else (part,)
    return Text(tuple(known))


def joined(left: Expression, right: Expression) -> Expression:
    """Return a sequence of the parts of two that `+` joins."""
    parts: list[Expression] = []
    for part in (left, right):
        match part:
            case Sequence(items=items):
                parts += items
            case Name() | Call():
                parts.append(Call(Name("*"), (part,), ()))
            case _:
                return OTHER
    return Sequence(tuple(parts))


def dotted(value: Expression) -> str:
    """Return the name at the root of calls: `pytest.fixture` of `pytest.fixture(scope="module")(make)`."""
    while isinstance(value, Call):
        value = value.function
    return value.dotted if isinstance(value, Name) else ""
