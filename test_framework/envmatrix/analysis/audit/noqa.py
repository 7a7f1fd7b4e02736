"""Comments `# noqa` in the source: the findings that they suppress, and the codes that suppress nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from envmatrix.analysis.audit.findings import AuditFinding

UNUSED = "EM199"
_OURS = "EM"


class Noqa:
    """The comments `# noqa` of a tree; notes which of them suppressed a finding.

    Args:
        lines: Path → lines with `# noqa` and the codes that each names, none for all.
    """

    def __init__(self, lines: Mapping[str, tuple[tuple[int, tuple[str, ...]], ...]]) -> None:
        self._codes = {(path, line): codes for path, each in lines.items() for line, codes in each}
        self._used: set[tuple[str, int, str]] = set()
        self.used = 0

    def covers(self, finding: AuditFinding) -> bool:
        """Return whether a comment on the finding's line suppresses it, and note that for `unused`."""
        codes = self._codes.get((finding.path, finding.line))
        if codes is None:
            return False
        code = next((code for code in codes if finding.code.startswith(code)), "")
        if codes and not code:
            return False
        self._used.add((finding.path, finding.line, code))
        self.used += 1
        return True

    def unused(self, selected: Collection[str]) -> Iterator[AuditFinding]:
        """Yield a finding for each code of a selected rule that suppressed nothing; of other rules that is not known."""
        for (path, line), codes in self._codes.items():
            for code in codes:
                is_known = code.startswith(_OURS) and any(rule.startswith(code) for rule in selected) and code != UNUSED
                if is_known and UNUSED not in codes and (path, line, code) not in self._used:
                    hint = f"Take {code} out of the comment"
                    yield AuditFinding(path, line, 1, UNUSED, f"# noqa: {code} suppresses nothing", hint, noqa=code)
