"""Which functions of a Python file differ between two versions of it, and which others of the file use them."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

_NEUTRAL = ("staticmethod", "classmethod", "property", "contextmanager", "asynccontextmanager", "cache", "lru_cache")
_IMPLICIT = re.compile(r"pytest_|setup|teardown|setUp|tearDown|asyncSetUp|asyncTearDown|__")
"""Functions that are called without being named: by pytest, unittest or Python itself."""


@dataclass(frozen=True, slots=True)
class Part:
    """A function or method of one version."""

    name: str
    """With its classes: `TestOrders.test_total`."""
    line: int
    """Of `def`, from 1."""
    first_line: int
    """Of its first decorator."""
    end_line: int
    text: str
    """Its syntax tree: the same for another layout and other comments."""
    uses: frozenset[str]
    """Every name and attribute in it."""
    fixture: str
    """The fixture that it seems to be; empty for none."""
    is_autouse: bool
    is_registered: bool
    """Whether a decorator may hand it to somebody who calls it: `@app.get("/")`."""

    @property
    def is_test(self) -> bool:
        """Return whether it seems to be a test."""
        return self.name.rpartition(".")[2].startswith("test")

    @property
    def provides(self) -> tuple[str, bool]:
        """Return what makes another fixture of it, for those who ask by name."""
        return self.fixture, self.is_autouse


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a file: its functions, and the rest of it as one."""

    parts: Mapping[str, Part] = field(default_factory=dict)
    rest: str = ""
    rest_uses: frozenset[str] = frozenset()
    unread: bool = False

    def at(self, line: int) -> Part | None:
        """Return the function that a line is in; None for one outside of all."""
        return next((part for part in self.parts.values() if part.first_line <= line <= part.end_line), None)

    def users_of(self, names: Iterable[str]) -> Users:
        """Return what uses these functions, directly or through others of the file, themselves included."""
        found = {name for name in names if name in self.parts}
        more = set(names)
        words: set[str] = set()
        while more:
            # Who uses a class may call any method of it.
            words |= {word for name in more for word in name.split(".")}
            if any(_IMPLICIT.match(word) for word in words):
                return Users(frozenset(self.parts), rest=True)
            more = {name for name, part in self.parts.items() if name not in found and part.uses & words}
            found |= more
        return Users(frozenset(found), rest=bool(self.rest_uses & words))


@dataclass(frozen=True, slots=True)
class Users:
    """The functions of a file that use some of its names, and whether its top level does."""

    names: frozenset[str]
    rest: bool


@dataclass(frozen=True, slots=True)
class Parts:
    """What differs between two versions."""

    old: Version
    new: Version
    changed: frozenset[str]
    """Functions that are new or otherwise than before."""
    removed: frozenset[str]
    """Functions that are gone."""
    rest: bool
    """Whether anything else differs: imports, assignments, a class's bases."""

    @property
    def nothing(self) -> bool:
        """Return whether only layout and comments differ."""
        return not (self.changed or self.removed or self.rest)


def compare(old: bytes, new: bytes) -> Parts:
    """Return what differs between two versions of a file; all of it, where one of them cannot be read."""
    before, after = version(old), version(new)
    same = {name for name, part in after.parts.items() if name in before.parts and before.parts[name].text == part.text}
    return Parts(
        before,
        after,
        changed=frozenset(after.parts.keys() - same),
        removed=frozenset(before.parts.keys() - after.parts.keys()),
        rest=before.unread or after.unread or before.rest != after.rest,
    )


def version(source: bytes) -> Version:
    """Read one version of a file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
        parts: dict[str, Part] = {}
        rest = ast.Module(list(_rest(tree.body, "", parts)), [])
        return Version(parts, ast.dump(rest), frozenset(_names(rest)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Version(unread=True)


def _rest(body: list[ast.stmt], prefix: str, parts: dict[str, Part]) -> Iterator[ast.stmt]:
    """Take the functions out of a body; yield what stays, classes as shells."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            name = prefix + node.name
            if name in parts:  # overloads, a property's setter: which one counts is not ours to say
                yield node
            else:
                parts[name] = _part(name, node)
        elif isinstance(node, ast.ClassDef):
            node.body = list(_rest(node.body, f"{prefix}{node.name}.", parts))
            yield node
        else:
            yield node


def _part(name: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Part:
    fixture, autouse, registered = "", False, False
    for decorator in node.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else None
        dotted = ast.unparse(call.func if call else decorator)
        if not dotted.endswith("fixture"):
            registered = registered or not (dotted.endswith(_NEUTRAL) or ".mark." in dotted)
        else:
            words = {word.arg: word.value for word in call.keywords} if call else {}
            given = words.get("name")
            fixture = str(given.value) if isinstance(given, ast.Constant) else node.name
            autouse = "autouse" in words and ast.unparse(words["autouse"]) != "False"
    return Part(
        name,
        node.lineno,
        min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]),
        node.end_lineno or node.lineno,
        ast.dump(node),
        frozenset(_names(node)),
        fixture,
        autouse,
        registered,
    )


def _names(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            yield inner.id
        elif isinstance(inner, ast.Attribute):
            yield inner.attr
