"""Take a fixture out of a file's source, put it in, or import it; the rest stays as it is. Needs libcst."""

from __future__ import annotations

import symtable
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import libcst as cst
from libcst.codemod import CodemodContext
from libcst.codemod.visitors import RemoveImportsVisitor
from libcst.metadata import MetadataWrapper, PositionProvider

from envmatrix.analysis.source.facts import Import
from envmatrix.exceptions import CannotFixError

_Statement: TypeAlias = cst.SimpleStatementLine | cst.BaseCompoundStatement

_NEW = '"""Fixtures that the tests of this directory and below share."""\n'
_BLANK = [cst.EmptyLine(indent=False)]
_FUTURE = "from __future__ import annotations\n"


@dataclass(frozen=True, slots=True)
class Taken:
    """A function taken out of a file."""

    rest: str
    """The file without it."""
    function: cst.FunctionDef
    names: frozenset[str]
    """The names of its module that it uses, builtins included."""
    decorators: str
    """Their source."""
    is_lazy: bool
    """Whether it has annotations that its module does not evaluate."""

    @property
    def name(self) -> str:
        """The function's own name."""
        return self.function.name.value

    @property
    def is_used_by_rest(self) -> bool:
        """Return whether the rest of its file uses, exports or redefines its name."""
        free, bound = _globals(self.rest)
        return self.name in free | bound or ("__all__" in bound and f"{self.name!r}" in self.rest.replace('"', "'"))


def take(source: str, line: int) -> Taken | None:
    """Take out the function whose `def` is on a line; return None if there is none at the top level."""
    module = _parsed(source)
    places = MetadataWrapper(module, unsafe_skip_copy=True).resolve(PositionProvider)
    for statement in module.body:
        if isinstance(statement, cst.FunctionDef) and places[statement.name].start.line == line:
            others = [each for each in module.body if each is not statement]
            rest = module.with_changes(body=others, has_trailing_newline=bool(others))
            free, _ = _globals(module.code_for_node(statement))
            decorators = "".join(module.code_for_node(each) for each in statement.decorators)
            return Taken(rest.code, statement, free, decorators, _is_lazy(module) and _is_annotated(statement))
    return None


def put(source: str, taken: Taken, imports: Iterable[tuple[str, Import]]) -> str:
    """Append a function to a file, and add the imports that it needs, each by the name that it binds.

    Raises:
        CannotFixError: the file evaluates annotations, and that which the function was taken from does not.
    """
    if taken.is_lazy and not source.strip():
        source = f"{_NEW}\n{_FUTURE}"
    module = _parsed(with_imports(source, imports))
    if taken.is_lazy and not _is_lazy(module):
        raise CannotFixError(f"its file has {_FUTURE.strip()!r} and the other one has not: move it by hand")
    comments = [line for line in taken.function.leading_lines if line.comment]
    function = taken.function.with_changes(leading_lines=[*_BLANK, *_BLANK, *comments])
    return module.with_changes(body=[*module.body, function], has_trailing_newline=True).code


def with_imports(source: str, imports: Iterable[tuple[str, Import]], comment: str = "") -> str:
    """Add imports to those that a file has, in their order; a file that is empty gets a docstring first."""
    module = _parsed(source if source.strip() else _NEW)
    body = list(module.body)
    for name, each in imports:
        _insert(body, _after_docstring(module), cst.parse_statement(f"{_written(name, each)}{comment}\n"))
    return module.with_changes(body=body).code


def _insert(body: list[_Statement], first: int, new: _Statement) -> None:
    """Insert an import, sorted, into the block of imports that begins at `first`."""
    end = first
    while end < len(body) and _is_import(body[end]):
        end += 1
    at = next((index for index in range(first, end) if _order(body[index]) > _order(new)), end)
    follows = at > first and _order(body[at - 1])[0] == _order(new)[0]
    if at < end and not follows and _order(body[at])[0] == _order(new)[0]:  # it leads its group from now on
        new = new.with_changes(leading_lines=_space(body[at]))
        body[at] = body[at].with_changes(leading_lines=[line for line in body[at].leading_lines if line.comment])
    else:
        if at and not follows:
            new = new.with_changes(leading_lines=_BLANK)
        if at < len(body) and not _space(body[at]):
            body[at] = body[at].with_changes(leading_lines=[*_BLANK, *body[at].leading_lines])
    body.insert(at, new)


def without_unused(source: str, imports: Iterable[tuple[str, Import]]) -> str:
    """Remove those of some imports that a file no longer uses; relative imports stay."""
    context = CodemodContext()
    for name, each in imports:
        if not each.module.startswith("."):
            alias = name if name not in {each.attribute, each.module.partition(".")[0]} else None
            RemoveImportsVisitor.remove_unused_import(context, each.module, each.attribute or None, alias)
    before = _parsed(source)
    after = RemoveImportsVisitor(context).transform_module(before)
    first = _after_docstring(before)
    if first and len(after.body) > 1 and not _space(after.body[1]):  # it went with the first import
        body = [after.body[0], after.body[1].with_changes(leading_lines=_space(before.body[1])), *after.body[2:]]
        after = after.with_changes(body=body)
    return after.code if after.code.strip() else ""


def _parsed(source: str) -> cst.Module:
    try:
        return cst.parse_module(source)
    except cst.ParserSyntaxError as error:
        raise CannotFixError(f"libcst cannot read line {error.raw_line} of its file: mend it by hand") from None


def _globals(source: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names that source uses of its module without binding them at its top level, and those it binds there."""
    top = symtable.symtable(source, "<source>", "exec")
    bound = frozenset(each.get_name() for each in top.get_symbols() if each.is_assigned() or each.is_imported())
    used = {each.get_name() for each in top.get_symbols() if each.is_referenced()}
    waiting = list(top.get_children())
    while waiting:
        table = waiting.pop()
        waiting += table.get_children()
        used |= {each.get_name() for each in table.get_symbols() if each.is_global()}
    return frozenset(used) - bound, bound


def _written(name: str, each: Import) -> str:
    if each.attribute:
        as_name = "" if name == each.attribute else f" as {name}"
        return f"from {each.module} import {each.attribute}{as_name}"
    return f"import {each.module}" if name == each.module.partition(".")[0] else f"import {each.module} as {name}"


def _order(statement: _Statement) -> tuple[int, bool, str]:
    """Return the sort key of an import: `__future__`, standard library, others, relative; then its name."""
    word, module = cst.Module([]).code_for_node(statement.with_changes(leading_lines=[])).split()[:2]
    head = module.rstrip(",;").partition(".")[0]
    groups = (head == "__future__", head in sys.stdlib_module_names, head != "")
    return groups.index(True) if any(groups) else len(groups), word == "from", module


def _is_import(statement: _Statement) -> bool:
    return isinstance(statement, cst.SimpleStatementLine) and isinstance(statement.body[0], cst.Import | cst.ImportFrom)


def _is_future(statement: _Statement) -> bool:
    return cst.Module([]).code_for_node(statement).strip().startswith("from __future__ ")


def _is_lazy(module: cst.Module) -> bool:
    return any(_is_future(each) and "annotations" in module.code_for_node(each) for each in module.body)


def _is_annotated(function: cst.FunctionDef) -> bool:
    parameters = function.params
    each = [*parameters.posonly_params, *parameters.params, *parameters.kwonly_params]
    return function.returns is not None or any(parameter.annotation for parameter in each)


def _after_docstring(module: cst.Module) -> int:
    return 1 if module.get_docstring() is not None else 0


def _space(statement: _Statement) -> list[cst.EmptyLine]:
    return [line for line in statement.leading_lines if line.comment is None]
