"""What a diff consists of: files, each as it was and as it is."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import cached_property

from envmatrix.analysis.impact.dissect import dissect
from envmatrix.analysis.impact.parts import TOP, Version


class Kind(enum.StrEnum):
    """What a change is one of."""

    FIXTURES = "fixtures"
    """A fixture, or a file that holds fixtures for others: a conftest, a plugin."""
    ENVIRONMENTS = "environments"
    """The declaration of an environment."""
    CONTRACT = "contract"
    """A field of a contract."""
    CODE = "code"
    """Anything else: tests, code, data, configuration."""


@dataclass(frozen=True)
class Change:
    """One file that differs. Paths are relative to the tree's root, with slashes."""

    path: str
    """Where it is; where it was, if it is gone."""
    old_path: str
    """Where it was: another place for what was renamed."""
    old: bytes | None
    """None where it was not there."""
    new: bytes | None
    """None where it is gone."""

    @property
    def is_renamed(self) -> bool:
        """Return whether it was elsewhere before."""
        return self.path != self.old_path

    @property
    def paths(self) -> tuple[str, ...]:
        """Return both places of what was renamed, else the one."""
        return tuple(dict.fromkeys((self.path, self.old_path)))

    @property
    def is_gone(self) -> bool:
        """Return whether nothing is any more where it was."""
        return self.new is None or self.is_renamed

    def __str__(self) -> str:
        if self.new is None:
            return f"{self.path} is deleted"
        if self.old is None:
            return f"{self.path} is new"
        return f"{self.path} was {self.old_path}" if self.is_renamed else f"{self.path} is changed"

    @cached_property
    def parts(self) -> Parts:
        """Return which parts of a Python file differ."""
        return compare(self.old or b"", self.new or b"")


@dataclass(frozen=True, slots=True)
class Parts:
    """What differs between two versions."""

    old: Version
    new: Version
    changed: frozenset[str]
    """Parts that are new or otherwise than before."""
    removed: frozenset[str]
    """Parts that are gone."""
    rest: bool
    """Whether anything else differs: imports, calls, a class's bases and fields."""

    @property
    def nothing(self) -> bool:
        """Return whether only layout and comments differ."""
        return not (self.changed or self.removed or self.rest)


def compare(old: bytes, new: bytes) -> Parts:
    """Return what differs between two versions of a file; all of it, where one of them cannot be read."""
    before, after = dissect(old, to_compare=True), dissect(new, to_compare=True)
    was, now = (
        {name: part.text for name, part in each.parts.items() if part.kind != "class"} for each in (before, after)
    )
    top = was.pop(TOP, "") != now.pop(TOP, "")
    return Parts(
        before,
        after,
        changed=frozenset(name for name, text in now.items() if was.get(name) != text),
        removed=frozenset(was.keys() - now.keys()),
        rest=before.unread or after.unread or top,
    )
