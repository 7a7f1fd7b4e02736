"""Assertions that cannot fail, may not run, or fail without failing the test."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

from envmatrix.analysis.source.expressions import FunctionNode
from envmatrix.analysis.source.facts import Note
from envmatrix.analysis.source.smells.statements import (
    BROAD,
    all_statements,
    blocks_of,
    call_of,
    caught_by,
    is_log_call,
    last_names,
    names_in,
    note_at,
    reads_availability,
)

_Flow: TypeAlias = Literal["checked", "left", "through"]

_CHECKS = re.compile(
    r"assert|check|verif|expect|raises|warns|fail|ensure|valid|compar|equal|match|skip|xfail|deprecated|should|must|test"
)
"""A call with such a word in its name is a check, or ends the test as not passed."""

_DOCTEST = re.compile(r"^\s*(?:>>>|In \[\d+\]:)", re.MULTILINE)
"""A prompt of Python or IPython."""

_SETTING = re.compile(r"environ\.|getenv$|^(?:get|has)attr$|^(?:sys|platform|os)\.")
"""Calls that tell where a test runs."""


def tests_that_cannot_fail(node: FunctionNode) -> Iterator[Note]:
    """Yield a note if a test calls nothing and asserts nothing (EM308), not even in a doctest."""
    if _is_idle(node.body[-1]) and all(map(_is_idle, node.body)) and all(map(_is_mark, node.decorator_list)):
        if _DOCTEST.search(ast.get_docstring(node) or ""):
            return
        asserts = any(isinstance(statement, ast.Assert) for statement in node.body)
        what = "what it asserts is always true" if asserts else "it calls nothing and asserts nothing"
        yield note_at("EM308", node, f"{node.name} cannot fail: {what}")


def _is_idle(statement: ast.stmt) -> bool:
    match statement:
        case ast.Pass() | ast.Expr(value=ast.Constant()) | ast.Return(value=None | ast.Constant()):
            return True
        case ast.Assert(test=test):
            return _is_true(test)
        case ast.Assign(targets=targets, value=ast.Constant()):
            return all(isinstance(target, ast.Name) for target in targets)
        case _:
            return False


def _is_true(test: ast.expr) -> bool:
    match test:
        case ast.Constant(value=value):
            return bool(value)
        case ast.Tuple(elts=items):
            return bool(items)
        case _:
            return False


def _is_mark(decorator: ast.expr) -> bool:
    """Return whether a decorator is a mark of pytest: another one may do the check itself."""
    return ".mark." in f".{last_names(decorator.func if isinstance(decorator, ast.Call) else decorator)}"


def asserted_tuples(statements: Iterable[ast.stmt]) -> Iterator[Note]:
    """Yield a note for each assertion of a tuple, which is always true (EM308)."""
    for statement in statements:
        if isinstance(statement, ast.Assert) and isinstance(statement.test, ast.Tuple) and statement.test.elts:
            yield note_at("EM308", statement, "this assertion cannot fail: a tuple is always true")


def conditional_assertions(node: FunctionNode, statements: Iterable[ast.stmt]) -> Iterator[Note]:
    """Yield a note if a test passes without an assertion because of what it observes (EM306)."""
    guards: list[ast.If] = []
    if any(map(_supplies, node.decorator_list)):
        return  # a condition chooses between the cases
    if _flow(node.body, guards) == "checked" or not guards:
        return
    doubtful = _observed(statements)
    if all(_is_observation(guard.test, doubtful) for guard in guards):
        yield note_at("EM306", guards[0], f"{node.name} passes without an assertion where this condition says so")


def _flow(body: list[ast.stmt], guards: list[ast.If]) -> _Flow:  # noqa: C901, PLR0911 -- one case a statement
    """Return whether every way through statements meets a check; add the conditions under which one does not."""
    for statement in body:
        match statement:
            case ast.If():
                ways = _flow(statement.body, guards), _flow(statement.orelse, guards)
                if ways == ("checked", "checked"):
                    return "checked"
                unchecked = ast.NotEq if ways[0] == "checked" else ast.Eq
                if ways != ("through", "through") and not _chooses(statement.test, unchecked):
                    guards.append(statement)
                if "left" in ways:
                    return "left"
            case ast.With() | ast.AsyncWith():
                if any(_is_check(item.context_expr) for item in statement.items):
                    return "checked"
                if (way := _flow(statement.body, guards)) != "through":
                    return way
            case ast.Return(value=value):
                return "left" if value is None or isinstance(value, ast.Constant) else "checked"
            case _ if _checks(statement):
                return "checked"
    return "through"


def _chooses(test: ast.expr, equals: type[ast.cmpop]) -> bool:
    """Return whether what is not checked is one of several right answers, by its value or by a part of it."""
    operators = [operator for inner in ast.walk(test) if isinstance(inner, ast.Compare) for operator in inner.ops]
    return any(isinstance(each, equals | ast.In | ast.NotIn) for each in operators)


def _checks(statement: ast.stmt) -> bool:
    """Return whether a statement is a check, or a block with one in it."""
    match statement:
        case ast.Assert(test=test):
            return not _is_true(test)
        case ast.Raise():
            return True
        case ast.Expr():
            call = call_of(statement)
            return isinstance(statement.value, ast.Yield) or (call is not None and _is_check_call(call))
        case _:
            return any(_checks(inner) for inner in all_statements([statement]) if inner is not statement)


def _is_check_call(call: ast.Call) -> bool:
    """Return whether a call whose result is dropped may be a check: a helper, or one with a name like a check."""
    dotted = last_names(call.func)
    return "." not in dotted or dotted.startswith(("self.", "cls.")) or _CHECKS.search(dotted.lower()) is not None


def _is_check(context: ast.expr) -> bool:
    called = context.func if isinstance(context, ast.Call) else context
    return _CHECKS.search(last_names(called).lower()) is not None


def _observed(statements: Iterable[ast.stmt]) -> set[str]:
    """Return the names that hold what the test observes, without what the platform or the environment says."""
    observed: set[str] = set()
    settings: set[str] = set()
    for statement in statements:
        match statement:
            case ast.Assign(targets=targets, value=value):
                pass
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                targets = [target]
            case _:
                continue
        calls = [last_names(inner.func) for inner in ast.walk(value) if isinstance(inner, ast.Call)]
        if any(map(_SETTING.search, calls)):
            settings |= names_in(targets)
        elif calls or isinstance(value, ast.Await):
            observed |= names_in(targets)
    return observed - settings


def _supplies(decorator: ast.expr) -> bool:
    """Return whether a decorator runs a test for several values."""
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return last_names(called).rpartition(".")[2] in {"given", "parametrize"}


def _is_observation(test: ast.expr, observed: set[str]) -> bool:
    """Return whether a condition depends on what the test observes, or on the availability of a service."""
    if isinstance(test, ast.Call) and last_names(test.func) == "isinstance":
        return False  # a choice between what it was given
    return bool(names_in([test]) & observed) or any(reads_availability(inner) for inner in ast.walk(test))


def swallowed_assertions(body: Iterable[ast.stmt], *, in_loop: bool) -> Iterator[Note]:
    """Yield a note for each assertion whose failure is caught around it (EM307)."""
    for statement in body:
        match statement:
            case ast.Try() | ast.TryStar():
                handler = next((each for each in statement.handlers if _catches_assertions(each)), None)
                first = _first_assert(statement.body)
                retries = in_loop and any(
                    isinstance(each, ast.Break | ast.Return) for each in all_statements(statement.body)
                )
                if handler and first and _is_silent(handler.body) and not retries:
                    message = f"the failure of this assertion is swallowed by the handler on line {handler.lineno}"
                    yield note_at("EM307", first, message)
            case ast.With() if any(_suppresses(item.context_expr) for item in statement.items):
                if first := _first_assert(statement.body):
                    message = f"the failure of this assertion is suppressed by the block on line {statement.lineno}"
                    yield note_at("EM307", first, message)
        loops = in_loop or isinstance(statement, ast.For | ast.AsyncFor | ast.While)
        for below in blocks_of(statement):
            yield from swallowed_assertions(below, in_loop=loops)


def _first_assert(body: Iterable[ast.stmt]) -> ast.Assert | None:
    for statement in body:
        if isinstance(statement, ast.Assert):
            return statement
        if isinstance(statement, ast.Try | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue  # judged by itself; run elsewhere
        for below in blocks_of(statement):
            if assertion := _first_assert(below):
                return assertion
    return None


def _catches_assertions(handler: ast.ExceptHandler) -> bool:
    return bool(caught_by(handler) & {*BROAD, "AssertionError"})


def _is_silent(body: Iterable[ast.stmt]) -> bool:
    """Return whether a handler only passes, or writes what no test reads."""
    return all(
        isinstance(statement, ast.Pass)
        or (
            isinstance(statement, ast.Return) and (statement.value is None or isinstance(statement.value, ast.Constant))
        )
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        or ((call := call_of(statement)) is not None and is_log_call(call))
        for statement in body
    )


def _suppresses(context: ast.expr) -> bool:
    return (
        isinstance(context, ast.Call)
        and last_names(context.func).rpartition(".")[2] == "suppress"
        and any(last_names(each).rpartition(".")[2] in {*BROAD, "AssertionError"} for each in context.args)
    )
