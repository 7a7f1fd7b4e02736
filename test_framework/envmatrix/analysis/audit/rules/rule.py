"""A rule of the audit, as its table names it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """What the audit knows of one rule; its page is `docs/rules/CODE.md`."""

    code: str
    """`EM101`."""
    name: str
    """In words joined by hyphens: `fixture-not-found`."""
    summary: str
    """One line: what a finding of it says."""
    is_fixable: bool = False
    """Whether `envmatrix audit --fix` can mend it."""
