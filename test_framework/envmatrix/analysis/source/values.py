"""Values that the source of a fixture makes: their type, and their keys or attributes."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from envmatrix.analysis.source.expressions import OTHER
from envmatrix.analysis.source.facts import Expression, Key, Shape

_Kind: TypeAlias = Literal["dict", "object", "value", "unknown"]

BAGS = frozenset({"SimpleNamespace", "types.SimpleNamespace", "Namespace", "argparse.Namespace"})
"""Classes whose objects have the attributes that they are made with, and no others."""
_MOCK = re.compile(r"(?:NonCallable)?(?:Magic)?Mock|(?:Async|Property|Threading)Mock|create_autospec")


@dataclass(eq=False)
class Value:
    """A value while statements fill it; two names may hold the same one."""

    kind: _Kind
    type: str
    expression: Expression
    line: int
    column: int
    keys: dict[str, Key] = field(default_factory=dict)
    is_complete: bool = True

    def put(self, key: str, value: Expression, node: ast.expr, *, certain: bool) -> None:
        """Add or replace a key."""
        self.keys[key] = Key(key, value if certain else OTHER, node.lineno, node.col_offset + 1)

    def add(self, other: Value, *, certain: bool) -> None:
        """Add all keys of another value."""
        for key in other.keys.values():
            self.keys[key.name] = key if certain else Key(key.name, OTHER, key.line, key.column)
        self.is_complete &= other.is_complete and other.kind == "dict"

    def shape(self) -> Shape:
        """Return its shape as it is now."""
        return Shape(self.kind, self.type, tuple(self.keys.values()), self.is_complete, self.line, self.column)


def is_mock(written: str) -> bool:
    """Return whether a call of this name, as it is written, makes a mock: `mock.patch.object`, `mocker.MagicMock`."""
    first, _, rest = written.partition(".")
    return (
        _MOCK.fullmatch(written.rpartition(".")[2]) is not None
        or first in {"mock", "patch"}
        or (first == "mocker" and rest != "spy")
    )


def merged(shapes: list[Shape]) -> Shape:
    """Return a shape with the keys of several; unknown if they differ in kind or type."""
    first = shapes[0]
    if any((other.kind, other.type) != (first.kind, first.type) for other in shapes):
        return Shape("unknown", "", (), is_complete=False, line=first.line, column=first.column)
    keys: dict[str, Key] = {}
    for key in (key for shape in shapes for key in shape.keys):
        values = {other.value for shape in shapes for other in shape.keys if other.name == key.name}
        count = sum(other.name == key.name for shape in shapes for other in shape.keys)
        is_same = len(values) == 1 and count == len(shapes)
        keys.setdefault(key.name, Key(key.name, key.value if is_same else OTHER, key.line, key.column))
    is_complete = all(shape.is_complete for shape in shapes)
    return Shape(first.kind, first.type, tuple(keys.values()), is_complete, first.line, first.column)


def place_of_node(node: ast.AST) -> tuple[int, int]:
    """Return the line and column of a node, both from 1; those of the file's start where it has none."""
    return getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1


def unknown(node: ast.AST, written: Expression = OTHER) -> Value:
    """Return a value of which nothing is known but where it is written."""
    return Value("unknown", "", written, *place_of_node(node), is_complete=False)


def either(first: Value | None, second: Value | None) -> Value:
    """Return the value of a name after a branch, from its values at the end of both ways."""
    if first is second and first is not None:
        return first
    one = first or second
    if one is None or first is None or second is None:
        return one or unknown(ast.Pass())
    if (first.kind, first.type) != (second.kind, second.type):
        return Value("unknown", "", OTHER, first.line, first.column, is_complete=False)
    both = merged([first.shape(), second.shape()])
    same = first.expression if first.expression == second.expression else OTHER
    keys = {key.name: key for key in both.keys}
    return Value(first.kind, first.type, same, first.line, first.column, keys, both.is_complete)


def type_of(node: ast.expr) -> str:  # noqa: PLR0911 -- one answer for each kind of node
    """Return the type of an expression that is neither a call nor a dict; empty where the syntax does not show it."""
    match node:
        case ast.Constant(value=None):
            return "None"
        case ast.Constant(value=value):
            return type(value).__name__
        case ast.JoinedStr():
            return "str"
        case ast.List() | ast.ListComp():
            return "list"
        case ast.Tuple():
            return "tuple"
        case ast.Set() | ast.SetComp():
            return "set"
        case ast.Compare() | ast.UnaryOp(op=ast.Not()):
            return "bool"
        case _:
            return ""
