"""Parse the bytes of one Python file into facts. Nothing is imported, and no source makes it raise."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress

from envmatrix.analysis.source.asks import asks_of
from envmatrix.analysis.source.expressions import OTHER, FunctionNode, dotted, expression, joined
from envmatrix.analysis.source.facts import (
    FIXTURES_AND_TESTS,
    Assigned,
    Binding,
    Class,
    Constant,
    Deleted,
    Expression,
    Function,
    Import,
    Module,
    Name,
    Parameter,
    Sequence,
    Unread,
    Wanted,
)
from envmatrix.analysis.source.hosts import hosts
from envmatrix.analysis.source.parts.file_parts import encode
from envmatrix.analysis.source.parts.parsing import parts_of
from envmatrix.analysis.source.reads import reads_of
from envmatrix.analysis.source.shapes import shape_of
from envmatrix.analysis.source.smells.functions import function_notes
from envmatrix.analysis.source.smells.statements import all_statements
from envmatrix.analysis.source.word_lines import WordLines

_NOQA = re.compile(rb"#\s*noqa\b(?::\s*([A-Z]+[0-9]+(?:[,\s]+[A-Z]+[0-9]+)*))?", re.IGNORECASE)
_DYNAMIC = (b"globals", b"setattr", b"exec", b"vars", b"locals", b"__getattr__")
_SURROGATE = re.compile(rb"\\(?:u|U0000)[dD][89a-fA-F]")
_IMPORTING = frozenset({ast.Import, ast.ImportFrom})
_DEFINING = frozenset({ast.FunctionDef, ast.AsyncFunctionDef})
_Bound = Function | Class | Import | Assigned | Deleted


def parse(source: bytes, wanted: Wanted = FIXTURES_AND_TESTS) -> Module:
    """Return the facts of a file; one that cannot be parsed says why."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of invalid escapes, which are not our business
            tree = ast.parse(source)
        if _SURROGATE.search(source):
            _escape_surrogates(tree.body, source)
        return _Parser(source, wanted).module(tree)
    except SyntaxError as error:
        return Module(unread=Unread(error.msg, error.lineno or 1))
    except RecursionError:
        return Module(unread=Unread("its expressions are nested too deeply"))
    except (ValueError, MemoryError) as error:
        return Module(unread=Unread(str(error) or type(error).__name__))


