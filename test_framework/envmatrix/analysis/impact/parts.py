"""The parts of one version of a Python file, each with what it uses: what runs on import, functions, classes, values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias

from envmatrix.analysis.source.facts import Import

TOP = ""
"""The name of what runs when the file is imported."""
SCRIPT = 'if __name__ == "__main__"'
"""The name of what runs when the file is run."""

PartKind: TypeAlias = Literal["top", "function", "class", "value"]
_IMPLICIT = re.compile(
    r"pytest_|(?:setup|teardown)(?:_module|_function)?$|setUpModule$|tearDownModule$|__|pytestmark$|collect_ignore"
)
"""What of a module is called or read without being named: by pytest, unittest or Python itself."""


@dataclass(frozen=True, slots=True)
class Imported:
    """One import of a part."""

    what: Import
    name: str
    """That it binds; empty for `*`."""


@dataclass(frozen=True, slots=True)
class Part:
    """What of a file can differ, and be used, by itself."""

    name: str
    """With its classes: `TestOrders.test_total`."""
    kind: PartKind
    line: int
    """Of `def`, `class` or the name, from 1."""
    spans: tuple[tuple[int, int], ...] = ()
    """First line, that of a decorator too, and last: several, where several have one name."""
    text: str = ""
    """Its syntax tree: the same for another layout and other comments."""
    names: frozenset[str] = frozenset()
    """Every name in it, but those of its own variables."""
    attributes: frozenset[tuple[str, str]] = frozenset()
    """Every attribute in it, after the name before its dot, if there is one; and texts that may be names, as attributes of nothing."""
    values: frozenset[str] = frozenset()
    """Names that stand for themselves, not before a dot: a module that is handed on may be used in any way."""
    imports: tuple[Imported, ...] = ()
    computed: tuple[str | None, ...] = ()
    """What names of modules that are put together begin with: a dot for the file's own package, None for what cannot be seen."""
    fixture: str = ""
    """The fixture that it seems to be; empty for none."""
    is_autouse: bool = False
    is_registered: bool = False
    """Whether importing the file may hand it to somebody who calls it: `@app.get("/")`."""
    bases: tuple[str, ...] = ()
    """Of a class, as they are written."""

    @property
    def is_test(self) -> bool:
        """Return whether it seems to be a test."""
        return self.kind == "function" and self.name.rpartition(".")[2].startswith("test")

    @property
    def is_implicit(self) -> bool:
        """Return whether it is of the module itself, and nobody has to name it."""
        return self.kind in {"function", "value"} and _IMPLICIT.match(self.name) is not None

    @property
    def provides(self) -> tuple[str, bool]:
        """Return what makes another fixture of it, for those who ask by name."""
        return self.fixture, self.is_autouse


@dataclass(frozen=True)
class Version:
    """One version of a file."""

    parts: Mapping[str, Part] = field(default_factory=dict)
    """What runs on import is `TOP`."""
    typing: tuple[Imported, ...] = ()
    """Imports that only a type checker sees."""
    import_lines: frozenset[int] = frozenset()
    unread: bool = False

    def at(self, line: int) -> Part:
        """Return the innermost part that a line is in."""
        around = [
            (end - first, part) for part in self.parts.values() for first, end in part.spans if first <= line <= end
        ]
        return min(around, key=lambda each: each[0])[1] if around else self.parts[TOP]

    @cached_property
    def lends(self) -> bool:
        """Return whether it imports what it exports when that is first asked for."""
        return "__getattr__" in self.parts and bool(self.typing)
