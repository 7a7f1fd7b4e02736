"""The fields of a contract that a change adds, removes or retypes, and the version that they call for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from envmatrix.analysis.impact.changes import FileChange

_VERSION = re.compile(rb"""^CONTRACT_VERSION\s*=\s*["'](\d+)\.(\d+)\.(\d+)["']""", re.MULTILINE)


@dataclass(frozen=True, order=True, slots=True)
class FieldChange:
    """A field that differs."""

    path: str
    contract: str
    """The class."""
    field: str
    what: Literal["added", "removed", "retyped"]
    detail: str = ""
    """The types before and after, if it is retyped."""

    @property
    def is_breaking(self) -> bool:
        """Return whether tests written for the contract as it was may fail."""
        return self.what != "added"

    def __str__(self) -> str:
        return f"{self.contract}.{self.field} is {self.what}{f', {self.detail}' if self.detail else ''}"


@dataclass(frozen=True, slots=True)
class VersionBump:
    """The version that changed fields call for."""

    before: str
    needed: str
    now: str

    @property
    def is_done(self) -> bool:
        """Return whether the version is at least the needed one."""
        return _numbers(self.now) >= _numbers(self.needed)


def field_changes(change: FileChange, contracts: Iterable[str]) -> Iterator[FieldChange]:
    """Yield the fields of these classes that a changed file adds, removes or retypes."""
    before, after = _classes(change.old), _classes(change.new)
    for name in sorted(contracts):
        old, new = before.get(name, {}), after.get(name, {})
        for field in sorted(old.keys() | new.keys()):
            if field not in new:
                yield FieldChange(change.path, name, field, "removed")
            elif field not in old:
                yield FieldChange(change.path, name, field, "added")
            elif old[field] != new[field]:
                yield FieldChange(change.path, name, field, "retyped", f"{old[field]} → {new[field]}")


def bump(fields: Iterable[FieldChange], changes: Iterable[FileChange], version: str) -> VersionBump | None:
    """Return the version that the contract must have after these changes; None where no field differs.

    `version` is the present one, where no change says what it was before.
    """
    fields = list(fields)
    if not fields:
        return None
    before = now = version
    for change in changes:
        if was := _VERSION.search(change.old or b""):
            before = b".".join(was.groups()).decode()
        if is_ := _VERSION.search(change.new or b""):
            now = b".".join(is_.groups()).decode()
    major, minor, _ = _numbers(before)
    needed = f"{major + 1}.0.0" if any(field.is_breaking for field in fields) else f"{major}.{minor + 1}.0"
    return VersionBump(before, needed, now)


def _numbers(version: str) -> tuple[int, int, int]:
    major, minor, patch = (int(part) for part in version.split("."))
    return major, minor, patch


def _classes(source: bytes | None) -> Mapping[str, Mapping[str, str]]:
    """Map each class at the top of a file to its fields with their types, those of its bases in that file too."""
    try:
        tree = ast.parse(source or b"")
    except (SyntaxError, ValueError, RecursionError):
        return {}
    classes: dict[str, dict[str, str]] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            fields = classes.setdefault(node.name, {})
            for base in node.bases:
                fields |= classes.get(ast.unparse(base), {})
            for inner in node.body:
                if isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name):
                    fields[inner.target.id] = ast.unparse(_without_metadata(inner.annotation))
    return {
        name: {field: kind for field, kind in fields.items() if field[0] != "_"} for name, fields in classes.items()
    }


def _without_metadata(annotation: ast.expr) -> ast.expr:
    """Return the type that `Annotated[type, ...]` annotates; any other annotation as it is."""
    match annotation:
        case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[kind, *_])):
            return kind
    return annotation
