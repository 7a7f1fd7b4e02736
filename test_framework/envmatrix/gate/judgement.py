"""Judge the run of one environment. Nothing empty is green."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from envmatrix.gate.verdict import Answer, Code, Reason, Verdict, decided, number_of_tests
from envmatrix.matrix.norms import Numbers, no_history, worse_numbers
from envmatrix.matrix.table import Matrix
from envmatrix.runs.cells import Cell, MissingRun, Run
from envmatrix.runs.events import FindingRecord
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.rules import RuleCode, cause_of

_EXIT_MEANINGS = {
    2: "interrupted",
    3: "internal error",
    4: "usage error",
    130: "SIGINT",
    137: "SIGKILL",
    143: "SIGTERM",
}


def judge(
    run: Run | MissingRun,
    note: str = "",
    *,
    excused: Collection[str] = (),
    more: Iterable[Reason] = (),
    as_part: bool = False,
) -> Verdict:
    """Return the verdict on one environment. `note` is what the runner knows about the run's end.

    One reason for `incompatible` is enough, whatever else is unknown; one for `unknown` is enough against `compatible`.
    The failures of `excused` tests count for nothing; `more` reasons count like the run's own. A shard alone is unknown,
    and so is what was asked for a part of the suite, unless it is judged `as_part`: for what it is.
    """
    environment = run.environment if isinstance(run, MissingRun) else run.header.environment
    own = (_no_run(run),) if isinstance(run, MissingRun) else _reasons(run, note, frozenset(excused), as_part)
    return decided(environment, [*own, *more])


def judge_all(matrix: Matrix, *, as_parts: bool = False, earlier: Numbers = no_history) -> tuple[Verdict, ...]:
    """Return the verdict on every column, in the order of the columns; `as_parts` as in `judge`.

    Numbers of tests that are worse than `earlier` ones explain are remarks.
    """
    return tuple(
        judge(column.run, column.note, as_part=as_parts, more=about_numbers(column.run, earlier))
        for column in matrix.columns
    )


def about_numbers(run: Run | MissingRun, earlier: Numbers, answer: Answer = Answer.COMPATIBLE) -> Iterator[Reason]:
    """Yield a reason for each number of a passed test that is worse than earlier runs explain."""
    if isinstance(run, MissingRun):
        return
    for cell in run.ended[Outcome.PASSED]:
        if cell.measured:
            past = earlier(run.header.label, cell.test, run.header.started_at)
            for worse in worse_numbers(cell.measured, past):
                yield Reason(Code.PERFORMANCE, str(worse), answer, (cell.test,))


def _no_run(run: MissingRun) -> Reason:
    return Reason(Code.NO_RUN, run.reason, Answer.UNKNOWN)


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
    if run.mixed:
        yield Reason(Code.MIXED, f"the run is mixed: under it, {'; '.join(run.mixed)}. Run it again", Answer.UNKNOWN)
    if not number:
        yield Reason(Code.ZERO_TESTS, "no test was collected", Answer.UNKNOWN)
    elif not passed:
        # What one shard of a suite skips says nothing of the others: whether anything passed is the whole's to say.
        answer = Answer.COMPATIBLE if shard and as_part else Answer.UNKNOWN
        yield Reason(Code.NONE_PASSED, f"not one of {number_of_tests(number)} passed", answer)
    else:
        skipped = f", {each} skipped" if (each := len(run.ended[Outcome.SKIPPED])) else ""
        text = f"{passed} of {number_of_tests(number)} passed{skipped}{_at_earlier(run)}"
        yield Reason(Code.PASSED, text, Answer.COMPATIBLE)
    if others := _of_other_commits(run):
        yield Reason(
            Code.OTHER_COMMIT, f"the tests are of commit {run.header.commit[:12]}, {others}", Answer.COMPATIBLE
        )
    if idle := ", ".join(unexercised(run)):
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
    """Yield reasons that change no answer."""
    for commit, tests in run.reused.items():
        text = f"{len(tests)} of {number_of_tests(len(run.cells))} were not run now: they are of commit {commit[:12]}"
        yield Reason(Code.REUSED, text, Answer.COMPATIBLE, tuple(tests))
    for outcome, code, text in _REMARKS:
        if tests := tuple(cell.test for cell in run.ended[outcome]):
            yield Reason(code, f"{number_of_tests(len(tests))} {text}", Answer.COMPATIBLE, tests)


def _of_other_commits(run: Run) -> str:
    """Return the services that report another commit than the tests, in one line; empty if there are none."""
    commits = {
        service: ping.identity.get("commit", "")
        for attestation in run.attestations
        for service, ping in attestation.services.items()
    }
    expected = {"", "unknown", run.header.commit}
    if run.header.commit == "unknown":
        return ""
    return ", ".join(
        f"{service} is of {commit[:12]}" for service, commit in sorted(commits.items()) if commit not in expected
    )


def unexercised(run: Run) -> list[str]:
    """Return the services that were up and that no passed test exercised; none if tests were left out or reused."""
    if run.footer is None or run.footer.deselected or run.reused:
        return []
    up = {
        name for each in run.attestations for name, ping in each.services.items() if ping.is_up
    } & run.header.sources.keys()
    idle = up - {name for name, source in run.header.sources.items() if source == "absent"}
    last = [cell.attempts[-1] for cell in run.passed]
    exercised = {each.capabilities for each in last} | {each.services for each in last}
    return sorted(idle.difference(*exercised))


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
            Code.NOT_RUN,
            f"{number_of_tests(len(tests))} planned and never ended, in their order the first is {tests[0]}",
            Answer.UNKNOWN,
            tuple(tests),
        )


def _about_blocked(cells: list[Cell]) -> Iterator[Reason]:
    """Yield one reason for each failure that kept tests from running."""
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
    Cause.LOGIC: "the product or the test is wrong",
    Cause.INFRASTRUCTURE: "a service was down",
    Cause.HARNESS: "the harness broke",
    Cause.UNDETERMINED: "the evidence conflicts",
}


def _about_finding(finding: FindingRecord) -> Reason:
    # Outcomes are pytest's own: lost evidence of a test that passed changes no answer.
    answer = Answer.COMPATIBLE if finding.rule == RuleCode.EVIDENCE_LOST else _answer(cause_of(finding.rule))
    return Reason(Code.FINDING, f"{finding.rule}: {finding.message}", answer, finding.tests)


def _about_the_end(run: Run, note: str) -> Iterator[Reason]:
    footer = run.footer
    if footer is None:
        text = note or "the run file has no footer: its process was killed, or ended without one"
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
