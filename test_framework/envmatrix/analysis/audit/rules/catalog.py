"""The table of all rules of the audit, and their lookup by code or name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from envmatrix.analysis.audit.findings import AuditFinding
from envmatrix.analysis.audit.rules import contract, hygiene, tokens, visibility
from envmatrix.analysis.audit.rules.rule import AuditRule
from envmatrix.analysis.audit.rules.survey import Survey
from envmatrix.analysis.index.fixture_index import Index
from envmatrix.exceptions import UsageError, nearest

UNKNOWN = "EM108"
"""What cannot be known is no breach: it is listed apart, unless selected."""

_FAMILIES = (visibility, contract, hygiene, tokens)

_RULES: tuple[AuditRule, ...] = tuple(rule for family in _FAMILIES for rule in family.RULES)
ALL = tuple(sorted(_RULES, key=lambda rule: rule.code))
"""Every rule, in the order of the codes."""

OPT_IN = frozenset(rule.code for rule in ALL if rule.is_opt_in)
"""Rules that are off unless selected by their very code."""

_BY_CODE = {rule.code: rule for rule in ALL}
_WORDS = {"ALL", *(code[:length] for code in _BY_CODE for length in range(2, len(code) + 1))}
"""Words that select rules."""


def rule(code: str) -> AuditRule:
    """Return a rule by its code, or by its name.

    Raises:
        UsageError: there is none.
    """
    word = code.strip()
    if (known_rule := _BY_CODE.get(word.upper())) is not None:
        return known_rule
    for each in ALL:
        if each.name == word:
            return each
    raise UsageError(f"no rule {code!r:.80}", nearest(word.upper(), _BY_CODE))


def page(code: str) -> str:
    """Return the page of a rule, as Markdown; its summary where the pages are not installed."""
    here = Path(__file__)
    for directory in (here.with_name("pages"), here.parents[5] / "docs" / "rules"):
        try:
            return (directory / f"{code}.md").read_text(encoding="utf-8")
        except OSError:
            continue
    known_rule = rule(code)
    return f"# {known_rule.code}: {known_rule.name}\n\n{known_rule.summary}\n"


def misspelt(words: Iterable[str]) -> str:
    """Return the first word that selects no rule; empty if each selects some."""
    return next((word for word in words if word not in _WORDS), "")


def spelling(word: str) -> str:
    """Return the hint with the nearest word that selects a rule."""
    return nearest(word.upper(), _BY_CODE if len(word) > len("EM1") else {"ALL", *(code[:3] for code in _BY_CODE)})


def all_findings(index: Index, survey: Survey, is_on: Callable[[str], bool]) -> Iterator[AuditFinding]:
    """Yield the findings of each family that has a rule which is on."""
    for family in _FAMILIES:
        if any(is_on(each.code) for each in family.RULES):
            yield from family.findings(index, survey)
