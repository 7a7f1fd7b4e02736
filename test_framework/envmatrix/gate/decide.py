"""Decide on a matrix by its baseline, its waivers and the project's policy. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from envmatrix.environments import GatePolicy
from envmatrix.gate.baseline import Baseline, Known
from envmatrix.gate.judgement import about_numbers, judge
from envmatrix.gate.source import StillThere, nowhere
from envmatrix.gate.verdict import Answer, Code, Reason, Verdict, decided, number_of_tests, worst
from envmatrix.gate.waivers import AppliedWaivers, Waiver, apply, counts_as_failed
from envmatrix.matrix.norms import Numbers, no_history
from envmatrix.matrix.table import Column, Matrix
from envmatrix.runs.cells import MissingRun, Run
from envmatrix.runs.nodeid import function_of
from envmatrix.runs.outcomes import Cause, Outcome

_REMARKED = {Outcome.FLAKY: Code.FLAKY, Outcome.XPASSED: Code.XPASSED}
"""Outcomes on which every verdict has a remark of its own."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the gate opens, and why."""

    columns: tuple[Column, ...]
    verdicts: tuple[Verdict, ...]
    """In the order of the columns."""
    overall: tuple[Reason, ...]
    """Reasons that belong to no single environment: a waiver, the baseline as a whole."""
    baseline: Baseline | None = None
    """The baseline that the runs were compared with."""

    @property
    def answer(self) -> Answer:
        """Return the worst answer of all; without any verdict it is unknown."""
        return worst(
            [worst(verdict.answer for verdict in self.verdicts), *(reason.calls_for for reason in self.overall)]
        )

    @property
    def exit_code(self) -> int:
        """Return the exit code of the command line: 0 open, 1 shut, 3 unknown."""
        return self.answer.exit_code


def decide(
    matrix: Matrix,
    policy: GatePolicy,
    *,
    baseline: Baseline | None,
    waivers: Iterable[Waiver],
    now: datetime,
    overall: Iterable[Reason] = (),
    commit: str = "",
    declared: Collection[str] | None = None,
    still_there: StillThere = nowhere,
    earlier: Numbers = no_history,
) -> Decision:
    """Return whether the gate opens, with a verdict on each environment.

    `overall` are reasons that the caller has already, such as a baseline that cannot be read. `commit` is the full name of
    the change's commit, empty if unknown. `declared` are the declared environments, `None` if unknown. `still_there` tells
    a test that was left out from one that was removed. `earlier` tells the numbers that tests recorded before.
    """
    columns = (*matrix.columns, *_missing(matrix, policy, baseline, declared))
    places = None if declared is None else {*declared, *(column.judged_as for column in columns)}
    waived = apply(waivers, matrix.runs, now.date(), places)
    comparison = _Comparison(policy, baseline, waived, commit, still_there, earlier)
    verdicts = tuple(comparison.verdict(column) for column in columns)
    reasons = (*overall, *_about_commits(matrix), *_about_age(policy, baseline, now), *waived.problems)
    return Decision(columns, verdicts, reasons, baseline)


def _missing(
    matrix: Matrix, policy: GatePolicy, baseline: Baseline | None, declared: Collection[str] | None
) -> Iterator[Column]:
    """Yield a column for each environment that is required and has none."""
    required = policy.required or (tuple(baseline.environments) if baseline else ())
    there = {column.judged_as for column in matrix.columns}
    for name in dict.fromkeys(required):
        if name in there:
            continue
        why = "required, and there is no run of it"
        if declared is not None and name not in declared:
            why = "required by the policy, and not declared"
            if not policy.required:
                why = "of the baseline, and declared no more: envmatrix baseline update drops it"
        yield Column(MissingRun(name, name, why))


def _about_commits(matrix: Matrix) -> Iterator[Reason]:
    if len(matrix.commits) > 1:
        which = ", ".join(commit[:12] for commit in matrix.commits)
        yield Reason(
            Code.OTHER_COMMIT, f"runs of several commits say nothing about any of them: {which}", Answer.UNKNOWN
        )


