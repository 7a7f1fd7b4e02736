"""The audit: what the rules find in a tree, less what is switched off, suppressed in the source, or known from before."""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from envmatrix.analysis.audit.baseline import Baseline, Entry
from envmatrix.analysis.audit.findings import Finding
from envmatrix.analysis.audit.noqa import UNUSED, Noqa
from envmatrix.analysis.audit.rules import ALL, UNKNOWN, all_findings
from envmatrix.analysis.audit.rules.survey import Survey
from envmatrix.analysis.index.fixture_index import Index
from envmatrix.analysis.source.cache import Cache


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rules hold, and where. Each word is a code or how codes begin: `EM101`, `EM1`; `ALL` is every rule."""

    select: tuple[str, ...] = ("ALL",)
    ignore: tuple[str, ...] = ()
    per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Pattern of a path or of a file's name → what is ignored there."""

    def __contains__(self, finding: Finding) -> bool:
        if not self.holds(finding.code):
            return False
        name = finding.path.rpartition("/")[2]
        return not any(
            _closeness(finding.code, words)
            for pattern, words in self.per_file_ignores
            if fnmatch.fnmatchcase(finding.path, pattern) or fnmatch.fnmatchcase(name, pattern.removeprefix("**/"))
        )

    def holds(self, code: str) -> bool:
        """Whether a rule is selected: the word that is closest to its code decides, where two are as close it is off."""
        if code == UNKNOWN:
            return code in self.select
        return _closeness(code, self.select) > _closeness(code, self.ignore)


def _closeness(code: str, words: tuple[str, ...]) -> int:
    return max(
        (1 if word == "ALL" else len(word) for word in words if word == "ALL" or code.startswith(word)), default=0
    )


@dataclass(frozen=True, slots=True)
class Audit:
    """What one audit found. Paths are relative to the root."""

    root: Path
    findings: tuple[Finding, ...]
    """By place."""
    unknown: tuple[Finding, ...] = ()
    """Requests of which the source does not tell whether they are answered: no findings, and no silence either."""
    suppressed: int = 0
    """How many findings a `# noqa` covers."""
    known: int = 0
    """How many findings the baseline holds."""
    stale: tuple[Entry, ...] = ()
    """What the baseline holds and is found no more."""
    files: int = 0
    tests: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """Return how many findings each rule has, by code."""
        return dict(sorted(Counter(finding.code for finding in self.findings).items()))


def audit(
    index: Index,
    selection: Selection,
    baseline: Baseline,
    paths: tuple[str, ...] = (),
    cache: Cache | None = None,
) -> Audit:
    """Audit a tree.

    Args:
        index: Of the tree.
        selection: The rules that hold.
        baseline: What was found before, and is not to be told again.
        paths: The files and directories that were asked for, relative to the root; none means all.
        cache: Where it is kept what was seen in each file.
    """
    survey = Survey.of(index, cache)
    noqa = Noqa(survey.noqa)
    found: list[Finding] = []
    unknown: list[Finding] = []
    for finding in sorted(set(_found(index, survey, selection, paths))):
        if finding.code == UNKNOWN and UNKNOWN not in selection.select:
            unknown.append(finding)
        elif finding in selection and not noqa.covers(finding):
            found.append(finding)
    suppressed = noqa.used
    if selection.holds(UNUSED):
        unused = noqa.unused(tuple(rule.code for rule in ALL if selection.holds(rule.code)))
        found += [each for each in unused if each in selection and _is_within(each.path, paths)]
    rest, stale = baseline.without(sorted(found), lambda entry: is_in_view(entry, selection, paths))
    return Audit(
        root=index.root,
        findings=tuple(rest),
        unknown=tuple(unknown),
        suppressed=suppressed,
        known=len(found) - len(rest),
        stale=stale,
        files=len(survey.tested),
        tests=survey.tests,
    )


def _found(index: Index, survey: Survey, selection: Selection, paths: tuple[str, ...]) -> Iterator[Finding]:
    for finding in all_findings(index, survey, selection.holds):
        if _is_ours(finding.path) and _is_within(finding.path, paths):
            yield finding


def _is_ours(path: str) -> bool:
    return not Path(path).is_absolute()


def is_in_view(entry: Entry, selection: Selection, paths: tuple[str, ...]) -> bool:
    """Whether an audit of some paths by some rules would find what an entry of the baseline holds."""
    return selection.holds(entry.code) and _is_within(entry.path, paths)


def _is_within(path: str, paths: tuple[str, ...]) -> bool:
    """Whether a file is one of those asked for, or below one of them."""
    return not paths or any(each in {".", path} or path.startswith(f"{each}/") for each in paths)
