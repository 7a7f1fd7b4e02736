"""Verdicts: nothing empty is green, and every answer has its reasons."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from envmatrix.gate import Answer, Code, Reason, Verdict, exit_code, judge, judge_all
from envmatrix.matrix.table import Matrix
from envmatrix.runs.cells import MissingRun
from envmatrix.runs.events import Attempt, Attestation, Evidence, FindingRecord, Footer
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.ping import Ping, PingStatus
from tests.framework.run_files import footer, write_run

PASSED = Attempt("a.py::passed", Outcome.PASSED)
SKIPPED = Attempt("a.py::skipped", Outcome.SKIPPED, reason="not here")
XFAILED = Attempt("a.py::xfailed", Outcome.XFAILED, reason="known")
XPASSED = Attempt("a.py::xpassed", Outcome.XPASSED, reason="was known")


def failed(cause: Cause | None, name: str = "failed") -> Attempt:
    """A failure by a cause."""
    return Attempt(f"a.py::{name}", Outcome.FAILED, cause=cause)


def verdict(
    path: Path,
    *attempts: Attempt,
    planned: list[str] | None = None,
    findings: tuple[FindingRecord, ...] = (),
    end: Footer | None = None,
    footless: bool = False,
    note: str = "",
) -> Verdict:
    """The verdict on a run; its footer says what pytest would."""
    broken = any(attempt.outcome is Outcome.FAILED for attempt in attempts) or findings
    end = None if footless else end or footer(exit_code=1 if broken else 0)
    return judge(write_run(path / "run.jsonl", *attempts, planned=planned, findings=findings, end=end), note)


def codes(verdict: Verdict) -> list[Code]:
    """What the reasons are about."""
    return [reason.code for reason in verdict.reasons]


def test_all_passed_is_compatible(tmp_path: Path) -> None:
    """The reason says how many; skipped and expected failures do not count as passed."""
    judged = verdict(tmp_path, PASSED, SKIPPED, XFAILED)
    assert judged == Verdict(
        "local", Answer.COMPATIBLE, (Reason(Code.PASSED, "1 of 3 tests passed, 1 skipped", Answer.COMPATIBLE),)
    )


@pytest.mark.parametrize(
    ("cause", "answer"),
    [
        (Cause.CONTRACT, Answer.INCOMPATIBLE),
        (Cause.LOGIC, Answer.INCOMPATIBLE),
        (Cause.INFRASTRUCTURE, Answer.UNKNOWN),
        (Cause.HARNESS, Answer.UNKNOWN),
        (Cause.UNDETERMINED, Answer.UNKNOWN),
        (None, Answer.UNKNOWN),
    ],
)
def test_the_cause_of_a_failure_decides(tmp_path: Path, cause: Cause | None, answer: Answer) -> None:
    """A broken contract or product is incompatible; whatever hid the answer leaves it unknown. Never compatible."""
    judged = verdict(tmp_path, PASSED, failed(cause))
    assert judged.answer is answer
    assert judged.reasons[0].code == (cause or Cause.UNDETERMINED).value
    assert judged.reasons[0].tests == ("a.py::failed",)


def test_incompatible_beats_unknown(tmp_path: Path) -> None:
    """One failure on healthy services is enough, whatever else is not known; its reason comes first."""
    judged = verdict(tmp_path, PASSED, failed(Cause.INFRASTRUCTURE, "down"), failed(Cause.LOGIC), footless=True)
    assert judged.answer is Answer.INCOMPATIBLE
    assert codes(judged) == [Code.LOGIC, Code.INFRASTRUCTURE, Code.NO_FOOTER, Code.PASSED]


@pytest.mark.fault("missing-shard")
def test_a_missing_run_is_unknown() -> None:
    """With the reason that is known."""
    judged = judge(MissingRun("staging", "staging", "pytest ended with exit code 4"))
    assert judged.answer is Answer.UNKNOWN
    assert judged.reasons == (Reason(Code.NO_RUN, "pytest ended with exit code 4", Answer.UNKNOWN),)


@pytest.mark.fault("zero-tests")
def test_zero_tests_are_unknown(tmp_path: Path) -> None:
    """A run that collected nothing, and ended well, says nothing."""
    judged = verdict(tmp_path, end=footer(exit_code=5))
    assert (judged.answer, codes(judged)) == (Answer.UNKNOWN, [Code.ZERO_TESTS])


@pytest.mark.fault("all-skipped")
@pytest.mark.parametrize("attempt", [SKIPPED, XFAILED, XPASSED], ids=lambda attempt: attempt.outcome)
def test_a_run_in_which_nothing_passed_is_unknown(tmp_path: Path, attempt: Attempt) -> None:
    """Pytest's exit code is 0, ours is not."""
    judged = verdict(tmp_path, attempt)
    assert judged.answer is Answer.UNKNOWN
    assert judged.reasons[0].text == "not one of 1 test passed"


