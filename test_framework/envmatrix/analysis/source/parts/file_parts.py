"""The parts of a Python file, each with its uses: the top level, functions, classes, values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Literal, TypeAlias

import msgspec

from envmatrix.analysis.source.facts import Fact, Import

TOP = ""
"""The name of the part that runs when the file is imported."""
SCRIPT = 'if __name__ == "__main__"'
"""The name of the part that runs when the file is run."""

PartKind: TypeAlias = Literal["top", "function", "class", "value"]
_IMPLICIT = re.compile(
    r"pytest_|(?:setup|teardown)(?:_module|_function)?$|setUpModule$|tearDownModule$|__|pytestmark$|collect_ignore"
)
"""Names that pytest, unittest or Python itself calls or reads."""


class PartImport(Fact, frozen=True):
    """One import of a part."""

    what: Import
    name: str
    """The name that it binds; empty for `*`."""


class Piece(Fact, frozen=True):
    """A function of a part: one of several of its name, or one inside of another."""

    name: str
    """Names with those around them: `cached.<locals>.wrapper`; the second of one name is `Order.total#2`."""
    span: tuple[int, int]
    """First line, that of a decorator too, and last."""
    text: str
    """Its syntax tree, without the bodies of the functions inside of it."""

    def is_in(self, name: str) -> bool:
        """Return whether it is the piece of that name, or is inside of that."""
        return self.name == name or self.name.startswith(f"{name}.<locals>.")


class FilePart(Fact, frozen=True):
    """A part of a file that can differ, and be used, by itself."""

    name: str
    """With its classes: `TestOrders.test_total`."""
    kind: PartKind
    line: int
    """Of `def`, `class` or the name, from 1."""
    spans: tuple[tuple[int, int], ...] = ()
    """First line, that of a decorator too, and last: several, where several have one name."""
    text: str = ""
    """Its syntax tree: the same for another layout and other comments."""
    header: str = ""
    """Of a function, the syntax trees of its decorators and arguments, which run or register on import."""
    names: frozenset[str] = frozenset()
    """Every name in it, but those of its own variables."""
    hints: frozenset[str] = frozenset()
    """Names in its annotations, where nothing is known to read these."""
    attributes: frozenset[tuple[str, str]] = frozenset()
    """Every attribute in it, after the name that the chain of its dots begins with; none of its own variables'."""
    values: frozenset[str] = frozenset()
    """Names that are not before a dot: a module that is passed on may be used in any way."""
    imports: tuple[PartImport, ...] = ()
    computed: tuple[str | None, ...] = ()
    """Prefixes of computed module names: a dot for the file's own package, None if unknown."""
    fixture: str = ""
    """The fixture that it seems to be; empty for none."""
    is_autouse: bool = False
    is_registered: bool = False
    """Whether a decorator may register it for a caller: `@app.get("/")`."""
    owner: str = ""
    """The click or typer application, of the same file, that a decorator adds it to: who runs it names that."""
    bases: tuple[str, ...] = ()
    """Of a class, as they are written."""
    pieces: tuple[Piece, ...] = ()
    """Of a function, where texts are written: itself, and the functions inside of it."""

    @property
    def is_test(self) -> bool:
        """Return whether it seems to be a test."""
        return self.kind == "function" and self.name.rpartition(".")[2].startswith("test")

    @property
    def is_implicit(self) -> bool:
        """Return whether pytest, unittest or Python uses it without a name in source."""
        return self.kind in {"function", "value"} and _IMPLICIT.match(self.name) is not None

    def piece_at(self, line: int) -> str:
        """Return the name of the innermost piece that a line is in."""
        around = [each for each in self.pieces if each.span[0] <= line <= each.span[1]]
        return min(around, key=lambda each: each.span[1] - each.span[0]).name if around else self.name

    @property
    def digest(self) -> str:
        """Return a digest of its syntax tree."""
        return blake2b(self.text.encode(errors="backslashreplace"), digest_size=8).hexdigest()

    @property
    def provides(self) -> tuple[str, bool]:
        """Return the facts that make it another fixture to requests by name."""
        return self.fixture, self.is_autouse


class FileVersion(Fact, frozen=True):
    """One version of a file."""

    parts: Mapping[str, FilePart]
    """What runs on import is `TOP`."""
    typing: tuple[PartImport, ...] = ()
    """Imports that only a type checker sees."""
    import_lines: frozenset[int] = frozenset()
    bound: frozenset[str] = frozenset()
    """Names that the top level binds, but by imports."""
    unread: bool = False

    def at(self, line: int) -> FilePart:
        """Return the innermost part that a line is in."""
        around = [
            (end - first, part) for part in self.parts.values() for first, end in part.spans if first <= line <= end
        ]
        return min(around, key=lambda each: each[0])[1] if around else self.parts[TOP]

    @property
    def lends(self) -> bool:
        """Return whether it imports its exports lazily, by `__getattr__`."""
        return "__getattr__" in self.parts and bool(self.typing)


UNREAD = FileVersion({TOP: FilePart(TOP, "top", 1)}, unread=True)
"""The version of a file that cannot be read."""
encode = msgspec.msgpack.encode
decode = msgspec.msgpack.Decoder(FileVersion).decode
