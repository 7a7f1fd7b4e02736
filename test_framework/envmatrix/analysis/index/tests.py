"""The tests of a tree."""

from __future__ import annotations

import msgspec

from envmatrix.analysis.index.answers import Need
from envmatrix.analysis.index.decorators import NONE, Marks
from envmatrix.analysis.index.scopes import Scope
from envmatrix.analysis.source.facts import Function


class Test(msgspec.Struct, frozen=True):
    """A test function that pytest would collect; one, however often it is parametrized."""

    path: str
    """The file that pytest collects it from."""
    classes: tuple[str, ...]
    name: str
    line: int
    column: int
    function: Function
    defined_in: str
    """The file of its source; not `path` if the class or function is imported there."""
    masked: str
    """`skip`, `skipif` or `xfail`, which would hide a missing fixture from a run; empty for none."""
    needs: tuple[Need, ...] = ()
    marks: Marks = NONE
    """The marks of the function, its classes and its file."""
    scope: Scope | None = None
    """The innermost scope around it."""

    @property
    def nodeid(self) -> str:
        """Return the node id as pytest writes it, relative to the tree's root."""
        return "::".join((self.path, *self.classes, self.name))
