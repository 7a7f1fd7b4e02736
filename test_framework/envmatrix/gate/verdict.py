"""The verdict on each environment: compatible, incompatible or unknown, always with reasons. Nothing empty is green."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from envmatrix.matrix.table import Matrix
from envmatrix.runs.cells import Cell, MissingRun, Run
from envmatrix.runs.events import FindingRecord
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.rules import cause_of

_EXIT_MEANINGS = {
    2: "interrupted",
    3: "internal error",
    4: "usage error",
    130: "SIGINT",
    137: "SIGKILL",
    143: "SIGTERM",
}


class Answer(enum.StrEnum):
    """Does the suite hold in this environment?"""

    COMPATIBLE = "compatible"
    """Something passed, and nothing stands against it."""
    INCOMPATIBLE = "incompatible"
    """A contract is broken, or a test failed on healthy services."""
    UNKNOWN = "unknown"
    """The run does not tell: it is missing, cut short, empty, or an outage hid the answer."""

    @property
    def exit_code(self) -> int:
        """Return what the command line ends with."""
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
    """The run file has no footer: the run was killed."""
    ENDED_EARLY = "ended-early"
    """The run was stopped: by a signal, a deadline or an error of pytest's."""
    BLOCKED = "blocked"
    """Tests were not run since what they stand on had failed: the environment, or a fixture."""
    SHARD = "shard"
    """The run is one part of a suite; what the others say is in none of it."""
    NARROWED = "narrowed"
    """Only a part of the suite was asked for: by paths, `-k`, `-m` and their like. What the rest says nobody knows."""
    NOT_RUN = "not-run"
    """Tests were planned and never ended."""
    MIXED = "mixed"
    """A service was not one and the same throughout: it was deployed anew under the run."""
    ZERO_TESTS = "zero-tests"
    """No test was collected."""
    NONE_PASSED = "none-passed"
    """Tests were collected and not one passed."""
    FINDING = "finding"
    """Something is wrong beside the tests: a module that cannot be imported, a fixture that nobody provides."""
    EXIT_CODE = "exit-code"
    """pytest reported a failure that no test accounts for."""
    OTHER_COMMIT = "other-commit"
    """A run is of another commit than the change, or runs are of several. A remark: a service says that it is of another."""
    UNEXERCISED = "unexercised"
    """A remark: a service is available, and no test that passed exercised it."""
    DESELECTED = "deselected"
    """Tests of the baseline were left out, and are still defined. A remark: tests were deselected, by `-k`, `-m` or a plugin."""
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


def judge(
    run: Run | MissingRun,
    note: str = "",
    *,
    excused: Collection[str] = (),
    more: Iterable[Reason] = (),
    as_part: bool = False,
) -> Verdict:
    """Judge one environment. `note` is what is known about the run's end beside its file.

    One reason for `incompatible` is enough, whatever else is unknown; one for `unknown` is enough against `compatible`.
    The failures of `excused` tests count for nothing; `more` reasons count like the run's own. A shard alone is unknown,
    and so is what was asked for a part of the suite, unless it is judged `as_part`: for what it is.
    """
    environment = run.environment if isinstance(run, MissingRun) else run.header.environment
    own = (_no_run(run),) if isinstance(run, MissingRun) else _reasons(run, note, frozenset(excused), as_part)
    return decided(environment, [*own, *more])


def decided(about: str, reasons: Iterable[Reason]) -> Verdict:
    """Return the verdict that reasons call for: the worst of them, and those that call for it first."""
    ordered = sorted(reasons, key=lambda reason: _SEVERITY.index(reason.calls_for))
    return Verdict(about, ordered[0].calls_for, tuple(ordered))


def worst(answers: Iterable[Answer]) -> Answer:
    """Return the worst of some answers; of none at all nobody knows."""
    return min(answers, key=_SEVERITY.index, default=Answer.UNKNOWN)


def _no_run(run: MissingRun) -> Reason:
    return Reason(Code.NO_RUN, run.reason, Answer.UNKNOWN)