@pytest.mark.fault("all-skipped")
def test_a_shard_in_which_all_is_skipped_is_no_reason_by_itself(tmp_path: Path) -> None:
    """Judged as a part it says so, and leaves the answer to the whole; alone it tells nothing."""
    run = write_run(tmp_path / "run.jsonl", SKIPPED)
    shard = replace(run, header=structs.replace(run.header, shard="1/2", suite_size=2))
    assert Code.NONE_PASSED in codes(judge(shard, as_part=True))
    assert [judge(shard, as_part=as_part).answer for as_part in (True, False)] == [Answer.COMPATIBLE, Answer.UNKNOWN]
    assert judge(run, as_part=True).answer is Answer.UNKNOWN, "a whole run is no part, whoever asks"


def test_a_run_of_a_part_of_the_suite_is_unknown(tmp_path: Path) -> None:
    """What was given to pytest is named; who has just asked for that part gets its own answer."""
    run = write_run(tmp_path / "run.jsonl", PASSED, narrowed=("tests/x.py", "-k login"))
    judged = judge(run)
    assert (judged.answer, codes(judged)) == (Answer.UNKNOWN, [Code.NARROWED, Code.PASSED])
    assert judged.reasons[0].text == "a part of the suite was asked for: tests/x.py -k login. Run all of it"
    assert judge(run, as_part=True).answer is Answer.COMPATIBLE


@pytest.mark.fault("half-written-jsonl")
def test_a_run_without_its_footer_is_unknown(tmp_path: Path) -> None:
    """Also where every planned test passed: what else it would have said is lost."""
    judged = verdict(tmp_path, PASSED, footless=True)
    assert (judged.answer, codes(judged)) == (Answer.UNKNOWN, [Code.NO_FOOTER, Code.PASSED])


def test_what_the_runner_knows_is_the_reason(tmp_path: Path) -> None:
    """Killed by whom is not in the file; the note says it."""
    judged = verdict(tmp_path, PASSED, footless=True, note="deadline of 30 s passed")
    assert judged.reasons[0].text == "deadline of 30 s passed"


def test_a_planned_test_without_an_end_is_unknown(tmp_path: Path) -> None:
    """The reason names the tests."""
    judged = verdict(tmp_path, PASSED, planned=["a.py::passed", "a.py::never"])
    assert judged.answer is Answer.UNKNOWN
    text = "1 test planned and never ended, in their order the first is a.py::never"
    assert judged.reasons[0] == Reason(Code.NOT_RUN, text, Answer.UNKNOWN, ("a.py::never",))


@pytest.mark.fault("runner-sigterm")
@pytest.mark.parametrize(
    ("end", "text"),
    [
        (footer(143, "terminated by SIGTERM"), "ended with exit code 143: terminated by SIGTERM"),
        (footer(2), "ended with exit code 2: interrupted"),
        (footer(3), "ended with exit code 3: internal error"),
        (footer(99), "ended with exit code 99: no reason given"),
    ],
)
def test_a_run_that_ended_early_is_unknown(tmp_path: Path, end: Footer, text: str) -> None:
    """Also where every planned test passed; the reason is the footer's, else what the code means."""
    judged = verdict(tmp_path, PASSED, end=end)
    assert judged.answer is Answer.UNKNOWN
    assert judged.reasons[0] == Reason(Code.ENDED_EARLY, text, Answer.UNKNOWN)


def test_a_failure_that_no_test_accounts_for_is_unknown(tmp_path: Path) -> None:
    """Pytest said 1, all tests passed: a plugin failed the run, and its log says why."""
    judged = verdict(tmp_path, PASSED, end=footer(exit_code=1))
    assert (judged.answer, codes(judged)) == (Answer.UNKNOWN, [Code.EXIT_CODE, Code.PASSED])


