"""The gate: what got worse keeps it shut, what nobody knows leaves it unknown, the rest goes through."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import structs

from envmatrix.environments import GatePolicy
from envmatrix.gate import Answer, Code, Reason
from envmatrix.gate.baseline import Baseline, Known
from envmatrix.gate.decide import Decision, decide
from envmatrix.gate.source import StillThere, nowhere
from envmatrix.gate.waivers import Waiver
from envmatrix.matrix.table import Matrix
from envmatrix.runs.events import Attempt, Evidence
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.run_files import footer, write_run

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PASSED = Attempt("a.py::passed", Outcome.PASSED)
WAIVER = Waiver.model_validate(
    {
        "test": "a.py::broken",
        "environment": "*",
        "cause": "logic",
        "issue": "https://example.com/1",
        "owner": "us",
        "expires": "2026-02-01",
    }
)


def broken(cause: Cause = Cause.LOGIC) -> Attempt:
    """A failed test."""
    return Attempt("a.py::broken", Outcome.FAILED, cause=cause)


def before(*, environment: str = "local", **known: Known) -> Baseline:
    """A baseline."""
    cells = {"a.py::passed": Known(Outcome.PASSED)} | {f"a.py::{name}": how for name, how in known.items()}
    return Baseline("c" * 40, "2026-01-01T00:00:00+00:00", {environment: cells})


def gate(
    path: Path,
    *attempts: Attempt,
    baseline: Baseline | None = None,
    waivers: tuple[Waiver, ...] = (),
    commit: str = "",
    still_there: StillThere = nowhere,
    deselected: int = 0,
    about: Mapping[str, object] | None = None,
    **policy: object,
) -> Decision:
    """Decide on one run; `about` are fields of its header."""
    ends = {attempt.test: attempt.outcome for attempt in attempts}
    end = structs.replace(footer(exit_code=int(Outcome.FAILED in ends.values())), deselected=deselected)
    run = write_run(path / "local.jsonl", *attempts, end=end)
    return decide(
        Matrix.from_runs([replace(run, header=structs.replace(run.header, **(about or {})))]),
        GatePolicy.model_validate(policy),
        baseline=baseline,
        waivers=waivers,
        now=NOW,
        commit=commit,
        still_there=still_there,
        earlier=lambda *_: [{"login_ms": 30.0}] * 10,
    )


def codes(decision: Decision) -> set[Code]:
    """What its reasons are about."""
    reasons = [reason for verdict in decision.verdicts for reason in verdict.reasons]
    return {reason.code for reason in (*reasons, *decision.overall)}


FAILED = Known(Outcome.FAILED, Cause.LOGIC)


@pytest.mark.parametrize(
    ("cause", "baseline", "answer"),
    [
        (Cause.LOGIC, None, Answer.INCOMPATIBLE),
        (Cause.LOGIC, before(broken=Known(Outcome.PASSED)), Answer.INCOMPATIBLE),
        (Cause.CONTRACT, before(broken=FAILED), Answer.INCOMPATIBLE),
        (Cause.LOGIC, before(broken=FAILED), Answer.COMPATIBLE),
        (Cause.INFRASTRUCTURE, before(broken=Known(Outcome.PASSED)), Answer.UNKNOWN),
        (Cause.INFRASTRUCTURE, before(broken=FAILED), Answer.UNKNOWN),
        (Cause.INFRASTRUCTURE, before(broken=Known(Outcome.FAILED, Cause.INFRASTRUCTURE)), Answer.UNKNOWN),
    ],
    ids=["no baseline", "regressed", "cause changed", "known", "outage", "outage of a known failure", "known outage"],
)
def test_only_what_got_worse_is_held_against_a_change(
    tmp_path: Path, cause: Cause, baseline: Baseline | None, answer: Answer
) -> None:
    """A failure that was there before, of the same cause, passes; an outage tells nothing."""
    decision = gate(tmp_path, PASSED, broken(cause), baseline=baseline)
    assert decision.answer is answer
    assert decision.exit_code == answer.exit_code


@pytest.mark.fault("untracked-files")
def test_a_dirty_run_does_not_open_the_gate(tmp_path: Path) -> None:
    """It is evidence of no commit, unless the policy takes it; a failure in it still shuts the gate."""
    dirty = {"dirty": True}
    decision = gate(tmp_path / "a", PASSED, about=dirty, commit="c" * 40)
    assert decision.answer is Answer.UNKNOWN
    assert Code.NO_COMMIT in codes(decision)
    assert gate(tmp_path / "b", PASSED, about=dirty, allow_dirty=True).answer is Answer.COMPATIBLE
    assert gate(tmp_path / "c", PASSED, broken(), about=dirty).answer is Answer.INCOMPATIBLE


@pytest.mark.parametrize(
    ("policy", "answer", "is_said"),
    [
        ({}, Answer.COMPATIBLE, True),
        ({"performance": "fail"}, Answer.INCOMPATIBLE, True),
        ({"performance": "ignore"}, Answer.COMPATIBLE, False),
    ],
)
def test_a_number_that_got_worse_shuts_the_gate_where_the_policy_says_so(
    tmp_path: Path, policy: dict[str, object], answer: Answer, *, is_said: bool
) -> None:
    """By default it is a remark that names the number and its test; one as before is none."""
    decision = gate(tmp_path / "a", structs.replace(PASSED, measured={"login_ms": 90.0}), **policy)
    assert decision.answer is answer
    said = [reason for reason in decision.verdicts[0].reasons if reason.code is Code.PERFORMANCE]
    assert [(r.text, r.tests) for r in said] == [("login_ms 90, usually 30 (10 runs)", (PASSED.test,))] * is_said
    as_before = gate(tmp_path / "b", structs.replace(PASSED, measured={"login_ms": 31.0}), **policy)
    assert Code.PERFORMANCE not in codes(as_before)


@pytest.mark.fault("no-git")
def test_a_run_of_an_unknown_commit_opens_nothing(tmp_path: Path) -> None:
    """Whatever the policy; why git did not tell the commit is said."""
    about = {"commit": "unknown", "commit_problem": "fatal: not a git repository"}
    decision = gate(tmp_path, PASSED, about=about, allow_dirty=True)
    assert decision.answer is Answer.UNKNOWN
    assert "fatal: not a git repository" in decision.verdicts[0].reasons[0].text


def blocked(cause: Cause = Cause.CONTRACT) -> Attempt:
    """A test that was not run, since its fixture had failed another."""
    return Attempt("a.py::blocked", Outcome.NOT_RUN, cause=cause, evidence=Evidence("C102", "blocked by a.py::broken"))


def test_what_was_blocked_before_is_no_worse_now(tmp_path: Path) -> None:
    """A fixture that was broken fails one test and blocks others: known, they pass; blocked anew, they do not."""
    known = before(broken=Known(Outcome.FAILED, Cause.CONTRACT), blocked=Known(Outcome.NOT_RUN, Cause.CONTRACT))
    attempts = (PASSED, broken(Cause.CONTRACT), blocked())
    decision = gate(tmp_path / "a", *attempts, baseline=known)
    assert decision.answer is Answer.COMPATIBLE
    assert "2 tests failed or not run as in the baseline" in [r.text for r in decision.verdicts[0].reasons]
    anew = before(broken=Known(Outcome.FAILED, Cause.CONTRACT), blocked=Known(Outcome.PASSED))
    assert gate(tmp_path / "b", *attempts, baseline=anew).answer is Answer.INCOMPATIBLE


def test_a_failure_of_another_cause_is_told_from_a_new_one(tmp_path: Path) -> None:
    """It is held against the change, and the line says what it was before."""
    decision = gate(tmp_path, PASSED, broken(Cause.CONTRACT), baseline=before(broken=FAILED))
    assert decision.answer is Answer.INCOMPATIBLE
    assert decision.verdicts[0].reasons[-1].text == "1 test failed in the baseline for another cause: logic"


def test_a_waiver_covers_what_its_failure_blocks(tmp_path: Path) -> None:
    """One fixture, one issue, one waiver."""
    waiver = WAIVER.model_copy(update={"test": "a.py::b*", "cause": Cause.CONTRACT})
    attempts = (PASSED, broken(Cause.CONTRACT), blocked())
    assert gate(tmp_path / "a", *attempts).answer is Answer.INCOMPATIBLE
    assert gate(tmp_path / "b", *attempts, waivers=(waiver,)).answer is Answer.COMPATIBLE


def test_a_waiver_opens_the_gate_and_is_named(tmp_path: Path) -> None:
    """Until its day, for its cause, with its issue in the reason."""
    decision = gate(tmp_path, PASSED, broken(), waivers=(WAIVER,))
    assert decision.answer is Answer.COMPATIBLE
    (waived,) = [reason for reason in decision.verdicts[0].reasons if reason.code is Code.WAIVED]
    assert waived.text == "1 test failed as waived until 2026-02-01: https://example.com/1 (us)"
    assert gate(tmp_path / "more", PASSED, broken(Cause.CONTRACT), waivers=(WAIVER,)).exit_code == 1


@pytest.mark.fault("waiver-stale")
def test_a_waiver_of_what_passes_shuts_it(tmp_path: Path) -> None:
    """A waiver that nobody needs is a hole for the next failure."""
    decision = gate(tmp_path, PASSED, Attempt("a.py::broken", Outcome.PASSED), waivers=(WAIVER,))
    assert (decision.exit_code, decision.overall[0].code) == (1, Code.WAIVER)


def test_outages_have_a_budget(tmp_path: Path) -> None:
    """As many as the policy allows pass, with a remark; one more is unknown, never incompatible."""
    lost = [Attempt(f"a.py::{n}", Outcome.FAILED, cause=Cause.INFRASTRUCTURE) for n in range(2)]
    assert gate(tmp_path / "a", PASSED, *lost, infrastructure_budget=2).answer is Answer.COMPATIBLE
    assert gate(tmp_path / "b", PASSED, *lost, infrastructure_budget=1).answer is Answer.UNKNOWN
    assert gate(tmp_path / "c", PASSED, *lost, broken(), infrastructure_budget=2).answer is Answer.INCOMPATIBLE
    both = (PASSED, lost[0], blocked(Cause.INFRASTRUCTURE))
    assert gate(tmp_path / "d", *both, infrastructure_budget=2).answer is Answer.COMPATIBLE
    assert gate(tmp_path / "e", *both, infrastructure_budget=1).answer is Answer.UNKNOWN


@pytest.mark.parametrize("policy", [{"required": ["local", "staging"]}, {}], ids=["by policy", "by baseline"])
@pytest.mark.fault("missing-shard")
def test_a_required_environment_that_is_missing_is_unknown(tmp_path: Path, policy: dict[str, object]) -> None:
    """Zero rows do not mean yes."""
    baseline = Baseline("c", "2026-01-01T00:00:00+00:00", {"local": {}, "staging": {}})
    decision = gate(tmp_path, PASSED, baseline=baseline, **policy)
    assert [verdict.answer for verdict in decision.verdicts] == [Answer.COMPATIBLE, Answer.UNKNOWN]
    assert decision.exit_code == 3


@pytest.mark.fault("typo-environment")
@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"required": ("stagin",)}, "required by the policy, and not declared"),
        ({}, "of the baseline, and declared no more: envmatrix baseline update drops it"),
    ],
    ids=["by policy", "by baseline"],
)
def test_one_that_is_not_declared_is_said_to_be_so(tmp_path: Path, policy: dict[str, object], said: str) -> None:
    """No run of it can ever come."""
    matrix = Matrix.from_runs([write_run(tmp_path / "r.jsonl", PASSED)])
    baseline = Baseline("c", "2026-01-01T00:00:00+00:00", {"local": {}, "stagin": {}})
    known = {"baseline": baseline, "waivers": (), "now": NOW, "declared": ("local", "staging")}
    decision = decide(matrix, GatePolicy.model_validate(policy), **known)  # type: ignore[arg-type]  # its own keywords
    assert (decision.exit_code, decision.verdicts[-1].reasons[0].text) == (3, said)


@pytest.mark.fault("flaky-retry")
def test_the_gate_is_told_what_to_do_with_flaky(tmp_path: Path) -> None:
    """Let through by default; shut where the policy does not allow it."""
    twice = (Attempt("a.py::f", Outcome.FAILED, cause=Cause.LOGIC), Attempt("a.py::f", Outcome.PASSED))
    assert gate(tmp_path / "a", PASSED, *twice).answer is Answer.COMPATIBLE
    decision = gate(tmp_path / "b", PASSED, *twice, allowed=["skipped", "xfailed"])
    assert decision.answer is Answer.INCOMPATIBLE
    assert Code.POLICY in codes(decision)
    assert Code.FLAKY not in codes(decision)  # once is enough


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"minimum_tests": 2}, "1 passed, the policy demands at least 2"),
        ({"maximum_skipped": 0.25}, "1 of 2 skipped, the policy allows at most 25%"),
    ],
)
def test_too_little_is_unknown(tmp_path: Path, policy: dict[str, object], said: str) -> None:
    """A run that shrank says less than it seems to."""
    decision = gate(tmp_path, PASSED, Attempt("a.py::skipped", Outcome.SKIPPED), **policy)
    assert decision.answer is Answer.UNKNOWN
    assert said in [reason.text for reason in decision.verdicts[0].reasons]


def test_an_old_baseline_tells_no_more(tmp_path: Path) -> None:
    """Its age is in days, and the limit is the policy's."""
    assert gate(tmp_path / "a", PASSED, baseline=before(), maximum_baseline_age=2).answer is Answer.COMPATIBLE
    decision = gate(tmp_path / "b", PASSED, baseline=before(), maximum_baseline_age=1)
    assert (decision.answer, decision.overall[0].code) == (Answer.UNKNOWN, Code.BASELINE)