def judge_all(matrix: Matrix, *, as_parts: bool = False) -> tuple[Verdict, ...]:
    """Judge every column, in the order of the columns; parts for what they are, where that is wanted."""
    return tuple(judge(column.run, column.note, as_part=as_parts) for column in matrix.columns)


def exit_code(verdicts: Iterable[Verdict]) -> int:
    """Return 1 where an environment is incompatible, else 3 where one is unknown or there is none at all, else 0."""
    return worst(verdict.answer for verdict in verdicts).exit_code


_SEVERITY = (Answer.INCOMPATIBLE, Answer.UNKNOWN, Answer.COMPATIBLE)


def _reasons(run: Run, note: str, excused: frozenset[str], as_part: bool) -> Iterator[Reason]:
    number, passed = len(run.cells), len(run.passed)
    if shard := run.header.shard:
        text = f"shard {shard} alone, with {number} of {number_of_tests(run.header.suite_size)}: envmatrix merge makes the whole"
        yield Reason(Code.SHARD, text, Answer.COMPATIBLE if as_part else Answer.UNKNOWN)
    if words := " ".join(run.header.narrowed):
        text = f"a part of the suite was asked for: {words}. Run all of it"
        yield Reason(Code.NARROWED, text, Answer.COMPATIBLE if as_part else Answer.UNKNOWN)
    yield from _about_failures(run, excused)
    yield from map(_about_finding, run.findings)
    yield from _about_the_end(run, note)
    if run.redeployed:
        text = f"the run is mixed, deployed anew under it: {'; '.join(run.redeployed)}"
        yield Reason(Code.MIXED, text, Answer.UNKNOWN)
    if not number:
        yield Reason(Code.ZERO_TESTS, "no test was collected", Answer.UNKNOWN)
    elif not passed:
        # What one shard of a suite skips says nothing of the others: whether anything passed is the whole's to say.
        answer = Answer.COMPATIBLE if shard and as_part else Answer.UNKNOWN
        yield Reason(Code.NONE_PASSED, f"not one of {number_of_tests(number)} passed", answer)
    else:
        yield Reason(Code.PASSED, f"{passed} of {number_of_tests(number)} passed{_at_earlier(run)}", Answer.COMPATIBLE)
    if others := _of_other_commits(run):
        yield Reason(
            Code.OTHER_COMMIT, f"the tests are of commit {run.header.commit[:12]}, {others}", Answer.COMPATIBLE
        )
    if idle := _unexercised(run):
        yield Reason(Code.UNEXERCISED, f"available, and no test that passed exercised it: {idle}", Answer.COMPATIBLE)
    if run.footer is not None and run.footer.deselected:
        yield Reason(
            Code.DESELECTED, f"{number_of_tests(run.footer.deselected)} deselected, and not planned", Answer.COMPATIBLE
        )
    yield from _remarks(run)


def _at_earlier(run: Run) -> str:
    number = sum(1 for cell in run.passed if cell.reused_from)
    return f", {number} of them at an earlier commit" if number else ""


def _remarks(run: Run) -> Iterator[Reason]:
    """Yield what is worth saying and changes no answer."""
    for commit, tests in run.reused.items():
        text = f"{len(tests)} of {number_of_tests(len(run.cells))} were not run now: they are of commit {commit[:12]}"
        yield Reason(Code.REUSED, text, Answer.COMPATIBLE, tuple(tests))
    for outcome, code, text in _REMARKS:
        if tests := tuple(cell.test for cell in run.ended[outcome]):
            yield Reason(code, f"{number_of_tests(len(tests))} {text}", Answer.COMPATIBLE, tests)


def _of_other_commits(run: Run) -> str:
    """Name the services that say they are of another commit than the tests; empty where all agree or nobody says."""
    claimed = {
        service: ping.identity.get("commit", "")
        for attestation in run.attestations
        for service, ping in attestation.services.items()
    }
    known = {"", "unknown", run.header.commit}
    if run.header.commit == "unknown":
        return ""
    return ", ".join(
        f"{service} is of {commit[:12]}" for service, commit in sorted(claimed.items()) if commit not in known
    )