@pytest.mark.parametrize(
    ("rule", "answer"),
    [
        ("C101", Answer.INCOMPATIBLE),
        ("I201", Answer.UNKNOWN),
        ("H304", Answer.UNKNOWN),
        ("X999", Answer.UNKNOWN),
        ("", Answer.UNKNOWN),
    ],
)
def test_a_finding_is_never_green(tmp_path: Path, rule: str, answer: Answer) -> None:
    """A contract's breach is incompatible, anything else unknown, also by a rule that we don't know."""
    finding = FindingRecord(rule=rule, message="something is wrong", tests=("a.py::x",))
    judged = verdict(tmp_path, PASSED, findings=(finding,))
    assert judged.answer is answer
    assert judged.reasons[0].text.endswith("something is wrong")
    assert judged.reasons[0].tests == ("a.py::x",)


@pytest.mark.fault("raising-str")
def test_lost_evidence_changes_no_answer(tmp_path: Path) -> None:
    """A passed test of which one of our own hooks lost the evidence has passed; the remark is among the reasons."""
    judged = verdict(tmp_path, PASSED, findings=(FindingRecord(rule="H307", message="lost", tests=("a.py::x",)),))
    assert judged.answer is Answer.COMPATIBLE
    assert "H307: lost" in [reason.text for reason in judged.reasons]


@pytest.mark.fault("flaky-retry")
def test_flaky_is_compatible_and_said(tmp_path: Path) -> None:
    """A test that failed and then passed did pass; the remark names it."""
    retried = Attempt("a.py::failed", Outcome.PASSED)
    judged = verdict(tmp_path, failed(Cause.INFRASTRUCTURE), retried, end=footer())
    assert (judged.answer, codes(judged)) == (Answer.COMPATIBLE, [Code.PASSED, Code.FLAKY])
    assert judged.reasons[1].tests == ("a.py::failed",)


def test_an_unexpected_pass_is_said(tmp_path: Path) -> None:
    """Not strict, so the author allowed it: a remark, no failure."""
    judged = verdict(tmp_path, PASSED, XPASSED)
    assert (judged.answer, codes(judged)) == (Answer.COMPATIBLE, [Code.PASSED, Code.XPASSED])


def test_the_exit_code_is_that_of_the_worst_answer() -> None:
    """1 where an environment is incompatible, else 3 where one is unknown, or where there is none at all."""
    good, bad, open_ = (Verdict("e", answer, ()) for answer in Answer)
    assert exit_code([good, good]) == 0
    assert exit_code([good, open_, bad]) == 1
    assert exit_code([good, open_]) == 3
    assert exit_code([]) == 3


def test_every_column_is_judged_in_order(tmp_path: Path) -> None:
    """One verdict a column, with the column's note."""
    run = write_run(tmp_path / "r", PASSED, end=None)
    matrix = Matrix.from_runs([run], [MissingRun("a", "a", "gone")], notes={"local": "killed"})
    verdicts = judge_all(matrix)
    assert [(judged.environment, judged.reasons[0].text) for judged in verdicts] == [("a", "gone"), ("local", "killed")]


attempts = st.builds(
    lambda test, outcome, cause: Attempt(test, outcome, cause=cause),
    test=st.sampled_from([f"a.py::{letter}" for letter in "abcd"]),
    outcome=st.sampled_from([outcome for outcome in Outcome if outcome not in {Outcome.FLAKY, Outcome.NOT_RUN}]),
    cause=st.none() | st.sampled_from(Cause),
)


@given(
    st.lists(attempts, max_size=6),
    st.lists(st.sampled_from("abcdef"), max_size=3),
    st.none() | st.builds(footer, st.integers(0, 6), st.just("")),
)
def test_green_needs_an_end_a_pass_and_no_failure(
    tmp_path_factory: pytest.TempPathFactory, tries: list[Attempt], more: list[str], end: Footer | None
) -> None:
    """Whatever a run file holds, it is compatible only if it ended well, something passed, and nothing stayed red."""
    planned = [*dict.fromkeys([attempt.test for attempt in tries] + [f"a.py::{letter}" for letter in more])]
    run = write_run(tmp_path_factory.mktemp("run") / "r", *tries, planned=planned, end=end)
    judged = judge(run)
    outcomes = {cell.outcome for cell in run.cells.values()}
    assert judged.reasons
    assert judged.reasons[0].calls_for is judged.answer
    if judged.answer is Answer.COMPATIBLE:
        assert run.complete
        assert end is not None
        assert end.exit_code in {0, 1, 5}
        assert outcomes & {Outcome.PASSED, Outcome.FLAKY}
        assert not outcomes & {Outcome.FAILED, Outcome.NOT_RUN}


