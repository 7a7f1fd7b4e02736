"""What `envmatrix validate` reports: a declaration held against a run, and what would make it true."""

from __future__ import annotations

from dataclasses import dataclass

from envmatrix.gate import Answer as VerdictAnswer
from envmatrix.gate import Verdict
from envmatrix.validation import Answer, Truth


@dataclass(frozen=True, slots=True)
class Validation:
    """One environment, validated."""

    truth: Truth
    verdict: Verdict
    """On the conformance suite."""
    diff: str = ""
    """What makes the declaration true, as far as that can be written."""
    written: bool = False
    """Whether that was written."""
    refused: str = ""
    """Why it cannot be written."""

    @property
    def answer(self) -> Answer:
        """Return the answer of the declaration and the suite together: a broken contract is no truth."""
        suite = {
            VerdictAnswer.COMPATIBLE: Answer.TRUE,
            VerdictAnswer.INCOMPATIBLE: Answer.UNTRUE,
            VerdictAnswer.UNKNOWN: Answer.UNKNOWN,
        }[self.verdict.answer]
        answers = {self.truth.answer, suite}
        return next(each for each in (Answer.UNTRUE, Answer.UNKNOWN, Answer.TRUE) if each in answers)
