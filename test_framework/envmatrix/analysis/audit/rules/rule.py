"""A rule of the audit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AuditRule:
    """One rule; its page is `docs/rules/CODE.md`."""

    code: str
    """`EM101`."""
    name: str
    """Its name: `fixture-not-found`."""
    summary: str
    """What a finding of it says, in one line."""
    is_fixable: bool = False
    """Whether `envmatrix audit --fix` can mend it."""
    is_opt_in: bool = False
    """Whether it is off unless selected by its very code."""