def _unexercised(run: Run) -> str:
    """Name the services that were up and that no passed test exercised; empty where tests were left out, or not run now."""
    if run.footer is None or run.footer.deselected or run.reused:
        return ""
    up = {
        name for attestation in run.attestations for name, ping in attestation.services.items() if ping.is_up
    } & run.header.sources.keys()
    idle = up - {name for name, source in run.header.sources.items() if source == "absent"}
    passed = (cell.attempts[-1] for cell in run.passed)
    for attempt in passed:
        if not idle:
            break
        idle.difference_update(attempt.capabilities, attempt.services)
    return ", ".join(sorted(idle))


_REMARKS = (
    (Outcome.FLAKY, Code.FLAKY, "failed, then passed when tried again"),
    (Outcome.XPASSED, Code.XPASSED, "passed although expected to fail: drop the xfail mark"),
)


def _about_failures(run: Run, excused: frozenset[str]) -> Iterator[Reason]:
    failed: dict[Cause, list[str]] = {}
    for cell in run.ended[Outcome.FAILED]:
        if cell.test not in excused:
            failed.setdefault(cell.cause or Cause.UNDETERMINED, []).append(cell.test)
    for cause, text in _FAILURES.items():
        if tests := failed.get(cause):
            why = f"{number_of_tests(len(tests))} failed: {text}"
            yield Reason(Code(cause.value), why, _answer(cause), tuple(tests))
    not_run = [cell for cell in run.ended[Outcome.NOT_RUN] if cell.test not in excused]
    yield from _about_blocked([cell for cell in not_run if cell.is_blocked])
    if tests := [cell.test for cell in not_run if not cell.is_blocked]:
        yield Reason(
            Code.NOT_RUN, f"{number_of_tests(len(tests))} planned and never ended", Answer.UNKNOWN, tuple(tests)
        )


def _about_blocked(cells: list[Cell]) -> Iterator[Reason]:
    """Yield one reason for all tests that one failure kept from running."""
    waiting: dict[tuple[Cause | None, str], list[str]] = {}
    for cell in cells:
        waiting.setdefault((cell.cause, cell.reason), []).append(cell.test)
    for (cause, reason), tests in waiting.items():
        why = f"{number_of_tests(len(tests))} not run: {cause}: {reason}"
        yield Reason(Code.BLOCKED, why, _answer(cause), tuple(tests))


def _answer(cause: Cause | None) -> Answer:
    return Answer.INCOMPATIBLE if cause is not None and cause.blames_product else Answer.UNKNOWN


_FAILURES = {
    Cause.CONTRACT: "a fixture is missing or breaks its contract",
    Cause.LOGIC: "the services are healthy, the product or the test is wrong",
    Cause.INFRASTRUCTURE: "a service was down",
    Cause.HARNESS: "the harness broke",
    Cause.UNDETERMINED: "the evidence conflicts",
}


def _about_finding(finding: FindingRecord) -> Reason:
    return Reason(Code.FINDING, f"{finding.rule}: {finding.message}", _answer(cause_of(finding.rule)), finding.tests)


def _about_the_end(run: Run, note: str) -> Iterator[Reason]:
    footer = run.footer
    if footer is None:
        text = note or "the run was killed before it could write its footer"
        yield Reason(Code.NO_FOOTER, text, Answer.UNKNOWN)
        return
    code = footer.exit_code
    if not footer.ended_by_itself:
        meaning = note or footer.reason or _EXIT_MEANINGS.get(code, "no reason given")
        yield Reason(Code.ENDED_EARLY, f"ended with exit code {code}: {meaning}", Answer.UNKNOWN)
    elif note:
        yield Reason(Code.ENDED_EARLY, note, Answer.UNKNOWN)
    elif code == 1 and not _explains_failure(run):
        text = "pytest ended with exit code 1, and no test says why: read its log"
        yield Reason(Code.EXIT_CODE, text, Answer.UNKNOWN)


def _explains_failure(run: Run) -> bool:
    blocked = (cell.is_blocked for cell in run.ended[Outcome.NOT_RUN])
    return bool(run.findings or run.ended[Outcome.FAILED]) or any(blocked)


def number_of_tests(number: int) -> str:
    """Return `1 test` or `n tests`."""
    return "1 test" if number == 1 else f"{number} tests"
