"""What some nodes of a syntax tree use: names, attributes, imports, and modules that they put the names of together."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

from test_framework.analysis.impact.parts import Imported, Part
from test_framework.analysis.source import Import

Def = ast.FunctionDef | ast.AsyncFunctionDef


class Uses:
    """What some nodes use."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.values: set[str] = set()
        self.imports: list[Imported] = []
        self.computed: list[str | None] = []
        self.typing: list[Imported] = []
        self.lines: set[int] = set()

    def add(self, nodes: Iterable[ast.AST]) -> None:  # noqa: C901 -- one look at each kind of node
        """Take in all that stands in these nodes."""
        waiting = list(nodes)
        while waiting:
            node = waiting.pop()
            match node:
                case ast.Name(id=name):
                    self.names.add(name)
                    self.values.add(name)
                    continue
                case ast.Attribute(value=value, attr=attr):
                    self.attributes.add((value.id if isinstance(value, ast.Name) else "", attr))
                    if isinstance(value, ast.Name):
                        self.names.add(value.id)
                        continue
                case ast.Constant(value=str(text)):
                    if text.isidentifier():
                        self.attributes.add(("", text))
                    continue
                case ast.Expr(value=ast.Constant()):  # a docstring
                    continue
                case ast.Import() | ast.ImportFrom():
                    self._import(node)
                    continue
                case ast.If(test=test) if _is_typing(test):
                    inner = Uses()
                    inner.add(node.body)
                    self.typing += inner.imports
                    self.lines |= inner.lines
                    waiting += node.orelse
                    continue
                case ast.Call(func=ast.Attribute(attr="register", value=value), args=[ast.Name(id=name), *_]) if (
                    ast.unparse(value).endswith("pluginmanager")
                ):  # hooks and fixtures of it are asked by pytest, each by itself
                    self.names.add(name)
                    continue
                case ast.Call(args=words):
                    self._call(node)
                    self._run(words)
                case ast.List(elts=words) | ast.Tuple(elts=words):
                    self._run(words)
            waiting.extend(ast.iter_child_nodes(node))

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.asname or alias.name.partition(".")[0]
                self.imports.append(Imported(Import(alias.name, ""), bound))
            return
        module = "." * node.level + (node.module or "")
        for alias in node.names:
            bound = "" if alias.name == "*" else alias.asname or alias.name
            self.imports.append(Imported(Import(module, alias.name), bound))

    def _call(self, node: ast.Call) -> None:
        name = ast.unparse(node.func).rpartition(".")[2]
        if name in {"iter_modules", "walk_packages"}:
            self.computed.append(None)
        elif name in {"import_module", "__import__"} and node.args:
            self._compute(node.args[0])

    def _run(self, words: list[ast.expr]) -> None:
        """Note the module of `python -m`, where it is no literal."""
        for before, word in pairwise(words):
            if isinstance(before, ast.Constant) and before.value == "-m":
                self._compute(word)

    def _compute(self, name: ast.expr) -> None:
        match name:
            case ast.Constant() | ast.IfExp(body=ast.Constant(), orelse=ast.Constant()):
                pass
            case ast.JoinedStr(values=[ast.Constant(value=str(prefix)), *_]):
                self.computed.append(prefix)
            case ast.BinOp(left=ast.Constant(value=str(prefix))):
                self.computed.append(prefix)
            case _ if any(own in ast.unparse(name) for own in ("__package__", "__name__", "__spec__")):
                self.computed.append(".")
            case _:
                self.computed.append(None)

    def part(self, part: Part, local: frozenset[str] = frozenset()) -> Part:
        """Return a part that uses all this, its own variables left out."""
        names = self.names - local
        if part.kind != "top":  # a name that the whole file imports is used where it stands again
            names |= {each.what.attribute or each.name for each in self.imports}
        attributes = frozenset(("" if before in local else before, name) for before, name in self.attributes)
        return replace(
            part,
            names=frozenset(names),
            attributes=attributes,
            values=frozenset(self.values - local | {each.name for each in self.imports if each.name in self.values}),
            imports=tuple(self.imports),
            computed=tuple(self.computed),
        )


def own_variables(node: Def) -> frozenset[str]:
    """Return the names that mean the function's own variables in all of it."""
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    found = {each.arg for each in every if each is not None}
    shared: set[str] = set()
    waiting: list[ast.AST] = list(node.body)
    while waiting:
        match each := waiting.pop():
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                shared.update(names)
            case ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Lambda():
                continue
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                continue
        waiting.extend(ast.iter_child_nodes(each))
    # In a decorator, a default or an annotation, the same name is the module's.
    annotations = [each.annotation for each in every if each is not None]
    around = [each for each in (*header(node), *annotations, node.returns) if each is not None]
    outside = {name.id for each in around for name in ast.walk(each) if isinstance(name, ast.Name)}
    return frozenset(found - shared - outside)


def header(node: Def) -> Iterator[ast.expr]:
    """Yield what of a function is evaluated on import."""
    yield from node.decorator_list
    yield from (each for each in (*node.args.defaults, *node.args.kw_defaults) if each is not None)


def _is_typing(test: ast.expr) -> bool:
    return isinstance(test, ast.Name | ast.Attribute) and ast.unparse(test).endswith("TYPE_CHECKING")
