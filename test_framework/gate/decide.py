"""The decision: a matrix held against its baseline, its waivers and the project's policy. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from test_framework.cells import IN_THE_END_PASSED, Cause, Cell, Outcome, Run
from test_framework.environments import GatePolicy
from test_framework.gate.baseline import Baseline, Known
from test_framework.gate.verdict import Answer, Code, Reason, Verdict, judge, number_of_tests, worst
from test_framework.gate.waivers import Waived, Waiver, apply
from test_framework.matrix import Column, Matrix, MissingRun

_LOST = frozenset({Cause.INFRASTRUCTURE, Cause.HARNESS, Cause.UNDETERMINED, None})
"""Causes that say nothing about the change."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the gate opens, and why."""

    columns: tuple[Column, ...]
    verdicts: tuple[Verdict, ...]
    """In the order of the columns."""
    overall: tuple[Reason, ...]
    """What belongs to no single environment: a waiver, the baseline as a whole."""

    @property
    def answer(self) -> Answer:
        """Return the worst of all; a gate before nothing is unknown, whatever else is said."""
        return worst(
            [worst(verdict.answer for verdict in self.verdicts), *(reason.calls_for for reason in self.overall)]
        )

    @property
    def exit_code(self) -> int:
        """Return what the command line ends with: 0 open, 1 shut, 3 unknown."""
        return self.answer.exit_code


def decide(
    matrix: Matrix,
    policy: GatePolicy,
    *,
    baseline: Baseline | None,
    waivers: Iterable[Waiver],
    now: datetime,
    overall: Iterable[Reason] = (),
) -> Decision:
    """Decide; `overall` are reasons that the caller has found already, such as a baseline that cannot be read."""
    columns = (*matrix.columns, *_missing(matrix, policy, baseline))
    waived = apply(waivers, matrix.runs, now.date())
    verdicts = tuple(_verdict(column, policy, baseline, waived) for column in columns)
    return Decision(columns, verdicts, (*overall, *_about_age(policy, baseline, now), *waived.problems))


def _missing(matrix: Matrix, policy: GatePolicy, baseline: Baseline | None) -> Iterator[Column]:
    """Yield a column for each environment that is required and has none."""
    required = policy.required or (tuple(baseline.environments) if baseline else ())
    there = {column.environment for column in matrix.columns}
    for name in dict.fromkeys(required):
        if name not in there:
            yield Column(MissingRun(name, name, "required, and there is no run of it"))


def _about_age(policy: GatePolicy, baseline: Baseline | None, now: datetime) -> Iterator[Reason]:
    limit = policy.maximum_baseline_age
    if baseline is not None and limit is not None and (age := baseline.age(now)) > limit:
        text = f"the baseline is {age:.0f} days old, at most {limit:g} are allowed: envmatrix baseline update"
        yield Reason(Code.BASELINE, text, Answer.UNKNOWN)


def _verdict(column: Column, policy: GatePolicy, baseline: Baseline | None, waived: Waived) -> Verdict:
    if isinstance(column.run, MissingRun):
        return judge(column.run)
    before = baseline.environments.get(column.environment) if baseline else None
    excuses = _Excuses.of(column.run, policy, before, waived.tests.get(column.environment, {}))
    more = [*excuses.remarks(), *_about_policy(column.run, policy)]
    if baseline is not None and before is None:
        more.append(Reason(Code.BASELINE, "the baseline does not know this environment", Answer.COMPATIBLE))
    more += _about_changes(column.run, before or {}) if before is not None else []
    return judge(column.run, column.note, excused=excuses.tests, more=more)


@dataclass(frozen=True, slots=True)
class _Excuses:
    """Failures that are not held against the change, by what excuses them."""

    waived: Mapping[str, Waiver]
    known: tuple[str, ...]
    budget: tuple[str, ...]

    @classmethod
    def of(
        cls, run: Run, policy: GatePolicy, before: Mapping[str, Known] | None, waived: Mapping[str, Waiver]
    ) -> _Excuses:
        failed = [cell for cell in run.cells.values() if cell.outcome is Outcome.FAILED and cell.test not in waived]
        known = dict.fromkeys(cell.test for cell in failed if (before or {}).get(cell.test) == Known.of(cell))
        lost = tuple(cell.test for cell in failed if cell.cause in _LOST and cell.test not in known)
        return cls(waived, tuple(known), lost if len(lost) <= policy.infrastructure_budget else ())

    @property
    def tests(self) -> frozenset[str]:
        return frozenset((*self.waived, *self.known, *self.budget))

    def remarks(self) -> Iterator[Reason]:
        for waiver in dict.fromkeys(self.waived.values()):
            tests = tuple(test for test, by in self.waived.items() if by == waiver)
            text = f"{number_of_tests(len(tests))} failed as waived until {waiver.expires}: {waiver.issue} ({waiver.owner})"
            yield Reason(Code.WAIVED, text, Answer.COMPATIBLE, tests)
        if self.known:
            text = f"{number_of_tests(len(self.known))} failed as in the baseline"
            yield Reason(Code.KNOWN, text, Answer.COMPATIBLE, self.known)
        if self.budget:
            text = f"{number_of_tests(len(self.budget))} lost to infrastructure, within the budget"
            yield Reason(Code.BUDGET, text, Answer.COMPATIBLE, self.budget)


def _about_policy(run: Run, policy: GatePolicy) -> Iterator[Reason]:
    cells = tuple(run.cells.values())
    for outcome in (Outcome.SKIPPED, Outcome.XFAILED, Outcome.XPASSED, Outcome.FLAKY):
        tests = tuple(cell.test for cell in cells if cell.outcome is outcome)
        if tests and outcome.value not in policy.allowed:
            text = f"{number_of_tests(len(tests))} {outcome}, which the policy does not allow"
            yield Reason(Code.POLICY, text, Answer.INCOMPATIBLE, tests)
    passed = sum(cell.outcome in IN_THE_END_PASSED for cell in cells)
    if passed < policy.minimum_tests:
        text = f"{passed} passed, the policy demands at least {policy.minimum_tests}"
        yield Reason(Code.POLICY, text, Answer.UNKNOWN)
    skipped = sum(cell.outcome is Outcome.SKIPPED for cell in cells)
    if skipped > policy.maximum_skipped * len(cells):
        text = f"{skipped} of {len(cells)} skipped, the policy allows at most {policy.maximum_skipped:.0%}"
        yield Reason(Code.POLICY, text, Answer.UNKNOWN)


def _about_changes(run: Run, before: Mapping[str, Known]) -> Iterator[Reason]:
    fixed = tuple(cell.test for cell in run.cells.values() if _is_fixed(cell, before))
    new = tuple(test for test in run.cells if test not in before)
    removed = tuple(test for test in before if test not in run.cells)
    for code, tests, what in (
        (Code.FIXED, fixed, "fixed since the baseline"),
        (Code.NEW, new, "new since the baseline"),
        (Code.REMOVED, removed, "of the baseline planned no more"),
    ):
        if tests:
            yield Reason(code, f"{number_of_tests(len(tests))} {what}", Answer.COMPATIBLE, tests)


def _is_fixed(cell: Cell, before: Mapping[str, Known]) -> bool:
    known = before.get(cell.test)
    return cell.outcome is Outcome.PASSED and known is not None and known.outcome is Outcome.FAILED
