"""The shape of a fixture's value, by following the statements of its function.

A key that is set under a condition is among a shape's keys, with an unknown value; a statement that may add unknown keys
makes the shape incomplete.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from envmatrix.analysis.source.expressions import OTHER, FunctionNode, dotted, expression
from envmatrix.analysis.source.facts import Call, Constant, Expression, Name, Shape
from envmatrix.analysis.source.values import BAGS, Value, either, is_mock, merged, place_of_node, type_of, unknown

_READING = frozenset(["items", "keys", "values", "get", "copy"])
_PURE = frozenset(
    ["len", "print", "repr", "str", "sorted", "list", "tuple", "set", "dict", "bool", "isinstance", "id"]
) | {"type", "json.dumps", "pprint.pprint"}
"""Functions that do not change their arguments."""


def shape_of(node: FunctionNode, *, may_yield: bool = True) -> Shape | None:
    """Return the shape of a fixture's value; None where it has none.

    With several ends of one kind, the shape has the keys of all.

    Args:
        node: The function.
        may_yield: False where the word `yield` is not in it.
    """
    maker = _Maker(is_generator=may_yield and any(_own_yields(node.body)))
    arguments = node.args
    for parameter in (
        *arguments.posonlyargs,
        *arguments.args,
        *arguments.kwonlyargs,
        arguments.vararg,
        arguments.kwarg,
    ):
        if parameter is not None:
            maker.lose(parameter.arg, parameter)
    maker.run(node.body, certain=True)
    if not maker.ends:
        return None
    return maker.ends[0] if len(maker.ends) == 1 else merged(maker.ends)


def _own_yields(body: Iterable[ast.stmt]) -> Iterator[bool]:
    """Yield True for each `yield` of a function, inner functions left out."""
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Yield | ast.YieldFrom):
            yield True
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


class _Maker:
    """Follows the local names of a function, statement by statement, and records the shapes that it yields."""

    def __init__(self, *, is_generator: bool) -> None:
        self.ends: list[Shape] = []
        self._is_generator = is_generator
        self._locals: dict[str, Value] = {}

    def lose(self, name: str, node: ast.AST) -> None:
        """Forget the value of a name, which is bound to an expression that is not followed."""
        self._locals[name] = unknown(node)

    def run(self, body: Iterable[ast.stmt], *, certain: bool) -> None:
        """Follow statements; `certain` says whether they always run."""
        for statement in body:
            self._step(statement, certain=certain)

    def _step(self, node: ast.stmt, *, certain: bool) -> None:  # noqa: C901, PLR0912 -- one case for each statement
        match node:
            case ast.Return(value=value):
                if not self._is_generator:
                    self._end(node, value)
            case ast.Expr(value=ast.Yield(value=value)) | ast.Assign(value=ast.Yield(value=value)):
                self._end(node, value)
            case ast.Expr(value=ast.YieldFrom()):
                self.ends.append(unknown(node).shape())
            case ast.Assign(targets=targets, value=value):
                self._leak(value, but_name=True)
                for target in targets:
                    self._assign(target, value, certain=certain)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._leak(value, but_name=True)
                self._assign(target, value, certain=certain)
            case ast.AugAssign(target=ast.Name(id=name), op=ast.BitOr(), value=value) if name in self._locals:
                self._locals[name].add(self._made(value), certain=certain)
            case ast.AugAssign(target=target, value=value):
                self._leak(value)
                self._lose(target)
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) as call) if (
                name in self._locals
            ):
                self._leak_arguments(call)
                self._called(self._locals[name], method, call, certain=certain)
            case ast.Delete(targets=targets):
                for target in targets:
                    self._delete(target, certain=certain)
            case ast.If(test=test, body=body, orelse=orelse):
                self._leak(test)
                self._branch(body, orelse)
            case ast.With(items=items, body=body) | ast.AsyncWith(items=items, body=body):
                for item in items:
                    self._enter(item)
                self.run(body, certain=certain)
            case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=final):
                self._branch(body, [])
                for handler in handlers:
                    self._branch(handler.body, [])
                self.run([*orelse, *final], certain=certain and not handlers)
            case ast.For(target=target, iter=values, body=body) | ast.AsyncFor(target=target, iter=values, body=body):
                self._leak(values)
                self._lose(target)
                self._branch(body, node.orelse)
            case ast.While(test=test, body=body, orelse=orelse):
                self._leak(test)
                self._branch(body, orelse)
            case ast.Match(subject=subject, cases=cases):
                self._leak(subject)
                for case in cases:
                    self._branch(case.body, [])
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                self._leak(node)
                self.lose(name, node)
            case _:
                self._leak(node)

    def _branch(self, body: list[ast.stmt], orelse: list[ast.stmt]) -> None:
        """Follow both ways of a branch, and merge the values of each name."""
        before = self._locals
        self._locals = before.copy()
        self.run(body, certain=False)
        first, self._locals = self._locals, before.copy()
        self.run(orelse, certain=False)
        second = self._locals
        self._locals = {name: either(first.get(name), second.get(name)) for name in {**first, **second}}

    def _end(self, node: ast.stmt, value: ast.expr | None) -> None:
        self._leak(value, but_name=True)
        result = (
            self._made(value) if value is not None else Value("value", "None", Constant(None), *place_of_node(node))
        )
        self.ends.append(result.shape())  # as it is now: teardown comes later

    def _assign(self, target: ast.expr, value: ast.expr, *, certain: bool) -> None:
        match target:
            case ast.Name(id=name):
                self._locals[name] = self._made(value)
            case (
                ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(key)))
                | ast.Attribute(value=ast.Name(id=name), attr=key)
            ) if name in self._locals:
                self._locals[name].put(key, self._followed(value), target, certain=certain)
            case _:
                if isinstance(value, ast.Name):
                    self._leak(value)  # it has another name now
                self._lose(target)

    def _lose(self, target: ast.expr | None) -> None:
        match target:
            case ast.Name(id=name):
                self.lose(name, target)
            case ast.Tuple(elts=items) | ast.List(elts=items):
                for item in items:
                    self._lose(item)
            case ast.Starred(value=inner):
                self._lose(inner)
            case ast.Subscript(value=ast.Name(id=name)) if name in self._locals:
                self._locals[name].is_complete = False

    def _delete(self, target: ast.expr, *, certain: bool) -> None:
        match target:
            case (
                ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(key)))
                | ast.Attribute(value=ast.Name(id=name), attr=key)
            ) if name in self._locals and certain:
                self._locals[name].keys.pop(key, None)
            case _:
                self._lose(target)

    def _enter(self, item: ast.withitem) -> None:
        self._leak(item.context_expr)
        made = self._made(item.context_expr)
        if isinstance(item.optional_vars, ast.Name) and is_mock(made.type):
            self._locals[item.optional_vars.id] = made  # `with patch(…) as stand_in`
        else:
            self._lose(item.optional_vars)

    def _called(self, value: Value, method: str, call: ast.Call, *, certain: bool) -> None:
        """Follow a method that fills a dict; any other that may change a dict makes its shape incomplete."""
        match method, call.args:
            case "update", arguments:
                for argument in arguments:
                    value.add(self._made(argument), certain=certain)
                self._keywords(value, call, certain=certain)
            case "setdefault" | "pop", [ast.Constant(value=str(key)), *rest]:
                if method == "pop" and certain:
                    value.keys.pop(key, None)
                elif method == "setdefault" and key not in value.keys:
                    value.put(key, self._followed(rest[0]) if rest else Constant(None), call, certain=certain)
            case _:
                value.is_complete &= value.kind != "dict" or method in _READING

    def _keywords(self, value: Value, call: ast.Call, *, certain: bool) -> None:
        for word in call.keywords:
            if word.arg is None:
                value.add(self._made(word.value), certain=certain)
            else:
                value.put(word.arg, self._followed(word.value), word.value, certain=certain)

    def _followed(self, node: ast.expr) -> Expression:
        """Return an expression; that of its value if it is a local name."""
        if isinstance(node, ast.Name) and node.id in self._locals:
            return self._locals[node.id].expression
        if isinstance(node, ast.JoinedStr):
            return Call(Name("str"), (), ())
        followed = expression(node)
        head = followed.dotted.partition(".")[0] if isinstance(followed, Name) else ""
        return OTHER if head in self._locals else followed

    def _made(self, node: ast.expr) -> Value:  # noqa: C901, PLR0911, PLR0912 -- one answer for each kind of node
        line, column = place_of_node(node)
        match node:
            case ast.Name(id=name) if name in self._locals:
                return self._locals[name]
            case ast.Dict(keys=keys, values=values):
                made = Value("dict", "dict", expression(node), line, column)
                for key, value in zip(keys, values, strict=True):
                    match key:
                        case None:
                            made.add(self._made(value), certain=True)
                        case ast.Constant(value=str(name)):
                            made.put(name, self._followed(value), key, certain=True)
                        case ast.Constant():
                            pass
                        case _:
                            made.is_complete = False
                return made
            case ast.DictComp():
                return Value("dict", "dict", OTHER, line, column, is_complete=False)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return self._together(node, self._made(left), self._made(right))
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="copy"), args=[]) if name in self._locals:
                return self._together(node, self._locals[name])
            case ast.Call(func=ast.Name(id="dict"), args=arguments):
                made = self._together(node, *(self._made(argument) for argument in arguments))
                self._keywords(made, node, certain=True)
                return made
            case ast.Call():
                return self._object(node)
            case _:
                kind = type_of(node)
                return Value(
                    "value" if kind else "unknown", kind, self._followed(node), line, column, is_complete=bool(kind)
                )

    def _together(self, node: ast.expr, *parts: Value) -> Value:
        if any(part.kind != "dict" for part in parts):
            is_dict = any(part.kind == "dict" for part in parts) or isinstance(node, ast.Call)
            made = Value("dict", "dict", OTHER, *place_of_node(node), is_complete=False) if is_dict else unknown(node)
        else:
            made = Value("dict", "dict", Call(Name("dict"), (), ()), *place_of_node(node))
        for part in parts:
            made.add(part, certain=True)
        return made

    def _object(self, node: ast.Call) -> Value:
        """Return the value of a call of a class; an unknown one for any other call."""
        written = dotted(expression(node.func))
        if not written or written.partition(".")[0] in self._locals:
            return unknown(node)
        last = written.rpartition(".")[2]
        if not (last.lstrip("_")[:1].isupper() or is_mock(written)):
            return unknown(node, expression(node))
        made = Value("object", written, expression(node), *place_of_node(node), is_complete=not is_mock(written))
        self._keywords(made, node, certain=True)
        if written in BAGS and node.args:
            made.is_complete = False
        return made

    def _leak(self, node: ast.AST | None, *, but_name: bool = False) -> None:  # noqa: C901, PLR0912
        """Mark the values in an expression that may be changed elsewhere as incomplete.

        Args:
            node: The expression.
            but_name: Whether the node itself may be a name without being marked.
        """
        if node is None or (but_name and isinstance(node, ast.Name)):
            return
        match node:
            case ast.Name(id=name):
                if (known := self._locals.get(name)) is not None:
                    known.is_complete = False
            case ast.Attribute(value=ast.Name()) | ast.Constant():
                pass
            case ast.Subscript(value=ast.Name(), slice=inner):
                self._leak(inner)
            case ast.Compare(left=left, comparators=others):
                for each in (left, *others):
                    self._leak(each, but_name=True)
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    self._leak(value, but_name=key is None)
            case ast.BinOp(left=left, right=right):
                self._leak(left, but_name=True)
                self._leak(right, but_name=True)
            case ast.Call():
                self._leak(node.func)
                self._leak_arguments(node)
            case _:
                for child in ast.iter_child_nodes(node):
                    self._leak(child)

    def _leak_arguments(self, call: ast.Call) -> None:
        is_pure = dotted(expression(call.func)) in _PURE or (
            isinstance(call.func, ast.Attribute) and call.func.attr == "update"
        )
        for argument in call.args:
            self._leak(argument, but_name=is_pure)
        for word in call.keywords:
            self._leak(word.value, but_name=is_pure or word.arg is None)
