"""What the source of one function says against it as a test or a fixture, before anybody knows whether it is one.

Only statements are walked, which is cheap; an expression is looked into where the statement around it asks for that.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, TypeAlias

from envmatrix.analysis.source.facts import Note
from envmatrix.analysis.source.secrets import hosts, secrets

_Def: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
_Flow: TypeAlias = Literal["checked", "left", "through"]

_INSIDE: Mapping[type, tuple[str, ...]] = {
    kind: tuple(field for field in ("body", "orelse", "finalbody", "handlers", "cases") if field in kind._fields)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.stmt) and {"body", "cases"} & set(kind._fields)
}
"""Statements with statements inside of them, and where these are."""
_CHECKS = re.compile(
    r"assert|check|verif|expect|raises|warns|fail|ensure|valid|compar|equal|match|skip|xfail|deprecated|should|must|test"
)
"""A call with such a word in its name checks something, or ends the test in a way that is not green."""
_BROAD = frozenset({"Exception", "BaseException"})
_OUTAGE = re.compile(r"Connect|Timeout|Network|Transport|Operational|HTTPError|URLError|RequestException|gaierror")
"""What is raised where a service does not answer."""
_LOCAL = frozenset({"OSError", "IOError", "EnvironmentError", "error"})
"""Those say nothing about a service, unless something is called that speaks to one."""
_SPEAKS = re.compile(
    r"connect|ping|request|urlopen|fetch|login|health|session|client|socket|service|server|database|redis"
)
_TIDIES = re.compile(
    r"remove|delete|drop|unlink|rmtree|close|stop|kill|terminate|shutdown|disconnect|clear|clean|reset|rollback|cancel"
    r"|truncate|flush|join|quit|release|uninstall|unregister|purge|destroy|teardown|dispose|log|print|warn"
)
_UNREACHABLE = re.compile(
    r"unreachable|not reachable|connection refused|\b(?:can(?:not|'t| not)|could(?: not|n't)) (?:connect|reach)"
    r"|(?:service|server|backend|database|postgres\w*|redis|clickhouse|api|auth|gateway|broker|kafka|host)\b[^.,;]{0,20}"
    r"\b(?:unavailable|not available|isn't available|not running|not up|is down|offline|not responding)",
    re.IGNORECASE,
)


def function_notes(node: _Def, *, is_fixture: bool, skips: bool = True, suppresses: bool = True) -> tuple[Note, ...]:
    """Return what hides a failure in a function, should it be a test or a fixture.

    Args:
        node: The function.
        is_fixture: Whether it may be a fixture.
        skips: Whether the word is in it, or nobody looked.
        suppresses: Likewise.
    """
    if node.name.startswith("_") and not is_fixture:
        return ()
    kinds = _kinds(node.body)
    notes: list[Note] = []
    if not is_fixture:
        notes += _cannot_fail(node)
        if ast.Assert in kinds:
            notes += _tuple_asserts(node.body)
            if ast.If in kinds:
                notes += _conditional(node, _below(node.body))
            if ast.Try in kinds or ast.TryStar in kinds or (suppresses and ast.With in kinds):
                notes += _swallowed(node.body, in_loop=False)
    elif ast.Try in kinds:
        notes += _hidden(node, _below(node.body))
    if skips and (ast.Try in kinds or ast.If in kinds):
        notes += _skips(node, node.body)
    return tuple(notes)


def module_notes(tree: ast.Module, source: bytes) -> tuple[Note, ...]:
    """Return the secrets and the hosts that a file holds."""
    return (*secrets(source), *hosts(tree, source))


def _note(code: str, node: ast.stmt | ast.excepthandler, message: str) -> Note:
    return Note(code, node.lineno, node.col_offset + 1, message)


def _kinds(body: list[ast.stmt]) -> set[type]:
    """Return the kinds of statements, and of all below them."""
    kinds: set[type] = set()
    for statement in body:
        kind = type(statement)
        kinds.add(kind)
        if kind in _INSIDE:
            for below in _blocks(statement):
                kinds |= _kinds(below)
    return kinds


def _below(body: Iterable[ast.stmt]) -> list[ast.stmt]:
    """Return statements and all below them, those of inner functions too."""
    found: list[ast.stmt] = []
    for statement in body:
        found.append(statement)
        for below in _blocks(statement):
            found += _below(below)
    return found


def _call(statement: ast.stmt) -> ast.Call | None:
    """Return the call that a statement is, awaited or not."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    value = value.value if isinstance(value, ast.Await) else value
    return value if isinstance(value, ast.Call) else None