class _Parser:
    def __init__(self, source: bytes, wanted: Wanted) -> None:
        self._source = source
        self._contracts = frozenset(name for name in wanted.contracts if name.encode() in source)
        self._wants_parts = wanted.parts
        self._words = WordLines(source)
        self._imports: list[Import] = []

    def module(self, tree: ast.Module) -> Module:
        return Module(
            body=tuple(self._bindings(tree.body, certain=True)),
            imports=tuple(dict.fromkeys(self._imports)),
            notes=hosts(tree, self._source),
            noqa=tuple(_noqa(self._source)),
            registers=tuple(self._registered(tree.body)),
            is_dynamic=any(word in self._source for word in _DYNAMIC) and _is_dynamic(tree.body),
            parts=encode(parts_of(tree)) if self._wants_parts else b"",
        )

    def _bindings(self, body: list[ast.stmt], *, certain: bool) -> list[Binding]:
        """Return the bindings of statements and of those inside of them; conditional ones are not certain."""
        bindings: list[Binding] = []
        for node in body:
            bound: Iterable[tuple[str, _Bound]] = ()
            line, column = node.lineno, node.col_offset + 1
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    bindings.append(Binding(node.name, line, column, self._function(node), certain))
                    continue
                case ast.ClassDef():
                    bindings.append(Binding(node.name, line, column, self._class(node), certain))
                    continue
                case ast.Expr(value=ast.Constant()):
                    continue
                case ast.Import() | ast.ImportFrom():
                    bound = imported = list(_imports(node))
                    self._imports += [each for _, each in imported]
                case ast.Delete(targets=targets):
                    bound = [(target.id, Deleted()) for target in targets if isinstance(target, ast.Name)]
                case _:
                    bound = _assigned(node)
            bindings += [Binding(name, line, column, to, certain) for name, to in bound]
            if isinstance(node, ast.If) and _never(node.test):
                self._note_imports(node.body)
            for inner, always in _blocks(node):
                bindings += self._bindings(inner, certain=certain and always)
        return bindings

    def _class(self, node: ast.ClassDef) -> Class:
        return Class(
            name=node.name,
            first_line=node.decorator_list[0].lineno if node.decorator_list else node.lineno,
            line=node.lineno,
            column=node.col_offset + 1,
            end_line=node.end_lineno or node.lineno,
            bases=tuple(expression(base) for base in (*node.bases, *(word.value for word in node.keywords))),
            decorators=tuple(expression(decorator) for decorator in node.decorator_list),
            document=_document(node),
            body=tuple(self._bindings(node.body, certain=True)),
        )

    def _function(self, node: FunctionNode) -> Function:
        decorators = tuple([expression(decorator) for decorator in node.decorator_list])
        may_be_fixture = any("fixture" in dotted(decorator) for decorator in decorators)
        parameters = _parameters(node.args)
        statements = all_statements(node.body)
        kinds = set(map(type, statements))
        if not kinds.isdisjoint(_IMPORTING):
            self._note_imports(node.body)
        is_reading = self._contracts and any(parameter.name in self._contracts for parameter in parameters)
        last = node.body[-1]
        return Function(
            name=node.name,
            first_line=node.decorator_list[0].lineno if decorators else node.lineno,
            line=node.lineno,
            column=node.col_offset + 1,
            end_line=node.end_lineno or node.lineno,
            parameters=parameters,
            decorators=decorators,
            document=_document(node),
            asks=tuple(asks_of(node.body)) if self._words.in_(node, b"getfixturevalue") else (),
            notes=function_notes(
                node, statements, is_fixture=may_be_fixture, has_word=lambda word: self._words.in_(node, word)
            ),
            reads=reads_of(node, self._contracts, self._words) if is_reading else (),
            shape=shape_of(node, may_yield=self._words.in_(node, b"yield")) if may_be_fixture else None,
            is_wrapper=not kinds.isdisjoint(_DEFINING) and self._is_wrapper(node),
            parametrizes=tuple(_parametrized(node)) if node.name == "pytest_generate_tests" else (),
            returns=expression(last.value)
            if isinstance(last, ast.Return) and last.value and self._words.in_(node, b"fixture")
            else None,
            is_async=isinstance(node, ast.AsyncFunctionDef),
        )

    def _is_wrapper(self, node: FunctionNode) -> bool:
        if b"__signature__" in self._source or not self._words.in_(node, b"wraps"):
            return False
        inside = [inner for inner in ast.walk(node) if isinstance(inner, FunctionNode) and inner is not node]
        names = [dotted(expression(decorator)) for inner in inside for decorator in inner.decorator_list]
        return any(name.rpartition(".")[2] == "wraps" for name in names)

    def _registered(self, body: list[ast.stmt]) -> Iterator[str]:
        if b"pluginmanager" not in self._source:
            return
        for node in body:
            is_calling = self._words.in_(node, b"register(") or self._words.in_(node, b"import_plugin(")
            for inner in ast.walk(node) if is_calling else ():
                match inner:
                    case ast.Call(func=ast.Attribute(attr="register"), args=[plugin, *_]):
                        if name := dotted(expression(plugin)):
                            yield name
                    case ast.Call(func=ast.Attribute(attr="import_plugin"), args=[ast.Constant(value=str(name)), *_]):
                        yield name

    def _note_imports(self, body: list[ast.stmt]) -> None:
        """Record the imports inside of statements, which bind no name of the module."""
        for node in body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                self._imports.extend(found for _, found in _imports(node))
                continue
            inside = node.__dict__
            for field in ("body", "orelse", "finalbody"):
                if type(below := inside.get(field)) is list:
                    self._note_imports(below)
            for field in ("handlers", "cases"):
                for part in inside.get(field, ()):
                    self._note_imports(part.body)


def _assigned(node: ast.stmt) -> Iterator[tuple[str, Assigned]]:
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                if isinstance(target, ast.Attribute) and target.attr == "__test__":
                    yield dotted(expression(target)), Assigned(expression(value))
                yield from _pairs(target, value)
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, Assigned(expression(value))
        case ast.AugAssign(target=ast.Name(id=name), value=value):
            yield name, Assigned(joined(Name(name), expression(value)))
        case ast.Expr(
            value=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="extend" | "append" as method), args=[item])
        ):  # of __all__ and pytestmark
            more = expression(item)
            yield name, Assigned(joined(Name(name), more if method == "extend" else Sequence((more,))))
        case ast.For(target=target) | ast.AsyncFor(target=target):
            yield from _pairs(target, None)


def _blocks(node: ast.stmt) -> Iterator[tuple[list[ast.stmt], bool]]:
    """Yield the blocks of a statement that bind names of the module, and whether each always runs."""
    match node:
        case ast.If():
            never = _never(node.test)
            yield [] if never else node.body, False
            yield node.orelse, never
        case ast.Try() | ast.TryStar():
            for block in (node.body, *(handler.body for handler in node.handlers), node.orelse):
                yield block, False
            yield node.finalbody, True
        case ast.With() | ast.AsyncWith():
            yield node.body, True
        case ast.For() | ast.AsyncFor() | ast.While():
            yield [*node.body, *node.orelse], False
        case ast.Match():
            for choice in node.cases:
                yield choice.body, False