def blocked(cause: Cause, rule: str, name: str = "blocked") -> Attempt:
    """A test that something else kept from running."""
    why = "blocked by the smoke check: it is so"
    return Attempt(f"a.py::{name}", Outcome.NOT_RUN, reason=why, cause=cause, evidence=Evidence(rule, why))


@pytest.mark.parametrize(
    ("cause", "rule", "answer"),
    [
        (Cause.CONTRACT, "C106", Answer.INCOMPATIBLE),
        (Cause.INFRASTRUCTURE, "I201", Answer.UNKNOWN),
        (Cause.HARNESS, "H302", Answer.UNKNOWN),
        (Cause.UNDETERMINED, "U501", Answer.UNKNOWN),
    ],
)
def test_what_blocks_tests_decides_and_is_said_once(tmp_path: Path, cause: Cause, rule: str, answer: Answer) -> None:
    """Many tests that one failure kept from running are one reason, with the answer that the failure calls for."""
    judged = verdict(tmp_path, PASSED, blocked(cause, rule, "one"), blocked(cause, rule, "two"))
    assert judged.answer is answer
    assert judged.reasons[0].code is Code.BLOCKED
    assert judged.reasons[0].tests == ("a.py::one", "a.py::two")
    assert judged.reasons[0].text == f"2 tests not run: {cause}: blocked by the smoke check: it is so"


def up(service: str, **identity: str) -> Ping:
    """A look at a service that is up, and what it claims to be."""
    return Ping(service=service, status=PingStatus.UP, identity=identity)


@pytest.mark.fault("mid-run-redeploy")
def test_a_run_with_two_deployments_in_it_is_unknown(tmp_path: Path) -> None:
    """All passed, and nobody knows on which of two commits."""
    path = tmp_path / "run.jsonl"
    run = write_run(path, PASSED)
    before = Attestation(moment="before", services={"backend": up("backend", commit="one")})
    after = Attestation(moment="after", services={"backend": up("backend", commit="two")})
    judged = judge(replace(run, attestations=(before, after)))
    assert judged.answer is Answer.UNKNOWN
    assert judged.reasons[0].code is Code.MIXED
    assert "backend: commit one → commit two" in judged.reasons[0].text
    assert judge(replace(run, attestations=(before, before))).answer is Answer.COMPATIBLE


def test_deselected_tests_are_told_and_change_nothing(tmp_path: Path) -> None:
    """Who leaves tests out sees how many; what was planned was run."""
    judged = verdict(tmp_path, PASSED, end=structs.replace(footer(), deselected=3))
    assert judged.answer is Answer.COMPATIBLE
    assert "3 tests deselected, and not planned" in [reason.text for reason in judged.reasons]


def test_a_target_of_another_commit_is_told_and_changes_nothing(tmp_path: Path) -> None:
    """Tests of one commit may well run against a deployment of another; who reads the verdict must know."""
    run = write_run(tmp_path / "run.jsonl", PASSED)
    backend = Ping(service="backend", status=PingStatus.DEGRADED, identity={"commit": "d" * 40})
    redis = Ping(service="redis", status=PingStatus.ABSENT)
    deployed = Attestation(moment="before", services={"backend": backend, "redis": redis})
    judged = judge(replace(run, attestations=(deployed,)))
    assert judged.answer is Answer.COMPATIBLE
    assert judged.reasons[-1].text == "the tests are of commit cccccccccccc, backend is of dddddddddddd"


def test_what_is_available_and_never_exercised_is_told(tmp_path: Path) -> None:
    """A service that is up and that no passed test touched is a hole in the suite; one that is absent is none."""
    exercises = Attempt("a.py::used", Outcome.PASSED, services=("backend",))
    sources = {"backend": "process", "llm": "stub", "redis": "absent"}
    run = write_run(tmp_path / "run.jsonl", exercises, sources=sources)
    told = replace(run, attestations=(Attestation(moment="before", services={name: up(name) for name in sources}),))
    (reason,) = [reason for reason in judge(told).reasons if reason.code is Code.UNEXERCISED]
    assert reason.text == "available, and no test that passed exercised it: llm"
    assert judge(told).answer is Answer.COMPATIBLE
    assert run.footer is not None
    chosen = replace(told, footer=structs.replace(run.footer, deselected=3))
    assert Code.UNEXERCISED not in codes(judge(chosen))
