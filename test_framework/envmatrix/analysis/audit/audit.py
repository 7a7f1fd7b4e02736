"""The audit: the findings of the rules, without those that are switched off, suppressed or known from the baseline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from envmatrix.analysis.audit.baseline import AuditBaseline, KnownFinding
from envmatrix.analysis.audit.findings import AuditFinding
from envmatrix.analysis.audit.noqa import UNUSED, Noqa
from envmatrix.analysis.audit.rules.catalog import ALL, UNKNOWN, all_findings
from envmatrix.analysis.audit.rules.survey import Survey
from envmatrix.analysis.audit.selection import RuleSelection
from envmatrix.analysis.index.fixture_index import Index
from envmatrix.analysis.source.cache import Cache


@dataclass(frozen=True, slots=True)
class AuditResult:
    """The result of one audit. Paths are relative to the root."""

    root: Path
    findings: tuple[AuditFinding, ...]
    """Sorted by place."""
    unknown: tuple[AuditFinding, ...] = ()
    """Requests of which the source does not tell whether they are answered: listed, but no findings."""
    suppressed: int = 0
    """The number of findings that a `# noqa` suppresses."""
    known: int = 0
    """The number of findings that the baseline knows."""
    stale: tuple[KnownFinding, ...] = ()
    """Entries of the baseline that are found no more."""
    files: int = 0
    tests: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of findings of each rule, by code."""
        return dict(sorted(Counter(finding.code for finding in self.findings).items()))


def audit(
    index: Index,
    selection: RuleSelection,
    baseline: AuditBaseline,
    paths: tuple[str, ...] = (),
    cache: Cache | None = None,
) -> AuditResult:
    """Audit a tree.

    Args:
        index: The index of the tree.
        selection: The rules that apply.
        baseline: Known findings, which are not reported again.
        paths: The files and directories to audit, relative to the root; none means all.
        cache: Keeps the summary of each file.
    """
    survey = Survey.of(index, cache)
    noqa = Noqa(survey.noqa)
    findings: list[AuditFinding] = []
    unknown: list[AuditFinding] = []
    for finding in sorted(set(_findings_of_rules(index, survey, selection, paths))):
        if finding.code == UNKNOWN and UNKNOWN not in selection.select:
            unknown.append(finding)
        elif finding in selection and not noqa.covers(finding):
            findings.append(finding)
    suppressed = noqa.used
    if selection.holds(UNUSED):
        unused = noqa.unused(tuple(rule.code for rule in ALL if selection.holds(rule.code)))
        findings += [each for each in unused if each in selection and _is_within(each.path, paths)]
    rest, stale = baseline.without(sorted(findings), lambda entry: is_in_view(entry, selection, paths))
    return AuditResult(
        root=index.root,
        findings=tuple(rest),
        unknown=tuple(unknown),
        suppressed=suppressed,
        known=len(findings) - len(rest),
        stale=stale,
        files=len(survey.tested),
        tests=survey.tests,
    )


def _findings_of_rules(
    index: Index, survey: Survey, selection: RuleSelection, paths: tuple[str, ...]
) -> Iterator[AuditFinding]:
    for finding in all_findings(index, survey, selection.holds):
        if _is_ours(finding.path) and _is_within(finding.path, paths):
            yield finding


def _is_ours(path: str) -> bool:
    return not Path(path).is_absolute()


def is_in_view(entry: KnownFinding, selection: RuleSelection, paths: tuple[str, ...]) -> bool:
    """Return whether an audit of these paths by these rules would find an entry of the baseline."""
    return selection.holds(entry.code) and _is_within(entry.path, paths)


def _is_within(path: str, paths: tuple[str, ...]) -> bool:
    """Return whether a file is one of the paths, or below one of them."""
    return not paths or any(each in {".", path} or path.startswith(f"{each}/") for each in paths)