def _imports(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Import]]:
    """Yield each name that an import binds: of `import a.b`, which binds `a`, the module is still `a.b`."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.asname or alias.name.partition(".")[0], Import(alias.name, "")
    else:
        module = "." * node.level + (node.module or "")
        for alias in node.names:
            yield alias.asname or alias.name, Import(module, alias.name)


def _pairs(target: ast.expr, value: ast.expr | None) -> Iterator[tuple[str, Assigned]]:
    match target, value:
        case ast.Name(id=name), _:
            yield name, Assigned(OTHER if value is None else expression(value))
        case ((ast.Tuple(elts=names) | ast.List(elts=names)), (ast.Tuple(elts=values) | ast.List(elts=values))):
            same = len(names) == len(values)
            for index, inner in enumerate(names):
                yield from _pairs(inner, values[index] if same else None)
        case ((ast.Tuple(elts=names) | ast.List(elts=names)), _):
            for inner in names:
                yield from _pairs(inner, None)
        case ast.Starred(value=inner), _:
            yield from _pairs(inner, None)


def _parameters(arguments: ast.arguments) -> tuple[Parameter, ...]:
    only = len(arguments.posonlyargs)
    positional = [*arguments.posonlyargs, *arguments.args] if only else arguments.args
    without = len(positional) - len(arguments.defaults)
    parameters = [
        Parameter(node.arg, node.lineno, node.col_offset + 1, index >= without, index < only)
        for index, node in enumerate(positional)
    ]
    for node, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        parameters.append(Parameter(node.arg, node.lineno, node.col_offset + 1, default is not None, False))
    return tuple(parameters)


def _document(node: FunctionNode | ast.ClassDef) -> str:
    match node.body:
        case [ast.Expr(value=ast.Constant(value=str(text))), *_]:
            lines = text.strip().splitlines()
            return lines[0].strip().encode(errors="replace").decode() if lines else ""
        case _:
            return ""


def _escape_surrogates(body: list[ast.stmt], source: bytes) -> None:
    """Escape lone surrogates in texts, which cannot be encoded: facts are stored as bytes."""
    text = source.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines = [text.count(b"\n", 0, match.start()) + 1 for match in _SURROGATE.finditer(text)]
    first = 1  # where the statement before ended, for the sake of decorators
    for statement in body:
        last = statement.end_lineno or statement.lineno
        for node in ast.walk(statement) if any(first <= line <= last for line in lines) else ():
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                node.value = node.value.encode(errors="backslashreplace").decode()
        first = last


def _parametrized(node: FunctionNode) -> Iterator[str]:
    for inner in ast.walk(node):
        match inner:
            case ast.Call(func=ast.Attribute(attr="parametrize"), args=arguments, keywords=keywords):
                named = arguments[:1] or [word.value for word in keywords if word.arg == "argnames"]
                yield from argument_names(expression(named[0])) if named else ("",)


def argument_names(names: Expression) -> tuple[str, ...]:
    """Return the argument names of `parametrize`, given as "a, b" or a sequence; an empty one is computed."""
    match names:
        case Constant(value=str(text)):
            return tuple(word for part in text.split(",") if (word := part.strip()))
        case Sequence(items=items):
            return tuple(
                item.value if isinstance(item, Constant) and isinstance(item.value, str) else "" for item in items
            )
        case _:
            return ("",)


def _never(test: ast.expr) -> bool:
    """Return whether a condition is false when pytest imports the file."""
    match test:
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING") | ast.Constant(value=False | 0):
            return True
        case ast.Compare(left=ast.Name(id="__name__"), ops=[ast.Eq()], comparators=[ast.Constant(value="__main__")]):
            return True
        case _:
            return False


def _is_dynamic(body: list[ast.stmt]) -> bool:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if node.name == "__getattr__":
                return True
            continue
        for inner in ast.walk(node):
            match inner:
                case ast.Call(func=ast.Name(id="globals" | "locals" | "vars" | "exec" | "setattr")):
                    return True
    return False


def _noqa(source: bytes) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the lines whose `noqa` comment suppresses all rules or some of ours, and the codes that it names."""
    if b"noqa" not in source and b"NOQA" not in source:
        return
    codes_by_line: dict[int, tuple[str, ...]] = {}
    for match in _NOQA.finditer(source):
        codes = (match[1] or b"").decode().upper().replace(",", " ").split()
        if not codes or any(code.startswith("EM") for code in codes):
            codes_by_line[source.count(b"\n", 0, match.start()) + 1] = tuple(codes)
    if codes_by_line:
        comments = {token.start[0] for token in _tokens(source) if token.type == tokenize.COMMENT}
        yield from ((line, codes) for line, codes in codes_by_line.items() if line in comments)


def _tokens(source: bytes) -> Iterator[tokenize.TokenInfo]:
    with suppress(tokenize.TokenError, SyntaxError):  # the parser had no objection: what came before is enough
        yield from tokenize.tokenize(io.BytesIO(source).readline)
