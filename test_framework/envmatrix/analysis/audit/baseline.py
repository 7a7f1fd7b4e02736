"""The audit's baseline: known findings, so that an old tree starts green and only new findings are reported.

A finding is recognised by its file, its code and its message, which names no line: a change above it does not bring it back.
One that is there twice is counted twice.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from envmatrix.analysis.audit.findings import AuditFinding
from envmatrix.exceptions import DeclarationError
from envmatrix.safety.input_files import read_json

FILE = ".envmatrix-audit.json"
"""Where the baseline is, unless another one is named."""

_SCHEMA = 1
_MAX_BYTES = 64 << 20


@dataclass(frozen=True, order=True, slots=True)
class KnownFinding:
    """The identity of a finding, wherever in its file it has moved."""

    path: str
    code: str
    message: str

    @classmethod
    def of(cls, finding: AuditFinding) -> KnownFinding:
        """Return the identity of a finding."""
        return cls(finding.path, finding.code, finding.message)


@dataclass(frozen=True, slots=True)
class AuditBaseline:
    """Known findings, and how many there are of each."""

    counts: Counter[KnownFinding]

    @property
    def total(self) -> int:
        """Return the number of known findings."""
        return self.counts.total()

    @classmethod
    def empty(cls) -> AuditBaseline:
        """Return a baseline without findings."""
        return cls(Counter())

    @classmethod
    def read(cls, path: Path) -> AuditBaseline:
        """Read a baseline from its file.

        Raises:
            DeclarationError: it cannot be read, or is no baseline.
        """
        how = "Delete it, then make it anew: envmatrix audit --update-baseline"
        try:
            document = read_json(path, _MAX_BYTES)
            schema = document["schema"]
            counts = Counter({_entry(each): _count(each) for each in document["findings"]})
        except DeclarationError as error:
            raise replace(error, hint=how if path.exists() else "") from None
        except (ValueError, KeyError, TypeError):
            raise DeclarationError(path, "is no baseline of the audit", 0, how) from None
        if schema != _SCHEMA:
            raise DeclarationError(path, f"is of schema {schema!r:.40}; this version reads {_SCHEMA}", 0, how)
        return cls(counts)

    def without(
        self, findings: Iterable[AuditFinding], is_in_view: Callable[[KnownFinding], bool]
    ) -> tuple[list[AuditFinding], tuple[KnownFinding, ...]]:
        """Return the findings that are not known, and the known ones in view that are found no more, or less often."""
        left = self.counts.copy()
        new = []
        for finding in findings:
            entry = KnownFinding.of(finding)
            if left[entry] > 0:
                left[entry] -= 1
            else:
                new.append(finding)
        return new, tuple(sorted(entry for entry, count in left.items() if count > 0 and is_in_view(entry)))

    def updated(self, findings: Iterable[AuditFinding], is_in_view: Callable[[KnownFinding], bool]) -> AuditBaseline:
        """Return the baseline of these findings and of the known ones that this audit had no view of."""
        kept = {entry: count for entry, count in self.counts.items() if not is_in_view(entry)}
        return AuditBaseline(Counter(map(KnownFinding.of, findings)) + Counter(kept))

    def write(self, path: Path) -> None:
        """Write the baseline: sorted, one finding a line, so that a review shows what is accepted.

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


def _entry(item: dict[str, object]) -> KnownFinding:
    match item:
        case {"path": str(path), "code": str(code), "message": str(message)}:
            return KnownFinding(path, code, message)
        case _:
            raise ValueError(item)


def _count(item: dict[str, object]) -> int:
    count = item.get("count", 1)
    if not isinstance(count, int) or count < 1:
        raise ValueError(item)
    return count
