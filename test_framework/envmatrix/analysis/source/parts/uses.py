"""Collect what nodes of a syntax tree use: names, attributes, imports and computed module names."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from itertools import pairwise

from msgspec.structs import replace

from envmatrix.analysis.source.facts import Import
from envmatrix.analysis.source.parts.file_parts import FilePart, PartImport

Def = ast.FunctionDef | ast.AsyncFunctionDef


_SCOPES = frozenset(
    {ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda}
    | {ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp}
)
"""Nodes with variables of their own."""


class Uses:
    """The uses of some nodes."""

    def __init__(self, *, reads_hints: bool = True) -> None:
        self._reads_hints = reads_hints
        self.names: set[str] = set()
        self.hints: set[str] = set()
        """Names in annotations that nothing is known to read."""
        self.attributes: set[tuple[str, str]] = set()
        self.values: set[str] = set()
        self.own: set[str] = set()
        """Names that these nodes themselves bind."""
        self.shared: set[str] = set()
        """Names declared global or nonlocal."""
        self.imports: list[PartImport] = []
        self.computed: list[str | None] = []
        self.typing: list[PartImport] = []
        self.lines: set[int] = set()

    def add(self, nodes: Iterable[ast.AST]) -> None:
        """Add the uses of these nodes. Most of the time goes here: each node is looked at once."""
        here, inside = list(nodes), list[ast.AST]()
        for waiting, is_own in ((here, True), (inside, False)):
            while waiting:
                node = waiting.pop()
                kind = type(node)
                if kind is ast.Name:
                    self._name(node, is_own=is_own)  # type: ignore[arg-type]
                    continue
                if kind in _LOOKED_AT and self._is_done(node, waiting, is_own=is_own):
                    continue
                more = inside if kind in _SCOPES else waiting
                for value in node.__dict__.values():
                    if type(value) is list:
                        more.extend(each for each in value if isinstance(each, ast.AST))
                    elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context):
                        more.append(value)

    def _name(self, node: ast.Name, *, is_own: bool) -> None:
        if is_own and isinstance(node.ctx, ast.Store):
            self.own.add(node.id)
            return
        self.names.add(node.id)
        if not isinstance(node.ctx, ast.Store):
            self.values.add(node.id)

    def _is_done(self, node: ast.AST, waiting: list[ast.AST], *, is_own: bool) -> bool:  # noqa: C901, PLR0911, PLR0912
        """Add the uses of a node; return whether the nodes below it are done too."""
        match node:
            case ast.Attribute(value=ast.Name(id=base), attr=attr):
                self.attributes.add((base, attr))
                self.names.add(base)
                return True
            case ast.Attribute(value=ast.Attribute() as value, attr=attr):
                while isinstance(value, ast.Attribute):
                    value = value.value
                if isinstance(value, ast.Name):
                    self.attributes.add((value.id, attr))
            case ast.Constant():
                return True
            case ast.Call(func=ast.Attribute(attr="register", value=value), args=[ast.Name(id=name), *_]) if (
                ast.unparse(value).endswith("pluginmanager")
            ):  # hooks and fixtures of it are asked by pytest, each by itself
                self.names.add(name)
                return True
            case ast.Call(args=words):
                self._call(node)
                self._run(words)
            case ast.List(elts=words) | ast.Tuple(elts=words):
                self._run(words)
            case ast.arg(arg=name, annotation=hint):
                if is_own:
                    self.own.add(name)
                return hint is None or self.is_hint(hint)
            case ast.AnnAssign(target=target, annotation=hint, value=value) if self.is_hint(hint):
                waiting += [target, *([value] if value else [])]
                return True
            case ast.Expr(value=ast.Constant()):  # a docstring
                return True
            case ast.Import() | ast.ImportFrom():
                self._import(node)
                return True
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                self.shared.update(names)
            case ast.If(test=test) if _is_typing(test):
                inner = Uses()
                inner.add(node.body)
                self.typing += inner.imports
                self.lines |= inner.lines
                waiting += node.orelse
                return True
        return False

    def is_hint(self, annotation: ast.expr) -> bool:
        """Return whether an annotation is for readers and type checkers alone; note its names."""
        nodes = list(ast.walk(annotation))
        if self._reads_hints or any(isinstance(each, ast.Call) for each in nodes):
            return False
        self.hints.update(each.id for each in nodes if isinstance(each, ast.Name))
        self.hints.update(each.attr for each in nodes if isinstance(each, ast.Attribute))
        return True

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.asname or alias.name.partition(".")[0]
                self.imports.append(PartImport(Import(alias.name, ""), bound))
            return
        module = "." * node.level + (node.module or "")
        for alias in node.names:
            bound = "" if alias.name == "*" else alias.asname or alias.name
            self.imports.append(PartImport(Import(module, alias.name), bound))

    def _call(self, node: ast.Call) -> None:
        function = node.func
        name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
        if name in {"iter_modules", "walk_packages"}:
            self.computed.append(None)
        elif name in {"import_module", "__import__"} and node.args:
            self._compute(
                node.args[0], *node.args[1:2], *(word.value for word in node.keywords if word.arg == "package")
            )

    def _run(self, words: list[ast.expr]) -> None:
        """Note the module of `python -m`, where it is no literal."""
        for before, word in pairwise(words):
            if isinstance(before, ast.Constant) and before.value == "-m":
                self._compute(word)

    def _compute(self, name: ast.expr, package: ast.expr | None = None) -> None:
        match name:
            case ast.JoinedStr(values=[ast.Constant(value=str(prefix)), *_]):
                below = package.value if prefix.startswith(".") and isinstance(package, ast.Constant) else ""
                self.computed.append(f"{below!s}{prefix}")
            case ast.Constant() | ast.IfExp(body=ast.Constant(), orelse=ast.Constant()):
                pass
            case (
                ast.BinOp(left=ast.Constant(value=str(prefix)))
                | ast.Call(func=ast.Attribute(value=ast.Constant(value=str(prefix)), attr="format"))
            ):
                self.computed.append(prefix)
            case _ if any(own in ast.unparse(name) for own in ("__package__", "__name__", "__spec__")):
                self.computed.append(".")
            case _:
                self.computed.append(None)

    def part(self, part: FilePart, function: Def | None = None) -> FilePart:
        """Return a part that uses all this; a function's own variables are left out."""
        own = self._own_of(function) if function is not None else frozenset()
        names = self.names - own | self.own & self.shared
        if part.kind != "top":  # a name that the whole file imports is used where it stands again
            names |= {each.what.attribute or each.name for each in self.imports}
        attributes = frozenset((before, name) for before, name in self.attributes if before not in own)
        return replace(
            part,
            names=frozenset(names),
            hints=frozenset(self.hints),
            attributes=attributes,
            values=frozenset(self.values - own | {each.name for each in self.imports if each.name in self.values}),
            imports=tuple(self.imports),
            computed=tuple(self.computed),
        )

    def _own_of(self, function: Def) -> frozenset[str]:
        """Return the names that mean a function's own variables in all of it: not those of its decorators and defaults."""
        arguments = function.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        around = [*header(function), function.returns, *(each.annotation for each in every if each is not None)]
        outside = {
            name.id for each in around if each is not None for name in ast.walk(each) if isinstance(name, ast.Name)
        }
        return frozenset(self.own - self.shared - outside)


def header(node: Def) -> Iterator[ast.expr]:
    """Yield the expressions of a function that are evaluated on import."""
    yield from node.decorator_list
    yield from (each for each in (*node.args.defaults, *node.args.kw_defaults) if each is not None)


def _is_typing(test: ast.expr) -> bool:
    return isinstance(test, ast.Name | ast.Attribute) and ast.unparse(test).endswith("TYPE_CHECKING")


_LOOKED_AT = frozenset(
    {
        ast.AnnAssign,
        ast.Attribute,
        ast.Constant,
        ast.Call,
        ast.List,
        ast.Tuple,
        ast.arg,
        ast.Expr,
        ast.Import,
        ast.ImportFrom,
    }
    | {ast.Global, ast.Nonlocal, ast.If}
)
