"""The fields and members of classes, read from their source and that of their bases."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from envmatrix.analysis.source.facts import Call, Constant, Expression, Sequence

OURS = Path(__file__).parents[2] / "contracts" / "fields.py"
"""The shipped contracts, read like those of a project."""

_OUR_PACKAGE = "envmatrix"
_PLAIN = frozenset(["str", "int", "float", "bool", "bytes", "None", "dict", "list", "tuple", "set"])
_ALSO = {
    **dict.fromkeys(["Mapping", "MutableMapping", "Dict", "TypedDict"], "dict"),
    "List": "list",
    "Tuple": "tuple",
    "Set": "set",
}
_BASES_WITHOUT_FIELDS = frozenset(["object", "Protocol", "Generic", "ABC", "NamedTuple", "TypedDict"])
_TUPLE = frozenset(name for name in dir(tuple) if not name.startswith("_"))
_DECORATORS = frozenset(["dataclass", "define", "frozen", "attrs", "s", "final", "runtime_checkable"])
"""Decorators that add no readable member to a class."""
_DEEPEST = 20

Find: TypeAlias = Callable[[str, str], str | None]
"""Returns the path of a module by its name, as seen from a file; both paths are those of the index."""


@dataclass(frozen=True, slots=True)
class ClassFields:
    """The fields and members of a class, inherited ones included."""

    name: str
    fields: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Annotated names → the types that fit, `None` among them; empty where they are unknown."""
    members: frozenset[str] = frozenset()
    """Methods, and attributes that methods assign to `self`."""
    is_whole: bool = False
    """Whether all of its bases could be read, so that it has nothing else."""
    is_dict: bool = False
    """Whether it is a `TypedDict`, whose fields are keys."""

    def __contains__(self, name: object) -> bool:
        return name in self.fields or name in self.members


class FieldReader:
    """Reads classes from source.

    Args:
        root: The tree's root, to which the paths of files are relative.
        find: Finds modules.
    """

    def __init__(self, root: Path, find: Find) -> None:
        self._root = root
        self._find = find
        self._parsed: dict[str, ast.Module | None] = {}

    def named(self, dotted: str) -> ClassFields | None:
        """Return a class by `module:Class`, as a project's settings name it; None where it cannot be read."""
        module, _, name = dotted.partition(":")
        path = self._path("__main__.py", module)
        return self.of(path, name) if path else None

    def of(self, path: str, name: str, depth: int = 0) -> ClassFields | None:
        """Return a class that a file defines or imports; None where it cannot be read."""
        if path not in self._parsed:
            self._parsed[path] = _parse(self._root / path)
        tree = self._parsed[path]
        if tree is None or depth > _DEEPEST:
            return None
        for node in _top(tree.body):
            if isinstance(node, ast.ClassDef) and node.name == name:
                return self._class(path, node, depth)
        for module, attribute, bound in _imports(tree.body):
            if bound == name:
                source = self._path(path, module)
                return self.of(source, attribute, depth + 1) if source else None
        return None

    def _path(self, path: str, module: str) -> str | None:
        if module == _OUR_PACKAGE or module.startswith(f"{_OUR_PACKAGE}."):
            return str(OURS)
        return self._find(path, module)

    def _class(self, path: str, node: ast.ClassDef, depth: int) -> ClassFields:
        fields: dict[str, frozenset[str]] = {}
        members: set[str] = set()
        is_ours = Path(path) == OURS
        made_by = [each.func if isinstance(each, ast.Call) else each for each in node.decorator_list]
        is_whole = all(_last(each) in _DECORATORS for each in made_by)
        is_dict = False
        for base in reversed(node.bases):
            name = _last(base)
            is_dict |= name == "TypedDict"
            members |= _TUPLE if name == "NamedTuple" else set()
            if name in _BASES_WITHOUT_FIELDS or (is_ours and name == "BaseModel"):
                continue
            inherited = self.of(path, name, depth + 1) if isinstance(base, ast.Name) and name != node.name else None
            if inherited is None:
                is_whole = False
                continue
            fields |= inherited.fields
            members |= inherited.members
            is_whole &= inherited.is_whole
            is_dict |= inherited.is_dict
        for statement in _top(node.body):
            match statement:
                case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                    if not name.startswith("_") and _last(annotation) != "ClassVar":
                        fields[name] = types_of(annotation, with_classes=is_ours)
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    members.add(name)
                    members |= set(_assigned_to_self(statement))
                case ast.Assign(targets=targets):
                    members |= {target.id for target in targets if isinstance(target, ast.Name)}
        own = {each.name for each in _top(node.body) if isinstance(each, ast.FunctionDef)}
        is_whole &= is_ours or own.isdisjoint({"__getattr__", "__getattribute__"})
        is_whole &= all(is_dict and word.arg == "total" for word in node.keywords)
        return ClassFields(node.name, fields, frozenset(members), is_whole, is_dict)


