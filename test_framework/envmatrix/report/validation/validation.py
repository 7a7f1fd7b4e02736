"""What `envmatrix validate` reports: a declaration compared with a run, and the change that makes it true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from envmatrix.gate import Answer as VerdictAnswer
from envmatrix.gate import Verdict
from envmatrix.validation import Validation, Validity


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """The validation of one environment, with the verdict on the conformance suite."""

    truth: Validation
    verdict: Verdict
    whys: Mapping[str, str] = field(default_factory=dict)
    """Test of the suite that did not pass → why, in one line."""
    diff: str = ""
    """The change that makes the declaration true, as far as it can be written."""
    written: bool = False
    """Whether the change was written."""
    refused: str = ""
    """Why the change cannot be written."""

    @property
    def answer(self) -> Validity:
        """Return the worse answer of declaration and suite: with a broken contract, a declaration is untrue."""
        suite = {
            VerdictAnswer.COMPATIBLE: Validity.TRUE,
            VerdictAnswer.INCOMPATIBLE: Validity.UNTRUE,
            VerdictAnswer.UNKNOWN: Validity.UNKNOWN,
        }[self.verdict.answer]
        answers = {self.truth.answer, suite}
        return next(each for each in (Validity.UNTRUE, Validity.UNKNOWN, Validity.TRUE) if each in answers)
