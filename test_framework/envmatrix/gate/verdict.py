"""What a verdict is: compatible, incompatible or unknown, always with reasons."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class Answer(enum.StrEnum):
    """Does the suite hold in this environment?"""

    COMPATIBLE = "compatible"
    """Tests passed, and nothing speaks against it."""
    INCOMPATIBLE = "incompatible"
    """A contract is broken, or a test failed on healthy services."""
    UNKNOWN = "unknown"
    """The run does not tell: it is missing, cut short or empty, or an outage hid the answer."""

    @property
    def exit_code(self) -> int:
        """Return the exit code of the command line."""
        return {Answer.COMPATIBLE: 0, Answer.INCOMPATIBLE: 1, Answer.UNKNOWN: 3}[self]


class Code(enum.StrEnum):
    """What a reason is about."""

    PASSED = "passed"
    """So many tests passed."""
    CONTRACT = "contract"
    """Tests failed since a fixture is missing or breaks its contract."""
    LOGIC = "logic"
    """Tests failed on healthy services."""
    INFRASTRUCTURE = "infrastructure"
    """Tests failed since a service was down."""
    HARNESS = "harness"
    """Tests failed since what runs them broke."""
    UNDETERMINED = "undetermined"
    """Tests failed, and the evidence conflicts."""
    NO_RUN = "no-run"
    """The environment was asked for and left no run file."""
    NO_FOOTER = "no-footer"
    """The run file has no footer: the run's process was killed, or ended without one."""
    ENDED_EARLY = "ended-early"
    """The run was stopped: by a signal, a deadline or an error of pytest's."""
    BLOCKED = "blocked"
    """Tests were not run since a prerequisite had failed: the environment, or a fixture."""
    SHARD = "shard"
    """The run is one shard of a suite, and says nothing about the others."""
    NARROWED = "narrowed"
    """Only a part of the suite was asked for: by paths, `-k`, `-m` and their like."""
    NOT_RUN = "not-run"
    """Tests were planned and never ended."""
    MIXED = "mixed"
    """During the run a service was deployed anew, another commit checked out, or a file of the suite changed."""
    ZERO_TESTS = "zero-tests"
    """No test was collected."""
    NONE_PASSED = "none-passed"
    """Tests were collected and not one passed."""
    FINDING = "finding"
    """Something is wrong besides the tests: a module that cannot be imported, a missing fixture."""
    EXIT_CODE = "exit-code"
    """pytest reported a failure that no test accounts for."""
    OTHER_COMMIT = "other-commit"
    """A run is of another commit than the change, or runs are of several. A remark: a service says that it is of another."""
    NO_COMMIT = "no-commit"
    """A run is evidence of no commit: git did not tell it, or files differed from it. Or the change's commit is unknown."""
    UNEXERCISED = "unexercised"
    """A remark: a service is available, and no test that passed exercised it."""
    DESELECTED = "deselected"
    """Tests of the baseline were left out, and are still defined. A remark: tests were deselected, by `-k`, `-m` or a plugin."""
    PERFORMANCE = "performance"
    """A number that a test recorded is worse than its own history explains. A remark, unless the policy says `fail`."""
    REUSED = "reused"
    """A remark: tests were not run, since nothing that changed leads to them; their cells are an earlier commit's."""
    WAIVED = "waived"
    """A remark: tests failed, or were kept from running, as a waiver says."""
    WAIVER = "waiver"
    """A waiver has expired, matches no test or environment, or its test passes or fails for another cause."""
    KNOWN = "known"
    """A remark: tests failed, or were kept from running, as they were in the baseline."""
    FIXED = "fixed"
    """A remark: tests pass that failed in the baseline."""
    NEW = "new"
    """A remark: tests that the baseline does not know."""
    REMOVED = "removed"
    """A remark: tests of the baseline that are planned no more."""
    BASELINE = "baseline"
    """The baseline is missing, was edited by hand, is too old, or does not know the environment."""
    STALE = "stale"
    """A run is too old to count."""
    POLICY = "policy"
    """The project's policy is not met: too few tests, too many skipped, an outcome that it does not allow."""
    BUDGET = "budget"
    """A remark: tests were lost to infrastructure, no more than the policy allows."""
    FLAKY = "flaky"
    """A remark: tests failed, then passed."""
    XPASSED = "xpassed"
    """A remark: tests passed although expected to fail."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a verdict is what it is."""

    code: Code
    text: str
    """One line."""
    calls_for: Answer
    """The answer that this reason alone would give; a mere remark calls for `compatible`."""
    tests: tuple[str, ...] = ()
    """The node ids that it is about."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one environment, with every reason, the deciding ones first."""

    environment: str
    answer: Answer
    reasons: tuple[Reason, ...]


def decided(about: str, reasons: Iterable[Reason]) -> Verdict:
    """Return the verdict that reasons call for: the worst answer, with its reasons first."""
    ordered = sorted(reasons, key=lambda reason: _SEVERITY.index(reason.calls_for))
    return Verdict(about, ordered[0].calls_for, tuple(ordered))


def worst(answers: Iterable[Answer]) -> Answer:
    """Return the worst of some answers; unknown if there is none."""
    return min(answers, key=_SEVERITY.index, default=Answer.UNKNOWN)


def exit_code(verdicts: Iterable[Verdict]) -> int:
    """Return 1 if an environment is incompatible, else 3 if one is unknown or there is none, else 0."""
    return worst(verdict.answer for verdict in verdicts).exit_code


_SEVERITY = (Answer.INCOMPATIBLE, Answer.UNKNOWN, Answer.COMPATIBLE)


def number_of_tests(number: int) -> str:
    """Return `1 test` or `n tests`."""
    return "1 test" if number == 1 else f"{number} tests"