def tuple_fields(call: Call) -> frozenset[str] | None:
    """Return what can be read of an object of `namedtuple(…)`; None where its fields are computed."""
    names: list[Expression] = []
    match call.arguments:
        case (_, Constant(value=str(text))):
            names += map(Constant, text.replace(",", " ").split())
        case (_, Sequence(items=items)):
            names += items
    fields = {name.value for name in names if isinstance(name, Constant) and isinstance(name.value, str)}
    is_whole = bool(names) and len(fields) == len(names) and all(word != "rename" for word, _ in call.keywords)
    return _TUPLE | fields if is_whole else None


def types_of(annotation: ast.expr, *, with_classes: bool = False) -> frozenset[str]:  # noqa: C901, PLR0911 -- one answer for each form
    """Return the types that fit an annotation; none where any may.

    Args:
        annotation: What is written.
        with_classes: Whether a name is a class, and no alias of a plain type.
    """
    match annotation:
        case ast.Constant(value=None):
            return frozenset({"None"})
        case ast.Constant(value=str(text)):
            try:
                return types_of(ast.parse(text, mode="eval").body, with_classes=with_classes)
            except SyntaxError:
                return frozenset()
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _either([left, right], with_classes=with_classes)
        case ast.Subscript(value=outer, slice=inner):
            match _last(outer), inner:
                case "Optional", _:
                    return _either([inner, ast.Constant(None)], with_classes=with_classes)
                case "Union", ast.Tuple(elts=parts):
                    return _either(parts, with_classes=with_classes)
                case "Annotated", ast.Tuple(elts=[first, *_]):
                    return types_of(first, with_classes=with_classes)
                case "Literal", ast.Tuple(elts=parts):
                    return frozenset(type(part.value).__name__ for part in parts if isinstance(part, ast.Constant))
                case "Literal", ast.Constant(value=value):
                    return frozenset({type(value).__name__})
                case _:
                    return types_of(outer, with_classes=with_classes)
        case _:
            name = _last(annotation)
            name = _ALSO.get(name, name)
            return frozenset({name}) if name in _PLAIN or (with_classes and name not in {"Any", ""}) else frozenset()


def _either(parts: list[ast.expr], *, with_classes: bool) -> frozenset[str]:
    types = [types_of(part, with_classes=with_classes) for part in parts]
    return frozenset().union(*types) if all(types) else frozenset()


def _last(node: ast.expr) -> str:
    """Return the last word of a name: `Mapping` of `typing.Mapping[str, str]`."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=value):
            return _last(value)
        case _:
            return ""


def _top(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a body, those under `if` and in `try` too."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If | ast.Try):
            yield from _top([*statement.body, *statement.orelse])


def _imports(body: list[ast.stmt]) -> Iterator[tuple[str, str, str]]:
    """Yield module, name and new name of each `from module import name`."""
    for statement in _top(body):
        if isinstance(statement, ast.ImportFrom):
            module = "." * statement.level + (statement.module or "")
            yield from ((module, alias.name, alias.asname or alias.name) for alias in statement.names)


def _assigned_to_self(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    for node in ast.walk(function):
        match node:
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                yield name


def _parse(path: Path) -> ast.Module | None:
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
