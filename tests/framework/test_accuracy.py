"""The scoring of the accuracy suite never grades an answer too well; `python -m tests.accuracy` runs the cases."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from envmatrix.gate import Answer, Code, Reason, Verdict, judge
from envmatrix.runs.events import Attempt, Evidence, FindingRecord
from envmatrix.runs.outcomes import Cause, Outcome
from tests.accuracy.case import Case, Truth
from tests.accuracy.cases import CASES
from tests.accuracy.run import Seen, part
from tests.accuracy.score import Grade, Result, Score, grade, score
from tests.framework.run_files import footer, write_run

OUTAGE = Case("outage", "a service is killed", Truth.INFRASTRUCTURE, "", rule="I201", also={"test_alone": Truth.PASSED})
HEALTHY = Case("healthy", "nothing", Truth.PASSED, "")
REDEPLOYED = Case("redeployed", "another commit answers", Truth.UNDETERMINED, "", whole=True)


def attempt(name: str, outcome: Outcome = Outcome.PASSED, cause: Cause | None = None, rule: str = "") -> Attempt:
    """What became of one test."""
    return Attempt(f"test_case.py::{name}", outcome, cause=cause, evidence=Evidence(rule, "seen") if rule else None)


def seen(
    path: Path, *attempts: Attempt, answer: Answer | None = None, findings: tuple[FindingRecord, ...] = ()
) -> Seen:
    """A run with these attempts, judged by the gate unless an answer is given."""
    failed = any(each.outcome is Outcome.FAILED for each in attempts)
    run = write_run(path / "run.jsonl", *attempts, findings=findings, end=footer(int(failed)))
    reason = Reason(Code.PASSED, "made up", answer or Answer.UNKNOWN)
    return Seen(run, Verdict("tiny", answer, (reason,)) if answer else judge(run))


def result(case: Case, given: Grade, *, left: tuple[str, ...] = ()) -> Result:
    """A made-up result."""
    return Result(case, case.truth, case.truth, given, left=left)


ALONE = attempt("test_alone")
RIGHT = attempt("test_a", Outcome.FAILED, Cause.INFRASTRUCTURE, "I201")


def test_a_right_answer_is_ok(tmp_path: Path) -> None:
    """Cause, rule, the tests beside it and the verdict are all as they should be."""
    graded = grade(OUTAGE, seen(tmp_path, RIGHT, ALONE))
    assert (graded.grade, graded.expected, graded.found) == (Grade.OK, Truth.INFRASTRUCTURE, Truth.INFRASTRUCTURE)
    assert graded.rule == "I201"
    assert graded.why == ""


@pytest.mark.parametrize("outcome", [Outcome.PASSED, Outcome.SKIPPED, Outcome.XFAILED, Outcome.XPASSED])
def test_green_where_a_failure_was_due_is_a_false_green(tmp_path: Path, outcome: Outcome) -> None:
    """Whatever the verdict says: the cell alone misleads."""
    graded = grade(OUTAGE, seen(tmp_path, attempt("test_a", outcome), ALONE, answer=Answer.UNKNOWN))
    assert (graded.grade, graded.expected, graded.found) == (Grade.FALSE_GREEN, Truth.INFRASTRUCTURE, Truth.PASSED)


def test_a_compatible_verdict_where_none_was_due_is_a_false_green(tmp_path: Path) -> None:
    """Also where every cell is right."""
    assert grade(OUTAGE, seen(tmp_path, RIGHT, ALONE, answer=Answer.COMPATIBLE)).grade is Grade.FALSE_GREEN
    tmp_path.joinpath("run.jsonl").unlink()
    assert grade(REDEPLOYED, seen(tmp_path, ALONE)).grade is Grade.FALSE_GREEN


@pytest.mark.parametrize("cause", [Cause.LOGIC, Cause.CONTRACT, Cause.HARNESS])
def test_another_cause_is_wrong(tmp_path: Path, cause: Cause) -> None:
    """It says so with confidence."""
    graded = grade(OUTAGE, seen(tmp_path, attempt("test_a", Outcome.FAILED, cause, "X1"), ALONE))
    assert (graded.grade, graded.found) == (Grade.WRONG, Truth(cause.value))


def test_a_failure_in_a_shared_run_is_that_of_its_case_alone(tmp_path: Path) -> None:
    """One exit code stands for all of them."""
    failed = Attempt("test_0.py::test_a", Outcome.FAILED, cause=Cause.LOGIC, evidence=Evidence("L401", "seen"))
    whole = seen(tmp_path, failed, Attempt("test_1.py::test_a", Outcome.PASSED))
    assert [part(whole, number).verdict.answer for number in (0, 1)] == [Answer.INCOMPATIBLE, Answer.COMPATIBLE]


def test_not_knowing_is_undetermined_and_never_wrong(tmp_path: Path) -> None:
    """By its cause, or since the run left no cell."""
    unsure = attempt("test_a", Outcome.FAILED, Cause.UNDETERMINED, "U501")
    assert grade(OUTAGE, seen(tmp_path, unsure, ALONE)).grade is Grade.UNDETERMINED
    nothing = Seen(None, Verdict("tiny", Answer.UNKNOWN, (Reason(Code.NO_RUN, "left no run file", Answer.UNKNOWN),)))
    assert grade(OUTAGE, nothing).grade is Grade.UNDETERMINED


def test_knowing_where_nobody_can_know_is_wrong(tmp_path: Path) -> None:
    """Where the evidence conflicts, a cause is a guess."""
    conflict = Case("reset", "one path resets", Truth.UNDETERMINED, "")
    sure = attempt("test_a", Outcome.FAILED, Cause.LOGIC, "L401")
    assert grade(conflict, seen(tmp_path, sure)).grade is Grade.WRONG


def test_the_right_cause_by_another_rule_is_inexact(tmp_path: Path) -> None:
    """So it is with another outcome; it counts against the share, and as nothing worse."""
    other = attempt("test_a", Outcome.FAILED, Cause.INFRASTRUCTURE, "I202")
    assert grade(OUTAGE, seen(tmp_path, other, ALONE)).grade is Grade.INEXACT


@pytest.mark.parametrize(
    ("answer", "expected"), [(Answer.INCOMPATIBLE, Grade.WRONG), (Answer.UNKNOWN, Grade.UNDETERMINED)]
)
def test_a_healthy_run_that_is_not_compatible_is_not_ok(tmp_path: Path, answer: Answer, expected: Grade) -> None:
    """A tool that says red to everything fails by its controls."""
    assert grade(HEALTHY, seen(tmp_path, attempt("test_a"), answer=answer)).grade is expected


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.NOT_RUN, Outcome.SKIPPED])
def test_a_healthy_test_that_does_not_pass_is_wrong(tmp_path: Path, outcome: Outcome) -> None:
    """Also beside a fault that is none of its business."""
    cause = None if outcome is Outcome.SKIPPED else Cause.INFRASTRUCTURE
    hit = attempt("test_alone", outcome, cause, "I201" if cause else "")
    graded = grade(OUTAGE, seen(tmp_path, RIGHT, hit))
    assert (graded.grade, graded.expected) == (Grade.WRONG, Truth.PASSED)


def test_an_outage_that_blocks_a_merge_is_wrong(tmp_path: Path) -> None:
    """The cells are right and the verdict is not: it says incompatible where the run does not tell."""
    assert grade(OUTAGE, seen(tmp_path, RIGHT, ALONE, answer=Answer.INCOMPATIBLE)).grade is Grade.WRONG


def test_a_run_that_had_to_be_killed_is_wrong(tmp_path: Path) -> None:
    """Whatever its file says by then: the tool hung."""
    assert grade(OUTAGE, replace(seen(tmp_path, RIGHT, ALONE), overdue=True)).grade is Grade.WRONG


def test_what_belongs_to_the_run_is_read_from_its_findings(tmp_path: Path) -> None:
    """A module that cannot be imported has no cell."""
    case = Case("collection", "an import fails", Truth.HARNESS, "", rule="H304", whole=True)
    finding = FindingRecord(rule="H304", message="test_other.py could not be collected")
    assert grade(case, seen(tmp_path, findings=(finding,))).grade is Grade.OK
    tmp_path.joinpath("run.jsonl").unlink()
    assert grade(case, seen(tmp_path)).grade is Grade.UNDETERMINED


def test_ninety_five_of_a_hundred_are_enough_and_ninety_four_are_not() -> None:
    """The rest may be undetermined or inexact."""
    rest = [Grade.UNDETERMINED, Grade.INEXACT]
    enough = Score(tuple(result(OUTAGE, Grade.OK if n >= 5 else rest[n % 2]) for n in range(100)))
    assert (enough.exact, enough.holds) == (0.95, True)
    short = Score(tuple(result(OUTAGE, Grade.OK if n >= 6 else rest[n % 2]) for n in range(100)))
    assert not short.holds


@pytest.mark.parametrize("worst", [Grade.WRONG, Grade.FALSE_GREEN])
def test_one_wrong_or_false_green_is_too_many(worst: Grade) -> None:
    """However many are exact."""
    assert not Score((*[result(OUTAGE, Grade.OK)] * 999, result(OUTAGE, worst))).holds


def test_a_run_that_leaves_something_behind_is_too_many() -> None:
    """A process or a directory that outlives its run by ten seconds."""
    assert not Score((result(OUTAGE, Grade.OK, left=("sleep 1000",)),)).holds


def test_nothing_measured_does_not_hold() -> None:
    """No case is no proof."""
    assert not Score(()).holds


def test_the_confusion_counts_each_case_once_in_the_order_of_the_cases() -> None:
    """Rows are what is true, columns what was found; results come as they end."""
    wrong = Result(OUTAGE, Truth.INFRASTRUCTURE, Truth.LOGIC, Grade.WRONG)
    figures = score([wrong, result(HEALTHY, Grade.OK)], [HEALTHY, OUTAGE])
    assert [each.case.name for each in figures.results] == ["healthy", "outage"]
    assert figures.confusion[Truth.INFRASTRUCTURE] == {Truth.LOGIC: 1}
    assert figures.confusion[Truth.PASSED] == {Truth.PASSED: 1}


def test_the_cases_are_enough_and_told_apart() -> None:
    """At least 45 faults, of every cause, beside at least ten runs in which nothing is the matter."""
    assert len({case.name for case in CASES}) == len(CASES)
    faults = [case for case in CASES if case.truth is not Truth.PASSED]
    assert len(faults) >= 45
    assert len(CASES) - len(faults) >= 10
    assert {case.truth for case in CASES} == {*Truth}


def test_cases_that_share_a_run_differ_in_their_tests_alone() -> None:
    """What one of them asks for, the others get too."""
    groups: dict[str, set[str]] = {}
    for case in CASES:
        if case.shared:
            asked = (case.truth, case.environment, dict(case.faults), case.remotes, case.conftest, case.arguments)
            groups.setdefault(case.shared, set()).add(repr(asked))
    assert {name: len(asked) for name, asked in groups.items()} == dict.fromkeys(groups, 1)


def test_the_command_tells_a_machine_and_exits_by_the_score() -> None:
    """One real case from end to end, the shortest that there is."""
    command = [sys.executable, "-m", "tests.accuracy", "zero tests", "--json"]
    ended = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert (told["holds"], told["false_greens"], told["exact"]) == (True, 0, 1.0)
    assert [case["grade"] for case in told["cases"]] == ["ok"]
