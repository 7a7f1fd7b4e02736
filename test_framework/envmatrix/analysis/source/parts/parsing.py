"""Parse a Python file into its parts."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterable, Iterator

from msgspec.structs import replace

from envmatrix.analysis.source.parts.file_parts import SCRIPT, TOP, UNREAD, FilePart, FileVersion, PartImport
from envmatrix.analysis.source.parts.inert import is_inert, is_inert_statement, registers
from envmatrix.analysis.source.parts.pieces import numbered, pieces_of
from envmatrix.analysis.source.parts.uses import Def, Uses, header


def parse_to_compare(source: bytes) -> FileVersion:
    """Parse one version of a file into parts with their texts, which tell whether they differ."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return UNREAD
    return parts_of(tree, ast.dump)


def parts_of(tree: ast.Module, write: Callable[[ast.AST], str] = lambda _: "") -> FileVersion:
    """Return the parts of a syntax tree; `write` makes their texts, which most uses do without."""
    try:
        return _Reader(write).version(tree)
    except (ValueError, RecursionError, MemoryError):
        return UNREAD


_COMMANDS = frozenset({"click", "typer", "rich_click"})
_READ_HINTS = frozenset(
    {
        "attr",
        "attrs",
        "beartype",
        "cattrs",
        "fastapi",
        "injector",
        "litestar",
        "msgspec",
        "pydantic",
        "pydantic_settings",
    }
    | {"sqlmodel", "strawberry", "typeguard", "typer"}
)
"""Packages that read the annotations of whoever imports them."""
_COMMAND = re.compile(r"(\w+)\.(?:command|group|callback|option|argument|pass_context|pass_obj|version_option)$")