def _dotted(node: ast.expr | None) -> str:
    """Return a name with its dots, as far as it is one from its end: `a.b` of `a.b`, `b` of `f().b`."""
    words: list[str] = []
    while isinstance(node, ast.Attribute):
        words.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        words.append(node.id)
    return ".".join(reversed(words))


def _names(nodes: Iterable[ast.AST]) -> set[str]:
    return {inner.id for node in nodes for inner in ast.walk(node) if isinstance(inner, ast.Name)}


# A test that cannot fail.


def _cannot_fail(node: _Def) -> Iterator[Note]:
    if _is_idle(node.body[-1]) and all(map(_is_idle, node.body)) and all(map(_is_mark, node.decorator_list)):
        yield _note("EM308", node, f"{node.name} cannot fail: it calls nothing and asserts nothing")


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
    """Whether it is a mark of pytest: another decorator may do the check itself."""
    return ".mark." in f".{_dotted(decorator.func if isinstance(decorator, ast.Call) else decorator)}"


def _tuple_asserts(body: Iterable[ast.stmt]) -> Iterator[Note]:
    for statement in body:
        if isinstance(statement, ast.Assert) and isinstance(statement.test, ast.Tuple) and statement.test.elts:
            yield _note("EM308", statement, "this assertion cannot fail: a tuple is always true")
        for below in _blocks(statement):
            yield from _tuple_asserts(below)


# Assertions that may not run.


def _conditional(node: _Def, statements: Iterable[ast.stmt]) -> Iterator[Note]:
    guards: list[ast.If] = []
    if _flow(node.body, guards) == "checked" or not guards:
        return
    doubtful = _observed(node, statements)
    if all(_is_observation(guard.test, doubtful) for guard in guards):
        yield _note("EM306", guards[0], f"{node.name} passes without an assertion where this condition says so")


def _flow(body: list[ast.stmt], guards: list[ast.If]) -> _Flow:  # noqa: C901, PLR0911 -- one case a statement
    """Say whether each way through statements comes past a check; add the conditions under which one does not."""
    for statement in body:
        match statement:
            case ast.If():
                ways = {_flow(statement.body, guards), _flow(statement.orelse, guards)}
                if ways == {"checked"}:
                    return "checked"
                if "left" in ways:
                    guards.append(statement)
                    return "left"
                if "checked" in ways and not _differs(statement.test):
                    guards.append(statement)
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


def _differs(test: ast.expr) -> bool:
    """Whether a condition is a comparison that expects equality: `if text != one: assert text == other`."""
    return any(isinstance(inner, ast.NotEq) for inner in ast.walk(test))


def _checks(statement: ast.stmt) -> bool:
    """Whether a statement is a check, or a block of which we say so because it holds one."""
    match statement:
        case ast.Assert(test=test):
            return not _is_true(test)
        case ast.Raise():
            return True
        case ast.Expr():
            call = _call(statement)
            return isinstance(statement.value, ast.Yield) or (call is not None and _is_check_call(call))
        case _:
            return any(_checks(inner) for inner in _below([statement]) if inner is not statement)


def _is_check_call(call: ast.Call) -> bool:
    """Whether a call whose result is dropped may be a check: our own helper, or one that is called like one."""
    dotted = _dotted(call.func)
    return "." not in dotted or dotted.startswith(("self.", "cls.")) or _CHECKS.search(dotted.lower()) is not None


def _is_check(context: ast.expr) -> bool:
    called = context.func if isinstance(context, ast.Call) else context
    return _CHECKS.search(_dotted(called).lower()) is not None


def _observed(node: _Def, statements: Iterable[ast.stmt]) -> set[str]:
    """Return the names that a test gives to what it was answered, those that follow from a parameter's values left out."""
    given = {name for decorator in node.decorator_list for name in _supplied(decorator, node)}
    observed: set[str] = set()
    for statement in statements:
        match statement:
            case ast.Assign(targets=targets, value=value):
                pass
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                targets = [target]
            case _:
                continue
        names = _names(targets)
        if _is_answer(value) and not _names([value]) & given:
            observed |= names
        elif _names([value]) & given:
            given |= names
    return observed - given