def test_what_changed_without_harm_is_told(tmp_path: Path) -> None:
    """Fixed, new and removed tests are remarks."""
    decision = gate(
        tmp_path,
        Attempt("a.py::fixed", Outcome.PASSED),
        Attempt("a.py::new", Outcome.PASSED),
        baseline=before(fixed=FAILED),
    )
    assert decision.answer is Answer.COMPATIBLE
    texts = [reason.text for reason in decision.verdicts[0].reasons]
    assert texts[1:] == [
        "1 test fixed since the baseline",
        "1 test new since the baseline",
        "1 test of the baseline planned no more",
    ]


@pytest.mark.parametrize(
    ("known", "deselected", "answer"),
    [
        ("gone", 0, Answer.COMPATIBLE),
        ("left", 0, Answer.UNKNOWN),
        ("passed[1]", 0, Answer.COMPATIBLE),
        ("passed[1]", 1, Answer.UNKNOWN),
    ],
    ids=["gone", "left out", "other parameters", "parameter left out"],
)
def test_part_of_a_suite_is_never_green(tmp_path: Path, known: str, deselected: int, answer: Answer) -> None:
    """A test of the baseline that is still defined and was not planned was left out, whichever way."""
    decision = gate(
        tmp_path,
        PASSED,
        baseline=before(**{known: Known(Outcome.PASSED)}),
        deselected=deselected,
        still_there=lambda test: "gone" not in test,
    )
    assert decision.answer is answer
    left_out = [each for each in decision.verdicts[0].reasons if each.tests and each.code is Code.DESELECTED]
    assert [each.tests for each in left_out] == [(f"a.py::{known}",)] * (answer is Answer.UNKNOWN)