def _about_age(policy: GatePolicy, baseline: Baseline | None, now: datetime) -> Iterator[Reason]:
    limit = policy.maximum_baseline_age
    if baseline is not None and limit is not None and (age := baseline.age(now)) > limit:
        text = f"the baseline is {age:.0f} days old, at most {limit:g} are allowed: envmatrix baseline update"
        yield Reason(Code.BASELINE, text, Answer.UNKNOWN)


@dataclass(frozen=True, slots=True)
class _Comparison:
    """What each run is compared with."""

    policy: GatePolicy
    baseline: Baseline | None
    waived: AppliedWaivers
    commit: str
    still_there: StillThere
    earlier: Numbers

    def verdict(self, column: Column) -> Verdict:
        """Judge one environment."""
        if isinstance(column.run, MissingRun):
            return judge(column.run)
        before = self.baseline.environments.get(column.judged_as) if self.baseline else None
        excuses = _Excuses.of(column.run, self.policy, before, self.waived.tests.get(column.environment, {}))
        more = [*excuses.remarks(), *_about_policy(column.run, self.policy), *self._about_commit(column.run)]
        if self.policy.performance != "ignore":
            fails = self.policy.performance == "fail"
            more += about_numbers(column.run, self.earlier, Answer.INCOMPATIBLE if fails else Answer.COMPATIBLE)
        if before is not None:
            more += _about_changes(column.run, before, self.still_there)
        elif self.baseline is not None:
            more.append(Reason(Code.BASELINE, "the baseline does not know this environment", Answer.COMPATIBLE))
        judged = judge(column.run, column.note, excused=excuses.tests, more=more)
        superseded = {code for outcome, code in _REMARKED.items() if outcome.value not in self.policy.allowed}
        return decided(judged.environment, [reason for reason in judged.reasons if reason.code not in superseded])

    def _about_commit(self, run: Run) -> Iterator[Reason]:
        commit = run.header.commit
        if commit == "unknown":
            why = run.header.commit_problem or "git did not tell it"
            text = f"of no commit that is known: {why}. Run it again where git answers"
            yield Reason(Code.NO_COMMIT, text, Answer.UNKNOWN)
        elif self.commit and commit != self.commit:
            text = f"of another commit: it was run at {commit[:12]}, the change is {self.commit[:12]}. Run it again"
            yield Reason(Code.OTHER_COMMIT, text, Answer.UNKNOWN)
        if run.header.dirty and not self.policy.allow_dirty:
            text = f"of no commit: it was run with files that differ from {commit[:12]}: git status. Commit, ignore or remove them, and run it again"
            yield Reason(Code.NO_COMMIT, text, Answer.UNKNOWN)


@dataclass(frozen=True, slots=True)
class _Excuses:
    """Failures that do not count against the change, by what excuses them."""

    run: Run
    waived: Mapping[str, Waiver]
    known: tuple[str, ...]
    budget: tuple[str, ...]

    @classmethod
    def of(
        cls, run: Run, policy: GatePolicy, before: Mapping[str, Known] | None, waived: Mapping[str, Waiver]
    ) -> _Excuses:
        ended = (*run.ended[Outcome.FAILED], *run.ended[Outcome.NOT_RUN])
        failures = [cell for cell in ended if counts_as_failed(cell) and cell.test not in waived]
        blamed = {
            cell.test: Known.of(cell) for cell in failures if cell.cause is not None and cell.cause.blames_product
        }
        # An outage tells nothing about the change, also where the baseline has the same one.
        lost = tuple(cell.test for cell in failures if cell.test not in blamed)
        known = tuple(test for test, now in blamed.items() if (before or {}).get(test) == now)
        return cls(run, waived, known, lost if len(lost) <= policy.infrastructure_budget else ())

    @property
    def tests(self) -> frozenset[str]:
        return frozenset((*self.waived, *self.known, *self.budget))

    def remarks(self) -> Iterator[Reason]:
        for waiver in dict.fromkeys(self.waived.values()):
            tests = tuple(test for test, by in self.waived.items() if by == waiver)
            text = f"{self._ended(tests)} as waived until {waiver.expires}: {waiver.issue} ({waiver.owner})"
            yield Reason(Code.WAIVED, text, Answer.COMPATIBLE, tests)
        if self.known:
            text = f"{self._ended(self.known)} as in the baseline"
            yield Reason(Code.KNOWN, text, Answer.COMPATIBLE, self.known)
        if self.budget:
            text = f"{number_of_tests(len(self.budget))} lost to infrastructure, within the budget"
            yield Reason(Code.BUDGET, text, Answer.COMPATIBLE, self.budget)

    def _ended(self, tests: Collection[str]) -> str:
        words = {"not run" if self.run.cells[test].is_blocked else "failed" for test in tests}
        return f"{number_of_tests(len(tests))} {' or '.join(sorted(words))}"