class _Reader:
    """Parses a file into parts."""

    def __init__(self, write: Callable[[ast.AST], str]) -> None:
        self._write = write
        self._parts: dict[str, FilePart] = {}
        self._top = Uses()
        self._reads_hints = True
        self._has_commands = False
        self._typing: list[PartImport] = []
        self._lines: set[int] = set()

    def version(self, tree: ast.Module) -> FileVersion:
        modules = _imported(tree)
        self._reads_hints = not modules.isdisjoint(_READ_HINTS)
        self._top = Uses(reads_hints=self._reads_hints)
        self._has_commands = not modules.isdisjoint(_COMMANDS)
        script = [node for node in tree.body if isinstance(node, ast.If) and _is_script(node.test)]
        rest = ast.Module(list(self._rest([node for node in tree.body if node not in script], "")), [])
        if script:
            first, last = script[0].lineno, script[-1].end_lineno or script[-1].lineno
            text = "".join(map(self._write, script))
            self._keep(FilePart(SCRIPT, "function", first, ((first, last),), text), script)
        self._typing += self._top.typing
        self._lines |= self._top.lines
        self._parts[TOP] = self._top.part(FilePart(TOP, "top", 1, text=self._write(rest)))
        if self._typing and "__getattr__" in self._parts:  # its texts are the names that it lends
            for name, part in self._parts.items():
                if part.kind == "value":
                    self._parts[name] = replace(part, names=frozenset(), attributes=frozenset())
        bound = frozenset(self._top.own) | self._parts.keys()
        return FileVersion(self._parts, tuple(self._typing), frozenset(self._lines), bound)

    def _keep(
        self, part: FilePart, nodes: Iterable[ast.AST], function: Def | None = None, *, reads_hints: bool = False
    ) -> None:
        facts = Uses(reads_hints=reads_hints or self._reads_hints)
        facts.add(nodes)
        self._typing += facts.typing
        self._lines |= facts.lines
        part = facts.part(part, function)
        if (other := self._parts.get(part.name)) is not None:  # overloads, a property's setter: any of them may count
            part = replace(
                part,
                spans=other.spans + part.spans,
                text=other.text + part.text,
                header=other.header + part.header,
                names=other.names | part.names,
                hints=other.hints | part.hints,
                attributes=other.attributes | part.attributes,
                values=other.values | part.values,
                imports=other.imports + part.imports,
                computed=other.computed + part.computed,
                is_registered=other.is_registered or part.is_registered,
                pieces=other.pieces + part.pieces,
            )
        self._parts[part.name] = part

    def _rest(self, body: list[ast.stmt], prefix: str) -> Iterator[ast.stmt]:
        """Take the parts out of a body; yield the other statements, classes without their parts."""
        for node in body:
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    self._function(prefix, node)
                case ast.ClassDef():
                    yield self._class(prefix, node)
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if not prefix and is_inert(value):
                    self._value(name, node, value)
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value) if not prefix and is_inert(
                    value
                ):
                    self._value(name, node, value)
                case _:
                    if not prefix or not is_inert_statement(node):
                        self._top.add([node])
                    yield node

    def _value(self, name: str, node: ast.Assign | ast.AnnAssign, value: ast.expr) -> None:
        span = node.lineno, node.end_lineno or node.lineno
        self._keep(
            FilePart(name, "value", node.lineno, (span,), self._write(node)), [] if name == "__all__" else [value]
        )

    def _class(self, prefix: str, node: ast.ClassDef) -> ast.stmt:
        name = prefix + node.name
        span = min([node.lineno, *(each.lineno for each in node.decorator_list)]), node.end_lineno or node.lineno
        bases = [*node.bases, *(word.value for word in node.keywords)]
        self._top.add(each for each in (*bases, *node.decorator_list) if not is_inert(each))
        body = list(self._rest(node.body, f"{name}."))
        part = FilePart(
            name,
            "class",
            node.lineno,
            (span,),
            bases=tuple(ast.unparse(base) for base in node.bases),
            is_registered=any(registers(each) for each in node.decorator_list)
            or any(
                word.arg == "metaclass" and not ast.unparse(word.value).endswith("ABCMeta") for word in node.keywords
            ),
        )
        self._keep(part, [*bases, *node.decorator_list, *body], reads_hints=bool(bases or node.decorator_list))
        return ast.ClassDef(node.name, node.bases, node.keywords, body, node.decorator_list)

    def _function(self, prefix: str, node: Def) -> None:
        fixture, autouse, registered, owner = "", False, False, ""
        on_import = list(header(node))
        for decorator in node.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else None
            dotted = ast.unparse(call.func if call else decorator)
            if not dotted.endswith("fixture"):
                if self._has_commands and (command := _COMMAND.match(dotted)):
                    owner = owner if command[1] in _COMMANDS else command[1]
                    on_import = [each for each in on_import if each is not decorator]
                    on_import += [*call.args, *(word.value for word in call.keywords)] if call else []
                else:
                    registered = registered or registers(decorator)
                continue
            words = {word.arg: word.value for word in call.keywords} if call else {}
            given = words.get("name")
            fixture = str(given.value) if isinstance(given, ast.Constant) else node.name
            autouse = "autouse" in words and ast.unparse(words["autouse"]) != "False"
        self._top.add(each for each in on_import if not is_inert(each))
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        name, text = prefix + node.name, self._write(node)
        number = len(self._parts[name].spans) + 1 if name in self._parts else 1
        self._keep(
            FilePart(
                name,
                "function",
                node.lineno,
                ((first, node.end_lineno or node.lineno),),
                text,
                header="".join(map(self._write, [*node.decorator_list, node.args])),
                fixture=fixture,
                is_autouse=autouse,
                is_registered=registered,
                owner=owner,
                pieces=tuple(pieces_of(node, numbered(name, number), text, self._write)) if text else (),
            ),
            # What is returned is not annotated for this function alone: it is an argument's annotation to `Uses`.
            [*node.decorator_list, node.args, ast.arg("return", node.returns), *node.body],
            node,
            reads_hints=registered or bool(owner),
        )


def _imported(tree: ast.Module) -> frozenset[str]:
    """Return the packages that a file imports anywhere on its top level."""
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = (
        node.module or "" if isinstance(node, ast.ImportFrom) else each.name for node in imports for each in node.names
    )
    return frozenset(name.partition(".")[0] for name in names)


def _is_script(test: ast.expr) -> bool:
    match test:
        case ast.Compare(left=ast.Name(id="__name__"), ops=[ast.Eq()], comparators=[ast.Constant(value="__main__")]):
            return True
        case _:
            return False