def test_a_run_of_another_commit_is_never_green(tmp_path: Path) -> None:
    """Stale evidence is none; where nobody knows the change's commit, nobody can say so."""
    assert gate(tmp_path / "a", PASSED, commit="c" * 40).answer is Answer.COMPATIBLE
    decision = gate(tmp_path / "b", PASSED, commit="d" * 40)
    assert decision.answer is Answer.UNKNOWN
    assert decision.verdicts[0].reasons[0].text.startswith("of another commit: it was run at cccccccccccc, the change")


@pytest.mark.fault("mixed-commits")
def test_runs_of_several_commits_are_never_green(tmp_path: Path) -> None:
    """Whoever takes them together looks at them; the gate does not open."""
    runs = [
        write_run(tmp_path / f"{name}.jsonl", PASSED, environment=name, commit=commit * 40)
        for name, commit in (("local", "c"), ("staging", "d"))
    ]
    mixed = Matrix.from_runs(runs, mixed_commits=True)
    decision = decide(mixed, GatePolicy(), baseline=None, waivers=(), now=NOW)
    assert (decision.answer, decision.overall[0].code) == (Answer.UNKNOWN, Code.OTHER_COMMIT)


@pytest.mark.fault("waiver-stale")
def test_a_waiver_of_no_environment_is_named(tmp_path: Path) -> None:
    """A mistyped one would never be missed; one that is declared and was not run is left alone."""
    run = Matrix.from_runs([write_run(tmp_path / "r.jsonl", PASSED)])

    def problems(declared: tuple[str, ...] | None) -> list[str]:
        waiver = WAIVER.model_copy(update={"environment": "staging"})
        found = decide(run, GatePolicy(), baseline=None, waivers=[waiver], now=NOW, declared=declared)
        return [reason.text.partition(":")[0] for reason in found.overall]

    assert problems(("local", "stagin")) == ["matches no environment"]
    assert problems(("local", "staging")) == problems(None) == []