def _about_policy(run: Run, policy: GatePolicy) -> Iterator[Reason]:
    for outcome in (Outcome.SKIPPED, Outcome.XFAILED, Outcome.XPASSED, Outcome.FLAKY):
        tests = tuple(cell.test for cell in run.ended[outcome])
        if tests and outcome.value not in policy.allowed:
            text = f"{number_of_tests(len(tests))} {outcome}, which the policy does not allow"
            text += ": drop the xfail mark" if outcome is Outcome.XPASSED else ""
            yield Reason(Code.POLICY, text, Answer.INCOMPATIBLE, tests)
    passed = len(run.passed)
    if passed < policy.minimum_tests:
        text = f"{passed} passed, the policy demands at least {policy.minimum_tests}"
        yield Reason(Code.POLICY, text, Answer.UNKNOWN)
    skipped = len(run.ended[Outcome.SKIPPED])
    if skipped > policy.maximum_skipped * len(run.cells):
        text = f"{skipped} of {len(run.cells)} skipped, the policy allows at most {policy.maximum_skipped:.0%}"
        yield Reason(Code.POLICY, text, Answer.UNKNOWN)


def _about_changes(run: Run, before: Mapping[str, Known], still_there: StillThere) -> Iterator[Reason]:
    fixed = tuple(cell.test for cell in run.ended[Outcome.PASSED] if _has_failed(before.get(cell.test)))
    new = tuple(test for test in run.cells if test not in before)
    gone = dict.fromkeys(test for test in before if test not in run.cells)
    if run.header.narrowed and gone:
        text = f"{number_of_tests(len(gone))} of the baseline not asked for"
        yield Reason(Code.NARROWED, text, Answer.UNKNOWN, tuple(gone))
        gone = {}
    left_out = _left_out(run, gone, still_there)
    if left_out:
        text = f"{number_of_tests(len(left_out))} of the baseline left out: defined as before, and not planned"
        yield Reason(Code.DESELECTED, text, Answer.UNKNOWN, left_out)
    yield from _about_causes(run, before)
    for code, tests, what in (
        (Code.FIXED, fixed, "fixed since the baseline"),
        (Code.NEW, new, "new since the baseline"),
        (Code.REMOVED, tuple(test for test in gone if test not in left_out), "of the baseline planned no more"),
    ):
        if tests:
            yield Reason(code, f"{number_of_tests(len(tests))} {what}", Answer.COMPATIBLE, tests)


def _about_causes(run: Run, before: Mapping[str, Known]) -> Iterator[Reason]:
    """Yield a reason for failures that the baseline has with another cause: they count against the change."""
    was: dict[Cause, list[str]] = {}
    for cell in run.ended[Outcome.FAILED]:
        known = before.get(cell.test)
        if known is not None and known.cause is not None and known.cause is not cell.cause:
            was.setdefault(known.cause, []).append(cell.test)
    for cause, tests in was.items():
        text = f"{number_of_tests(len(tests))} failed in the baseline for another cause: {cause}"
        yield Reason(Code.KNOWN, text, Answer.COMPATIBLE, tuple(tests))


def _left_out(run: Run, gone: Collection[str], still_there: StillThere) -> tuple[str, ...]:
    """Return the tests of the baseline that are still defined, and that an option or a setting kept out of the run.

    A function that was planned with other parameters has changed, unless tests were deselected.
    """
    if not gone:
        return ()
    planned = set() if run.footer and run.footer.deselected else {function_of(test) for test in run.cells}
    return tuple(test for test in gone if function_of(test) not in planned and still_there(test))


def _has_failed(known: Known | None) -> bool:
    return known is not None and known.outcome.counts_as_failed
