"""The rules that an audit applies, and the files where some of them do not."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass

from envmatrix.analysis.audit.findings import AuditFinding
from envmatrix.analysis.audit.rules.catalog import OPT_IN


@dataclass(frozen=True, slots=True)
class RuleSelection:
    """The rules that apply, and where.

    Each word is a code or the beginning of codes: `EM101`, `EM1`; `ALL` is every rule. An opt-in rule holds by its code alone.
    """

    select: tuple[str, ...] = ("ALL",)
    ignore: tuple[str, ...] = ()
    per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Pattern of a path or of a file's name → words of the rules that are ignored there."""

    def __contains__(self, finding: AuditFinding) -> bool:
        if not self.holds(finding.code):
            return False
        name = finding.path.rpartition("/")[2]
        return not any(
            _closeness(finding.code, words)
            for pattern, words in self.per_file_ignores
            if fnmatch.fnmatchcase(finding.path, pattern) or fnmatch.fnmatchcase(name, pattern.removeprefix("**/"))
        )

    def holds(self, code: str) -> bool:
        """Return whether a rule is selected: the word closest to its code decides; where two are as close it is off."""
        if code in OPT_IN and code not in self.select:
            return False
        return _closeness(code, self.select) > _closeness(code, self.ignore)


def _closeness(code: str, words: tuple[str, ...]) -> int:
    return max(
        (1 if word == "ALL" else len(word) for word in words if word == "ALL" or code.startswith(word)), default=0
    )
