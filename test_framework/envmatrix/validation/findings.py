"""What a validation can find, and the answer that each finding calls for."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

from envmatrix.environments.edit import ServiceEdit
from envmatrix.runs.rules import RuleCode

VALIDATION_RULES = {
    RuleCode.DECLARED_AND_DOWN: "declared and down: a required service does not answer, or answers as somebody else",
    RuleCode.ABSENT_AND_UP: "declared absent and up: a coverage gap, since every test that requires it is skipped",
    RuleCode.NEVER_EXERCISED: "available and never exercised: a remark, since no test would notice if it broke",
    RuleCode.FAILED_ALONE: "exercised by failed tests alone: what it promises was tried and did not hold",
    RuleCode.CONTRADICTED: "contradicted by the target: a service that is up says otherwise about another one than our own ping",
}
"""Every code that a validation can find, with its meaning."""


class Validity(enum.StrEnum):
    """Is what the declaration says true?"""

    TRUE = "true"
    """Nothing stands against it; there may be remarks."""
    UNTRUE = "untrue"
    """Something is there that it denies, or what it promises does not hold."""
    UNKNOWN = "unknown"
    """An outage, or a service that was never pinged, hides the answer."""

    @property
    def exit_code(self) -> int:
        """Return the exit code of the command line."""
        return {Validity.TRUE: 0, Validity.UNTRUE: 1, Validity.UNKNOWN: 3}[self]


SEVERITY = (Validity.UNTRUE, Validity.UNKNOWN, Validity.TRUE)
"""The worst answer first."""


@dataclass(frozen=True, slots=True)
class ValidationFinding:
    """A difference between what is declared, observed and exercised."""

    rule: str
    """The code: `T601`."""
    capability: str
    message: str
    """What differs, in one line."""
    hint: str
    """What to do about it."""
    calls_for: Validity
    """The answer that this finding alone would give; a mere remark calls for `true`."""
    file: Path
    line: int = 0
    """The declaration's line, 1-based; 0 where that is not known."""
    edit: ServiceEdit | None = None
    """The edit that makes the declaration true, where it is known."""