def test_an_environment_without_a_past_is_judged_as_it_is(tmp_path: Path) -> None:
    """A baseline that does not know it excuses nothing in it."""
    decision = gate(tmp_path, PASSED, broken(), baseline=before(environment="staging"), required=["local"])
    assert decision.answer is Answer.INCOMPATIBLE
    assert Code.BASELINE in codes(decision)


@pytest.mark.fault("zero-tests")
def test_nothing_is_never_green(tmp_path: Path) -> None:
    """No test, no run, no environment."""
    assert gate(tmp_path).answer is Answer.UNKNOWN
    nothing = decide(Matrix.from_runs([]), GatePolicy(), baseline=None, waivers=(), now=NOW)
    assert (nothing.answer, nothing.exit_code) == (Answer.UNKNOWN, 3)
    remark = Reason(Code.BASELINE, "there is no baseline", Answer.COMPATIBLE)
    nothing = decide(Matrix.from_runs([]), GatePolicy(), baseline=None, waivers=(), now=NOW, overall=[remark])
    assert (nothing.answer, nothing.exit_code) == (Answer.UNKNOWN, 3)


@pytest.mark.parametrize("has_baseline", [True, False])
def test_a_part_of_the_suite_opens_nothing(tmp_path: Path, has_baseline: bool) -> None:
    """With a baseline, what was not asked for is neither gone nor left out by mistake: it is called so."""
    run = write_run(tmp_path / "local.jsonl", PASSED, narrowed=("-k passed",))
    baseline = before(other=Known(Outcome.PASSED)) if has_baseline else None
    decision = decide(
        Matrix.from_runs([run]), GatePolicy(), baseline=baseline, waivers=(), now=NOW, still_there=lambda _: True
    )
    assert decision.answer is Answer.UNKNOWN
    told = {(reason.code, reason.tests) for reason in decision.verdicts[0].reasons}
    assert (Code.NARROWED, ()) in told
    assert ((Code.NARROWED, ("a.py::other",)) in told) is has_baseline
    assert not {code for code, _ in told} & {Code.REMOVED, Code.DESELECTED}


def test_a_run_under_another_name_is_judged_as_its_environment(tmp_path: Path) -> None:
    """`run local --as pr-123` has the baseline and waivers of `local`, stands for it, and is named `pr-123`."""
    known = Attempt("a.py::known", Outcome.FAILED, cause=Cause.LOGIC)
    decision = gate(
        tmp_path,
        PASSED,
        known,
        broken(),
        baseline=before(known=FAILED),
        waivers=(Waiver.model_validate({**WAIVER.model_dump(), "environment": "local"}),),
        about={"environment": "pr-123", "base": "local"},
        required=("local",),
    )
    (verdict,) = decision.verdicts
    assert (verdict.environment, verdict.answer) == ("pr-123", Answer.COMPATIBLE)
    assert {Code.KNOWN, Code.WAIVED} <= codes(decision)
    assert not decision.overall