def _is_answer(value: ast.expr) -> bool:
    return isinstance(value, ast.Await) or any(isinstance(inner, ast.Call) for inner in ast.walk(value))


def _supplied(decorator: ast.expr, node: _Def) -> Iterator[str]:
    """Yield the parameters to which a decorator gives many values, so that a condition on them chooses between cases."""
    called = _dotted(decorator.func).rpartition(".")[2] if isinstance(decorator, ast.Call) else ""
    if called == "given":
        yield from (each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs))
    elif isinstance(decorator, ast.Call) and called == "parametrize":
        for part in decorator.args[:1]:
            for inner in ast.walk(part):
                if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                    yield from (word.strip() for word in inner.value.split(","))


def _is_observation(test: ast.expr, observed: set[str]) -> bool:
    """Whether a condition depends on what the test saw, or on what a fixture says of its services."""
    if isinstance(test, ast.Call) and _dotted(test.func) == "isinstance":
        return False  # a choice between what it was given
    return bool(_names([test]) & observed) or any(_is_capability(inner) for inner in ast.walk(test))


def _is_capability(node: ast.AST) -> bool:
    """Whether it reads from a value whether a service is there: `services["redis_available"]`."""
    match node:
        case ast.Subscript(value=ast.Name(), slice=ast.Constant(value=str(key))):
            return key.endswith("_available")
        case ast.Attribute(value=ast.Name(), attr=key):
            return key.endswith("_available")
        case ast.Call(func=ast.Attribute(value=ast.Name(), attr="get"), args=[ast.Constant(value=str(key)), *_]):
            return key.endswith("_available")
        case _:
            return False


# Assertions whose failure is swallowed.


def _swallowed(body: Iterable[ast.stmt], *, in_loop: bool) -> Iterator[Note]:
    for statement in body:
        match statement:
            case ast.Try() | ast.TryStar():
                handler = next((each for each in statement.handlers if _catches_assertions(each)), None)
                first = _first_assert(statement.body)
                retries = in_loop and any(isinstance(each, ast.Break | ast.Return) for each in _below(statement.body))
                if handler and first and _is_silent(handler.body) and not retries:
                    message = f"the failure of this assertion is swallowed by the handler on line {handler.lineno}"
                    yield _note("EM307", first, message)
            case ast.With() if any(_suppresses(item.context_expr) for item in statement.items):
                if first := _first_assert(statement.body):
                    message = f"the failure of this assertion is suppressed by the block on line {statement.lineno}"
                    yield _note("EM307", first, message)
        loops = in_loop or isinstance(statement, ast.For | ast.AsyncFor | ast.While)
        for below in _blocks(statement):
            yield from _swallowed(below, in_loop=loops)


def _blocks(statement: ast.stmt) -> list[list[ast.stmt]]:
    """Return the blocks inside of a statement, those of handlers and cases last."""
    found = []
    for field in _INSIDE.get(type(statement), ()):
        inside = getattr(statement, field)
        found += [part.body for part in inside] if field in {"handlers", "cases"} else [inside]
    return found


