"""One try of a test: what its reports, phase by phase and part by part, add up to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from typing import Any

import pytest
from msgspec.structs import replace

from envmatrix.masking import MASKER
from envmatrix.plugin.note import is_subtest, note_of
from envmatrix.runs.events import Attempt, Evidence, FailedPart
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.rules import RuleCode
from envmatrix.safety.unpatched import text_of

_OUTCOMES = ("passed", "failed", "skipped")
"""Pytest's own; plugins that try again add theirs."""

_NAMED = 3
"""Failed parts that a summary names; the evidence has all."""


class Try:
    """Follows one try of a test from its first report to its last."""

    __slots__ = ("_began", "_failed_parts", "_last", "_worst", "called", "duration")

    def __init__(self, began: float = 0.0) -> None:
        self._began = began
        self.duration = 0.0
        """Seconds of all phases so far."""
        self.called = False
        """Whether its body was run."""
        self._last: pytest.TestReport | None = None
        self._worst: pytest.TestReport | None = None
        """The report of a phase that decides the outcome, where not all of them passed."""
        self._failed_parts: list[pytest.SubtestReport] = []

    def add(self, report: pytest.TestReport) -> None:
        """Count a phase. A subtest's report is no phase: only its failure counts, and its time is the test's."""
        if is_subtest(report):
            if _has_failed(report):
                self._failed_parts.append(report)
            return
        if report.outcome not in _OUTCOMES:
            report = copy(report)  # pytest-retry makes the next try's report of it
        self._last = report
        self.duration += report.duration
        if report.when == "call":
            self.called = True
        if (report.outcome != "passed" or hasattr(report, "wasxfail")) and (
            self._worst is None or (_has_failed(report) and not _has_failed(self._worst))
        ):
            self._worst = report

    def attempt(self, test: str) -> Attempt:
        """Return the try as it is recorded."""
        measured: dict[str, Any] = {"duration": round(self.duration, 6), "began": round(self._began, 6)}
        if self._last is not None:
            note, measured["worker"] = note_of(self._last), self._last.__dict__.get("worker_id", "")
            measured |= {"services": note.services, "capabilities": note.capabilities, "requests": note.requests}
            measured["measured"] = {name: value for name, value in self._last.user_properties if _is_number(value)}
        failures = [each for each in (self._worst, *self._failed_parts) if each is not None and _has_failed(each)]
        if failures:
            ended = _failed(test, failures, self._failed_parts, note_of(self._last or failures[0]).left_over)
        elif self._worst is not None:
            ended = _not_passed(test, self._worst)
        elif self.called:
            return Attempt(test, Outcome.PASSED, **measured)
        else:
            ended = not_run(test, RuleCode.BODY_NOT_RUN, "its body was never run, so nothing of it was tested")
        return replace(ended, **measured)


def not_run(test: str, rule: RuleCode, reason: str) -> Attempt:
    """Return the end of a planned test that did not run to its end."""
    return Attempt(test, Outcome.NOT_RUN, reason=reason, cause=Cause.HARNESS, evidence=Evidence(rule, reason))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _has_failed(report: pytest.TestReport) -> bool:
    """Return whether a report is of a failure.

    Another plugin's word (`rerun`, `retried`) is of a try that failed and is made again.
    """
    return note_of(report).is_blocked or not (report.passed or report.skipped)


def _failed(
    test: str, failures: Sequence[pytest.TestReport], parts: Sequence[pytest.SubtestReport], left_over: str
) -> Attempt:
    """Return a failed try: what speaks of the product decides, else what failed first."""
    told = [(report, evidence) for report in failures if (evidence := note_of(report).evidence) is not None]
    if not told:
        summary = MASKER.mask(failures[0].longreprtext)[-500:]
        told = [(failures[0], Evidence(RuleCode.CONNECTION_LOST, summary, phase=failures[0].when))]
    report, evidence = next((each for each in told if _blames_product(each[0])), told[0])
    note = note_of(report)
    outcome, reason = Outcome.FAILED, ""
    if note.is_blocked:
        outcome, reason = Outcome.NOT_RUN, evidence.summary
    if parts:
        own = [each.summary for failed, each in told if not is_subtest(failed)]
        failed_parts = tuple(_part(part) for part in parts)
        evidence = replace(evidence, summary=_summary(failed_parts, own), parts=failed_parts)
    if left_over:
        evidence = replace(evidence, summary=f"{evidence.summary}; {left_over}")
    return Attempt(test, outcome, reason=reason, cause=note.cause or Cause.UNDETERMINED, evidence=evidence)


def _blames_product(report: pytest.TestReport) -> bool:
    cause = note_of(report).cause
    return cause is not None and cause.blames_product


def _part(report: pytest.SubtestReport) -> FailedPart:
    note = note_of(report)
    evidence = note.evidence or Evidence("", MASKER.mask(report.longreprtext)[-500:])
    return FailedPart(MASKER.mask(_label(report)), note.cause, evidence.rule, evidence.summary, evidence.place)


def _label(report: pytest.SubtestReport) -> str:
    """Return how pytest calls a part: `[part] (n=1)`."""
    values = ", ".join(f"{name}={value}" for name, value in report.context.kwargs.items())
    message = report.context.msg
    words = (f"[{message}]" if message is not None else "", f"({values})" if values else "")
    return " ".join(filter(None, words)) or "(<subtest>)"


def _summary(parts: Sequence[FailedPart], own: Sequence[str]) -> str:
    """Return one line that names the parts that failed first, and the test's own failure."""
    lines = [f"{part.label} {part.summary}" for part in parts[:_NAMED]]
    lines += [f"and {len(parts) - _NAMED} more parts"] if len(parts) > _NAMED else []
    return "; ".join(line.partition("\n")[0] for line in (*lines, *own))


def _not_passed(test: str, report: pytest.TestReport) -> Attempt:
    """Return a try that was skipped, or that its mark expected to fail."""
    if hasattr(report, "wasxfail"):
        outcome = Outcome.XFAILED if report.skipped else Outcome.XPASSED
        return Attempt(test, outcome, reason=MASKER.mask(text_of(report.wasxfail)))
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
    return Attempt(test, Outcome.SKIPPED, reason=MASKER.mask(text_of(text).removeprefix("Skipped: ")))
