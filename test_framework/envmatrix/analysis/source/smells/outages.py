"""Failures of a service that a fixture swallows, or a test takes as a reason to skip."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from envmatrix.analysis.source.expressions import FunctionNode
from envmatrix.analysis.source.facts import Note
from envmatrix.analysis.source.smells.statements import (
    BROAD,
    all_statements,
    blocks_of,
    caught_by,
    is_log_call,
    last_names,
    names_in,
    note_at,
    reads_availability,
)

_OUTAGE = re.compile(r"Connect|Timeout|Network|Transport|Operational|HTTPError|URLError|RequestException|gaierror")
"""Exceptions that are raised when a service does not answer."""
_LOCAL = frozenset({"OSError", "IOError", "EnvironmentError", "error"})
"""These exceptions are about a service only if the block calls one."""
_SPEAKS = re.compile(
    r"connect|ping|request|urlopen|fetch|login|health|session|client|socket|service|server|database|redis"
)
_TIDIES = re.compile(
    r"remove|delete|drop|unlink|rmtree|close|stop|kill|terminate|shutdown|disconnect|clear|clean|reset|rollback|cancel"
    r"|truncate|flush|join|quit|release|uninstall|unregister|purge|destroy|teardown|dispose|log|print|warn"
)
_UNREACHABLE = re.compile(
    r"unreachable|not reachable|connection refused|\b(?:can(?:not|'t| not)|could(?: not|n't)) (?:connect|reach)"
    r"|\b(?:service|server|backend|database|postgres\w*|redis|clickhouse|api|auth|gateway|broker|kafka|host)\b(?![ _-](?:key|token|secret))[^.,;]{0,20}"
    r"\b(?:unavailable|not available|isn't available|not running|not up|is down|offline|not responding)",
    re.IGNORECASE,
)


def hidden_failures(node: FunctionNode) -> Iterator[Note]:
    """Yield a note for each handler before the yield of a fixture that swallows every exception (EM304)."""
    given = [inner.value for inner in ast.walk(node) if isinstance(inner, ast.Return | ast.Yield) and inner.value]
    for attempt in _set_up(node.body):
        if _only_tidies(attempt.body, names_in(given)):
            continue
        for handler in attempt.handlers:
            if caught_by(handler) & BROAD and _gives_nothing(handler.body):
                message = f"{node.name} goes on where what provides it failed: this handler swallows every exception"
                yield note_at("EM304", handler, message)


def _set_up(body: list[ast.stmt]) -> Iterator[ast.Try]:
    """Yield the attempts before the yield of a fixture; what a handler or an inner function tries is tidying up."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        yields = any(isinstance(inner, ast.Yield | ast.YieldFrom) for inner in ast.walk(statement))
        if isinstance(statement, ast.Try):
            # With an else, the failure may be what is expected; around the yield, pytest reports that nothing was yielded.
            if not statement.orelse and not yields:
                yield statement
            yield from _set_up([*statement.body, *statement.orelse])
        else:
            for below in blocks_of(statement):
                yield from _set_up(below)
        if yields:
            return


def _gives_nothing(body: Iterable[ast.stmt]) -> bool:
    for statement in body:
        match statement:
            case ast.Pass() | ast.Expr(value=ast.Constant()) | ast.Return(value=None | ast.Constant(value=None)):
                continue
            case ast.Return(value=ast.Dict(keys=[]) | ast.List(elts=[])):
                continue
            case ast.Expr(value=ast.Yield(value=None | ast.Constant(value=None))):
                continue
            case ast.Expr(value=ast.Call() as call) if is_log_call(call):
                continue
            case _:
                return False
    return True


def _only_tidies(body: list[ast.stmt], given: set[str]) -> bool:
    """Return whether a block only removes what an earlier run left, or tries an import."""
    if all(isinstance(statement, ast.Import | ast.ImportFrom | ast.Pass) for statement in body):
        return True
    statements = all_statements(body)
    if any(isinstance(statement, ast.Return) for statement in statements):
        return False
    bound = {
        inner.id
        for each in body
        for inner in ast.walk(each)
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)
    }
    return not bound & given and any(map(_TIDIES.search, _called(body)))


def skips_in_outages(
    node: FunctionNode, body: Iterable[ast.stmt], why: tuple[ast.Try, ast.ExceptHandler] | ast.If | None = None
) -> Iterator[Note]:
    """Yield a note for each skip whose reason is that a service does not answer (EM305)."""
    for statement in body:
        match statement:
            case ast.Try():
                for below in (statement.body, statement.orelse, statement.finalbody):
                    yield from skips_in_outages(node, below, why)
                for handler in statement.handlers:
                    yield from skips_in_outages(node, handler.body, (statement, handler))
            case ast.If():
                is_handled = isinstance(why, tuple)
                yield from skips_in_outages(node, statement.body, why if is_handled else statement)
                yield from skips_in_outages(node, statement.orelse, why)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                continue
            case ast.Expr(value=ast.Call() as call):
                if last_names(call.func) in {"pytest.skip", "skip", "self.skipTest"} and _is_outage(call, why):
                    message = f"{node.name} skips where a service does not answer: a run during an outage is green"
                    yield note_at("EM305", statement, message)
            case _:
                for below in blocks_of(statement):
                    yield from skips_in_outages(node, below, why)


def _is_outage(call: ast.Call, why: tuple[ast.Try, ast.ExceptHandler] | ast.If | None) -> bool:
    if why is None:
        return False
    reason = next((text for argument in call.args[:1] for text in _texts(argument)), "")
    if isinstance(why, ast.If):
        return bool(_UNREACHABLE.search(reason)) or _is_denied(why.test)
    attempt, handler = why
    caught = caught_by(handler)
    if any(_OUTAGE.search(name) for name in caught):
        return True
    speaks = any(map(_SPEAKS.search, _called(attempt.body))) or bool(_UNREACHABLE.search(reason))
    return bool(caught & (BROAD | _LOCAL)) and speaks


def _is_denied(test: ast.expr) -> bool:
    """Return whether a condition holds where a service is absent: `not services["redis_available"]`."""
    return any(
        isinstance(inner, ast.UnaryOp) and isinstance(inner.op, ast.Not) and reads_availability(inner.operand)
        for inner in ast.walk(test)
    )


def _texts(node: ast.expr) -> Iterator[str]:
    yield " ".join(
        inner.value for inner in ast.walk(node) if isinstance(inner, ast.Constant) and isinstance(inner.value, str)
    )


def _called(body: Iterable[ast.stmt]) -> Iterator[str]:
    for statement in body:
        for inner in ast.walk(statement):
            if isinstance(inner, ast.Call):
                yield last_names(inner.func).lower()
