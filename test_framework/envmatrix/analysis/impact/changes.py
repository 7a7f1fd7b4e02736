"""The changed files of a diff, each before and after, and the parts of a Python file that differ."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import cached_property

from envmatrix.analysis.source.parts.file_parts import TOP, FileVersion
from envmatrix.analysis.source.parts.parsing import parse_to_compare


class ChangeKind(enum.StrEnum):
    """The kind of a change."""

    FIXTURES = "fixtures"
    """A fixture, or a file that holds fixtures for others: a conftest, a plugin."""
    ENVIRONMENTS = "environments"
    """The declaration of an environment."""
    CONTRACT = "contract"
    """A field of a contract."""
    CODE = "code"
    """Anything else: tests, code, data, configuration."""


@dataclass(frozen=True)
class FileChange:
    """A file that differs. Paths are relative to the root of the tree, with slashes."""

    path: str
    """Its path; the old one, if it is deleted."""
    old_path: str
    """Its path before: another one, if it is renamed."""
    old: bytes | None
    """Its bytes before; None if it is new."""
    new: bytes | None
    """Its bytes now; None if it is deleted."""

    @property
    def is_renamed(self) -> bool:
        """Return whether it had another path before."""
        return self.path != self.old_path

    @property
    def paths(self) -> tuple[str, ...]:
        """Return its path, and the old one if it is renamed."""
        return tuple(dict.fromkeys((self.path, self.old_path)))

    @property
    def is_gone(self) -> bool:
        """Return whether there is no file any more at the old path."""
        return self.new is None or self.is_renamed

    def __str__(self) -> str:
        if self.new is None:
            return f"{self.path} is deleted"
        if self.old is None:
            return f"{self.path} is new"
        return f"{self.path} was {self.old_path}" if self.is_renamed else f"{self.path} is changed"

    @cached_property
    def parts(self) -> FileDiff:
        """Return the parts of a Python file that differ."""
        return compare(self.old or b"", self.new or b"")


@dataclass(frozen=True, slots=True)
class FileDiff:
    """The difference of two versions of a Python file."""

    old: FileVersion
    new: FileVersion
    changed: frozenset[str]
    """Parts that are new or changed."""
    removed: frozenset[str]
    """Parts that are gone."""
    rest: bool
    """Whether anything else differs: imports, calls, a class's bases and fields."""

    @property
    def nothing(self) -> bool:
        """Return whether only layout and comments differ."""
        return not (self.changed or self.removed or self.rest)


def compare(old: bytes, new: bytes) -> FileDiff:
    """Return the difference of two versions of a file: everything, if one of them cannot be read."""
    before, after = parse_to_compare(old), parse_to_compare(new)
    was, now = (
        {name: part.text for name, part in each.parts.items() if part.kind != "class"} for each in (before, after)
    )
    top = was.pop(TOP, "") != now.pop(TOP, "")
    return FileDiff(
        before,
        after,
        changed=frozenset(name for name, text in now.items() if was.get(name) != text),
        removed=frozenset(was.keys() - now.keys()),
        rest=before.unread or after.unread or top,
    )
