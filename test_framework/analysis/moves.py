"""Edits of one file's source that keep all the rest of it: take a fixture out, put it in, import one. Needs libcst."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import libcst as cst
from libcst.codemod import CodemodContext
from libcst.codemod.visitors import RemoveImportsVisitor
from libcst.metadata import MetadataWrapper, PositionProvider

from test_framework.analysis.source import Import

_NEW = '"""Fixtures that the tests of this directory and below share."""\n'


@dataclass(frozen=True, slots=True)
class Taken:
    """A function that was taken out of a file."""

    rest: str
    """The file without it."""
    function: cst.FunctionDef
    names: frozenset[str]
    """Every name that its source uses; some of them may be local."""


def take(source: str, line: int) -> Taken | None:
    """Take the function out whose `def` is on a line; None where no function of the top level is there."""
    module = cst.parse_module(source)
    places = MetadataWrapper(module, unsafe_skip_copy=True).resolve(PositionProvider)
    for statement in module.body:
        if isinstance(statement, cst.FunctionDef) and places[statement.name].start.line == line:
            names = _Names()
            statement.visit(names)
            rest = module.with_changes(body=[each for each in module.body if each is not statement])
            return Taken(rest.code, statement, frozenset(names.found - names.own - {statement.name.value}))
    return None


def put(source: str, function: cst.FunctionDef, imports: Iterable[tuple[str, Import]]) -> str:
    """Append a function to a file, and add the imports that it needs, each by the name that it binds."""
    module = cst.parse_module(with_imports(source, imports))
    comments = [line for line in function.leading_lines if line.comment]
    function = function.with_changes(
        leading_lines=[cst.EmptyLine(indent=False), cst.EmptyLine(indent=False), *comments]
    )
    return module.with_changes(body=[*module.body, function]).code


def with_imports(source: str, imports: Iterable[tuple[str, Import]], comment: str = "") -> str:
    """Add imports below those that a file has; a file that is empty gets a docstring first."""
    written = [f"{_written(name, each)}{comment}\n" for name, each in imports]
    if not written:
        return source or _NEW
    module = cst.parse_module(source or _NEW)
    after = max(
        (index + 1 for index, each in enumerate(module.body) if _is_import(each)), default=_after_docstring(module)
    )
    added: Sequence[cst.BaseStatement] = [cst.parse_statement(text) for text in written]
    if after and not _is_import(module.body[after - 1]):
        added = [_with_space(added[0]), *added[1:]]
    return module.with_changes(body=[*module.body[:after], *added, *module.body[after:]]).code


def without_unused(source: str, imports: Iterable[tuple[str, Import]]) -> str:
    """Take those of some imports out that nothing in a file uses any more; relative ones are left."""
    context = CodemodContext()
    for name, each in imports:
        if not each.module.startswith("."):
            alias = name if name not in {each.attribute, each.module.partition(".")[0]} else None
            RemoveImportsVisitor.remove_unused_import(context, each.module, each.attribute or None, alias)
    return RemoveImportsVisitor(context).transform_module(cst.parse_module(source)).code


def _written(name: str, each: Import) -> str:
    if each.attribute:
        as_name = "" if name == each.attribute else f" as {name}"
        return f"from {each.module} import {each.attribute}{as_name}"
    return f"import {each.module}" if name == each.module.partition(".")[0] else f"import {each.module} as {name}"


def _is_import(statement: cst.CSTNode) -> bool:
    return isinstance(statement, cst.SimpleStatementLine) and isinstance(statement.body[0], cst.Import | cst.ImportFrom)


def _after_docstring(module: cst.Module) -> int:
    return 1 if module.get_docstring() is not None else 0


def _with_space(statement: cst.BaseStatement) -> cst.BaseStatement:
    return statement.with_changes(leading_lines=[cst.EmptyLine(indent=False)])


class _Names(cst.CSTVisitor):
    def __init__(self) -> None:
        self.found: set[str] = set()
        self.own: set[str] = set()
        """Parameters, of inner functions too."""

    def visit_Name(self, node: cst.Name) -> None:  # noqa: N802 -- libcst calls it by the node's name
        self.found.add(node.value)

    def visit_Attribute(self, node: cst.Attribute) -> bool:  # noqa: N802
        node.value.visit(self)
        return False

    def visit_Arg(self, node: cst.Arg) -> bool:  # noqa: N802
        node.value.visit(self)
        return False

    def visit_Param(self, node: cst.Param) -> None:  # noqa: N802
        self.own.add(node.name.value)
