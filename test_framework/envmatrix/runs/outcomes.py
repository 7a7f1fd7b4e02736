"""How a test ended and why it did not pass, and what each of these words means to whoever judges a run."""

from __future__ import annotations

import enum
from collections.abc import Sequence


class Outcome(enum.StrEnum):
    """How a test ended in one environment, best first."""

    PASSED = "passed"
    """Reached its end."""
    XFAILED = "xfailed"
    """Failed, as its mark expects."""
    FLAKY = "flaky"
    """Failed, then passed when tried again."""
    SKIPPED = "skipped"
    """Not applicable here; the reason says why."""
    XPASSED = "xpassed"
    """Passed, although its mark expects a failure."""
    FAILED = "failed"
    """Did not reach its end, or its setup or teardown did not; the cause says why."""
    NOT_RUN = "not_run"
    """Planned, never ended."""

    __hash__ = str.__hash__  # Enum's own is a Python function, and each cell is counted by its outcome

    @property
    def counts_as_passed(self) -> bool:
        """Return whether the last attempt passed, as it should."""
        return self in (Outcome.PASSED, Outcome.FLAKY)

    @property
    def reached_end(self) -> bool:
        """Return whether the last attempt reached its end, expected or not."""
        return self in (Outcome.PASSED, Outcome.FLAKY, Outcome.XPASSED)

    @property
    def broke(self) -> bool:
        """Return whether the last attempt failed, expected or not."""
        return self in (Outcome.FAILED, Outcome.XFAILED)

    @property
    def counts_as_failed(self) -> bool:
        """Return whether a baseline and a waiver may excuse it: a failure, or a test that never ended."""
        return self in (Outcome.FAILED, Outcome.NOT_RUN)

    @property
    def needs_attention(self) -> bool:
        """Return whether a report lists it as a problem."""
        return self in (Outcome.FAILED, Outcome.FLAKY, Outcome.XPASSED)

    @property
    def is_silent(self) -> bool:
        """Return whether it says nothing about the product."""
        return self in (Outcome.SKIPPED, Outcome.XFAILED, Outcome.NOT_RUN)


def after_retries(attempts: Sequence[Outcome], *, has_crash: bool) -> Outcome:
    """Return what the attempts at one test add up to: only a pass takes a failure back, and nothing a crash of the product."""
    if Outcome.FAILED not in attempts:
        return attempts[-1]
    return Outcome.FLAKY if attempts[-1] is Outcome.PASSED and not has_crash else Outcome.FAILED


class Cause(enum.StrEnum):
    """Why a test did not pass."""

    CONTRACT = "contract"
    """The fixture is missing, or a field of it is missing or untrue."""
    INFRASTRUCTURE = "infrastructure"
    """A service that the test used is down, by evidence."""
    LOGIC = "logic"
    """The product or the test is wrong: no service that it used is down, or one crashed on the test's own request."""
    HARNESS = "harness"
    """A worker crashed, a deadline passed, a signal came, or we have a bug."""
    UNDETERMINED = "undetermined"
    """The evidence conflicts."""

    __hash__ = str.__hash__

    @property
    def blames_product(self) -> bool:
        """Return whether it says something about the product; any other cause leaves the answer unknown."""
        return self in (Cause.CONTRACT, Cause.LOGIC)