def _first_assert(body: Iterable[ast.stmt]) -> ast.Assert | None:
    for statement in body:
        if isinstance(statement, ast.Assert):
            return statement
        if isinstance(statement, ast.Try | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue  # judged by itself; run elsewhere
        for below in _blocks(statement):
            if found := _first_assert(below):
                return found
    return None


def _caught(handler: ast.ExceptHandler) -> set[str]:
    """Return the last words of the exceptions that a handler catches; of a bare one, `BaseException`."""
    if handler.type is None:
        return {"BaseException"}
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {_dotted(each).rpartition(".")[2] for each in types}


def _catches_assertions(handler: ast.ExceptHandler) -> bool:
    return bool(_caught(handler) & {*_BROAD, "AssertionError"})


def _is_silent(body: Iterable[ast.stmt]) -> bool:
    """Whether a handler only passes, or says something that no test reads."""
    return all(
        isinstance(statement, ast.Pass)
        or (
            isinstance(statement, ast.Return) and (statement.value is None or isinstance(statement.value, ast.Constant))
        )
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        or ((call := _call(statement)) is not None and _says(call))
        for statement in body
    )


def _says(call: ast.Call) -> bool:
    dotted = _dotted(call.func)
    return dotted == "print" or dotted.split(".")[0] in {"log", "logger", "logging", "LOG", "LOGGER", "_logger"}


def _suppresses(context: ast.expr) -> bool:
    return (
        isinstance(context, ast.Call)
        and _dotted(context.func).rpartition(".")[2] == "suppress"
        and any(_dotted(each).rpartition(".")[2] in {*_BROAD, "AssertionError"} for each in context.args)
    )


# What hides that a provider failed.


def _hidden(node: _Def, statements: list[ast.stmt]) -> Iterator[Note]:
    """Find the handlers before the yield that go on as if nothing had happened; after it is tidying up, which may fail."""
    last = next((each.lineno for each in statements if _yields(each)), node.end_lineno or node.lineno)
    for statement in statements:
        if not isinstance(statement, ast.Try) or statement.lineno > last or _only_tidies(statement.body):
            continue
        for handler in statement.handlers:
            if _caught(handler) & _BROAD and _gives_nothing(handler.body):
                message = f"{node.name} goes on where what provides it failed: this handler swallows every exception"
                yield _note("EM304", handler, message)


def _yields(statement: ast.stmt) -> bool:
    value = getattr(statement, "value", None)
    return isinstance(value, ast.Yield | ast.YieldFrom)


def _gives_nothing(body: Iterable[ast.stmt]) -> bool:
    for statement in body:
        match statement:
            case ast.Pass() | ast.Expr(value=ast.Constant()) | ast.Return(value=None | ast.Constant(value=None)):
                continue
            case ast.Return(value=ast.Dict(keys=[]) | ast.List(elts=[])):
                continue
            case ast.Expr(value=ast.Yield(value=None | ast.Constant(value=None))):
                continue
            case ast.Expr(value=ast.Call() as call) if _says(call):
                continue
            case _:
                return False
    return True


def _only_tidies(body: Iterable[ast.stmt]) -> bool:
    """Whether a block only takes away what an earlier run left, or imports what may not be there."""
    for statement in _below(body):
        if isinstance(statement, ast.Import | ast.ImportFrom | ast.Pass):
            continue
        if isinstance(statement, ast.For | ast.If | ast.With | ast.AsyncWith | ast.AsyncFor):
            continue
        call = _call(statement)
        if call is None or not _TIDIES.search(_dotted(call.func).lower()):
            return False
    return True


# A skip in place of a failure.


def _skips(
    node: _Def, body: Iterable[ast.stmt], why: tuple[ast.Try, ast.ExceptHandler] | ast.If | None = None
) -> Iterator[Note]:
    for statement in body:
        match statement:
            case ast.Try():
                for below in (statement.body, statement.orelse, statement.finalbody):
                    yield from _skips(node, below, why)
                for handler in statement.handlers:
                    yield from _skips(node, handler.body, (statement, handler))
            case ast.If():
                is_handled = isinstance(why, tuple)
                yield from _skips(node, statement.body, why if is_handled else statement)
                yield from _skips(node, statement.orelse, why)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                continue
            case ast.Expr(value=ast.Call() as call):
                if _dotted(call.func) in {"pytest.skip", "skip", "self.skipTest"} and _is_outage(call, why):
                    message = f"{node.name} skips where a service does not answer: a run during an outage is green"
                    yield _note("EM305", statement, message)
            case _:
                for below in _blocks(statement):
                    yield from _skips(node, below, why)


def _is_outage(call: ast.Call, why: tuple[ast.Try, ast.ExceptHandler] | ast.If | None) -> bool:
    if why is None:
        return False
    reason = next((text for argument in call.args[:1] for text in _texts(argument)), "")
    if isinstance(why, ast.If):
        return bool(_UNREACHABLE.search(reason)) or _is_denied(why.test)
    attempt, handler = why
    caught = _caught(handler)
    if any(_OUTAGE.search(name) for name in caught):
        return True
    speaks = any(_SPEAKS.search(name.lower()) for name in _called(attempt.body)) or bool(_UNREACHABLE.search(reason))
    return bool(caught & (_BROAD | _LOCAL)) and speaks


def _is_denied(test: ast.expr) -> bool:
    """Whether a condition holds where a service is not there: `not services["redis_available"]`."""
    return any(
        isinstance(inner, ast.UnaryOp) and isinstance(inner.op, ast.Not) and _is_capability(inner.operand)
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
                yield _dotted(inner.func)
