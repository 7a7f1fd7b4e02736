"""The audit's baseline: findings that are known, so that an old tree starts green and only what is new is told.

A finding is recognised by its file, its code and its message, not by its line, so that a change above it does not bring it
back. One that is there twice is held twice.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from envmatrix.analysis.audit.findings import Finding
from envmatrix.exceptions import DeclarationError

FILE = ".envmatrix-audit.json"
"""Where the baseline is, unless another one is named."""

_SCHEMA = 1
_MAX_BYTES = 64 << 20
_LINE_NUMBER = re.compile(r"(?<=\.py):\d+(:\d+)?")


@dataclass(frozen=True, order=True, slots=True)
class Entry:
    """What makes a finding the same one, wherever in its file it has moved."""

    path: str
    code: str
    message: str
    """Without the lines that it names."""

    @classmethod
    def of(cls, finding: Finding) -> Entry:
        """Return the entry of a finding."""
        return cls(finding.path, finding.code, _LINE_NUMBER.sub("", finding.message))


@dataclass(frozen=True, slots=True)
class Baseline:
    """How often each entry is known."""

    counts: Counter[Entry]

    @property
    def total(self) -> int:
        """Return how many findings it holds."""
        return self.counts.total()

    @classmethod
    def empty(cls) -> Baseline:
        """Return one that knows nothing."""
        return cls(Counter())

    @classmethod
    def read(cls, path: Path) -> Baseline:
        """Read a file.

        Raises:
            DeclarationError: it cannot be read, or is no baseline.
        """
        how = "Delete it, then make it anew: envmatrix audit --update-baseline"
        try:
            with path.open("rb") as stream:
                raw = stream.read(_MAX_BYTES + 1)
        except OSError as error:
            raise DeclarationError(path, f"cannot be read: {error.strerror}") from None
        if len(raw) > _MAX_BYTES:
            raise DeclarationError(path, f"is larger than {_MAX_BYTES >> 20} MiB, too large for a baseline", 0, how)
        try:
            document = json.loads(raw)
            schema = document["schema"]
            counts = Counter({_entry(each): _count(each) for each in document["findings"]})
        except (ValueError, KeyError, TypeError, RecursionError):
            raise DeclarationError(path, "is no baseline of the audit", 0, how) from None
        if schema != _SCHEMA:
            raise DeclarationError(path, f"is of schema {schema!r:.40}; this version reads {_SCHEMA}", 0, how)
        return cls(counts)

    def without(
        self, findings: Iterable[Finding], is_in_view: Callable[[Entry], bool]
    ) -> tuple[list[Finding], tuple[Entry, ...]]:
        """Return the findings that it does not hold, and its entries in view that are found no more, or not as often."""
        left = self.counts.copy()
        rest = []
        for finding in findings:
            entry = Entry.of(finding)
            if left[entry] > 0:
                left[entry] -= 1
            else:
                rest.append(finding)
        return rest, tuple(sorted(entry for entry, count in left.items() if count > 0 and is_in_view(entry)))

    def updated(self, findings: Iterable[Finding], is_in_view: Callable[[Entry], bool]) -> Baseline:
        """Return what holds these findings, and of itself what this audit had no view of."""
        kept = {entry: count for entry, count in self.counts.items() if not is_in_view(entry)}
        return Baseline(Counter(map(Entry.of, findings)) + Counter(kept))

    def write(self, path: Path) -> None:
        """Write it: sorted, one finding a line, so that a review shows what is accepted.

        Raises:
            DeclarationError: it cannot be written.
        """
        lines = [
            json.dumps({"path": entry.path, "code": entry.code, "message": entry.message, "count": count})
            for entry, count in sorted(self.counts.items())
        ]
        body = ",\n    ".join(lines)
        findings = f"[\n    {body}\n  ]" if lines else "[]"
        try:
            path.write_text(f'{{\n  "schema": {_SCHEMA},\n  "findings": {findings}\n}}\n', encoding="ascii")
        except OSError as error:
            raise DeclarationError(path, f"cannot be written: {error.strerror}") from None


def _entry(item: dict[str, object]) -> Entry:
    match item:
        case {"path": str(path), "code": str(code), "message": str(message)}:
            return Entry(path, code, message)
        case _:
            raise ValueError(item)


def _count(item: dict[str, object]) -> int:
    count = item.get("count", 1)
    if not isinstance(count, int) or count < 1:
        raise ValueError(item)
    return count
