"""One cell, explained to a person and to a program."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from rich.console import Console

from envmatrix.environments import Project
from envmatrix.matrix.table import Matrix
from envmatrix.report.explain import text as report
from envmatrix.report.explain.explanation import explain
from envmatrix.report.explain.find import column_named
from envmatrix.report.explain.text import as_json, as_text
from envmatrix.runs.cells import MissingRun, Run
from envmatrix.runs.events import Attempt, Attestation, Evidence, FailedPart, FindingRecord, Footer
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.ping import Ping, PingStatus
from tests.framework.report.samples import HOSTILE
from tests.framework.run_files import footer, write_run

ONE, TWO, THREE = "tests/test_a.py::test_one", "tests/test_a.py::test_two", "tests/test_a.py::test_three"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Where the person stands: the file and the declaration are there."""
    for name in ("tests/test_a.py", "environments/local.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return Project(root=tmp_path)


def told(project: Project, *runs: Run | MissingRun, test: str = ONE, environment: str = "local", note: str = "") -> Any:
    """The explanation of a test, and its two forms."""
    matrix = Matrix.from_runs(
        [run for run in runs if isinstance(run, Run)],
        [run for run in runs if isinstance(run, MissingRun)],
        notes={environment: note} if note else None,
    )
    explanation = explain(matrix, column_named(matrix, environment), test, project)
    assert json.loads(as_json(explanation))["headline"] == explanation.headline
    return explanation


def ping(service: str, status: str = "up", detail: str = "", **more: Any) -> Ping:
    """One look at a service."""
    return Ping(service=service, status=PingStatus(status), latency=0.0042, detail=detail, **more)


OUTAGE = Evidence(
    "I201",
    "backend is down: connection refused",
    "call",
    "tests/test_a.py:3",
    exceptions=("AssertionError: assert 502 == 200\n +  where 502 = …", "ConnectError: refused"),
    pings_before=(
        ping("backend", identity={"service": "backend", "commit": "c1"}),
        ping("redis", version="Valkey 9", age=90.0),
    ),
    pings=(
        ping("backend", "down", "connection refused", looks=5, failed_looks=5),
        ping("redis", dependencies={"disk": "down", "net": "up", "gpu": "absent"}),
    ),
    exchanges=("GET /api/me → 200", "GET /api/orders → 502"),
    logs={"backend": "\n".join(f"line {number}" for number in range(30))},
    detail="E   assert 502 == 200",
    fell=("backend",),
)


def outage(path: Path) -> Run:
    """A test that failed twice for a service that is down, on two workers, and another that found it down."""
    later = Evidence("I201", OUTAGE.summary, "setup", pings_before=OUTAGE.pings, pings=OUTAGE.pings)
    return write_run(
        path / "local.jsonl",
        Attempt(ONE, Outcome.FAILED, 1.5, "gw0", cause=Cause.INFRASTRUCTURE, evidence=OUTAGE, services=("backend",)),
        Attempt(ONE, Outcome.FAILED, 0.25, "gw1", cause=Cause.INFRASTRUCTURE, evidence=OUTAGE),
        Attempt(TWO, Outcome.FAILED, 0.01, "gw1", cause=Cause.INFRASTRUCTURE, evidence=later),
        sources={"backend": "process", "redis": "embedded"},
    )


@pytest.mark.fault("subtest-failed")
def test_each_subtest_that_failed_is_told(tmp_path: Path, project: Project) -> None:
    """By its label, for a person and for a program."""
    part = FailedPart("[part] (n=1)", Cause.LOGIC, "L401", "AssertionError: wrong", "tests/test_a.py:3")
    evidence = Evidence("L401", "[part] (n=1) AssertionError: wrong", "call", parts=(part,))
    run = write_run(tmp_path / "local.jsonl", Attempt(ONE, Outcome.FAILED, cause=Cause.LOGIC, evidence=evidence))
    explanation = told(project, run)
    assert [entry.label for entry in explanation.parts] == ["[part] (n=1)"]
    assert "[part] (n=1) logic L401: AssertionError: wrong (tests/test_a.py:3)" in as_text(explanation)


def test_a_failure_is_told_from_what_happened_to_how_to_run_it_again(tmp_path: Path, project: Project) -> None:
    """Where, how often, the exceptions, each service before and after, requests, log, rule, next step, command."""
    text = as_text(told(project, outage(tmp_path)))
    for part in (
        f"{ONE}\nfailed in local: infrastructure I201: backend is down: connection refused\n",
        "  where      in call, tests/test_a.py:3\n",
        "  took       1.8 s in worker gw1\n",
        "  attempt 1  failed after 1.5 s in worker gw0: infrastructure I201: backend is down: connection refused\n",
        "  attempt 2  failed after 0.250 s in worker gw1: ",
        f"  alike      {TWO}: the same, for the same reason\n",
        "  run        began 2026-01-02 03:04:05 UTC, of commit cccccccccccc\n",
        "  AssertionError: assert 502 == 200\n   +  where 502 = …\n  ConnectError: refused\n",
        "  service            before            right after                         claims to be\n",
        "  backend (process)  up                down (5 looks): connection refused  commit c1, service backend\n",
        "  redis (embedded)   90 s earlier: up  up in 4.2 ms; says: disk down       Valkey 9\n",
        "  GET /api/me → 200\n  GET /api/orders → 502\n",
        "The end of backend's log\n  ... 10 lines, in --json\n  line 10\n",
        "The rule that decided: I201 required service down (infrastructure)\n",
        "  docs/rules/I201.md\n",
        "What to do next\n  Look at that service first; the test has said nothing about the product.\n",
        f"Run exactly this again\n  envmatrix run local -- {ONE}\n",
    ):
        assert part in text


def test_who_found_a_service_down_is_sent_to_who_saw_it_fall(tmp_path: Path, project: Project) -> None:
    """Its own evidence only says that it was so before."""
    steps = told(project, outage(tmp_path), test=TWO).next
    saw = f"This one saw it fall: envmatrix explain local {ONE}"
    assert steps[0] == f"backend was down before this test began. {saw}"


def test_where_nobody_saw_it_fall_nobody_is_named(tmp_path: Path, project: Project) -> None:
    """A test that only found it down is no witness, also where the last look before it saw it up."""
    found = Evidence("I201", OUTAGE.summary, "setup", pings_before=OUTAGE.pings_before, pings=OUTAGE.pings)
    later = Evidence("I201", OUTAGE.summary, "setup", pings_before=OUTAGE.pings, pings=OUTAGE.pings)
    attempts = (
        Attempt(test, Outcome.FAILED, cause=Cause.INFRASTRUCTURE, evidence=seen)
        for test, seen in ((ONE, found), (TWO, later))
    )
    steps = told(project, write_run(tmp_path / "r.jsonl", *attempts), test=TWO).next
    assert steps[0] == "backend was down before this test began. Look at what ran before it."


def test_the_document_has_all_of_it(tmp_path: Path, project: Project) -> None:
    """What the text cuts, the document holds."""
    document = json.loads(as_json(told(project, outage(tmp_path))))
    assert document["logs"] == OUTAGE.logs
    assert document["detail"] == OUTAGE.detail
    assert document["services"][0] == {
        "service": "backend",
        "source": "process",
        "before": "up",
        "before_status": "up",
        "after": "down (5 looks): connection refused",
        "after_status": "down",
        "latency": 0.0042,
        "claims": "commit c1, service backend",
    }
    assert document["rule"]["page"] == "docs/rules/I201.md"
    assert document["rerun"] == f"envmatrix run local -- {ONE}"
    assert document["run"]["commit"] == "c" * 40


def test_a_traceback_is_shown_where_it_tells_something(tmp_path: Path, project: Project) -> None:
    """The test's own code and what broke, not what lies between; none where the outage says it all."""
    assert "as pytest shows it" not in as_text(told(project, outage(tmp_path)))
    detail = "\n".join(f"frame {number}" for number in range(100))
    evidence = Evidence("L401", "AssertionError: no", "call", detail=detail)
    run = write_run(tmp_path / "l.jsonl", Attempt(ONE, Outcome.FAILED, cause=Cause.LOGIC, evidence=evidence))
    text = as_text(told(project, run))
    assert "  frame 15\n  ... 68 lines, in --json\n  frame 84\n" in text
    assert "What to do next\n  Mend the product or the test.\n" in text


@pytest.mark.parametrize(
    ("attempt", "headline", "step"),
    [
        (Attempt(ONE, Outcome.PASSED), "passed in local", "Nothing: it passed."),
        (
            Attempt(ONE, Outcome.SKIPPED, reason="redis is absent in local (local.toml)"),
            "skipped in local: redis is absent in local (local.toml)",
            "Nothing, if it is not to run there; otherwise change what the reason names.",
        ),
        (
            Attempt(ONE, Outcome.XFAILED, reason="issue 7"),
            "xfailed in local: issue 7",
            "Nothing now: it failed as its mark expects. When it is mended, take the mark away.",
        ),
        (
            Attempt(ONE, Outcome.XPASSED, reason="issue 8"),
            "xpassed in local: issue 8",
            "Take the xfail mark away: the test passes now.",
        ),
    ],
    ids=lambda value: getattr(value, "outcome", None),
)
def test_what_did_not_fail_has_an_answer_too(
    tmp_path: Path, project: Project, attempt: Attempt, headline: str, step: str
) -> None:
    """Passed, skipped, expected to fail: a reason where there is one, and what to do, which may be nothing."""
    explanation = told(project, write_run(tmp_path / "r.jsonl", attempt))
    assert (explanation.headline, explanation.next, explanation.rule) == (headline, [step], None)
    assert as_text(explanation).startswith(f"{ONE}\n{headline}\n")


def test_a_test_that_passed_shows_what_its_services_said_around_the_suite(tmp_path: Path, project: Project) -> None:
    """Nobody looked at them for its sake: the attestations are the nearest looks."""
    run = write_run(tmp_path / "r.jsonl", Attempt(ONE, Outcome.PASSED, services=("backend",)))
    said = {"backend": ping("backend", identity={"commit": "c1"}), "redis": ping("redis")}
    before = Attestation(moment="before", services=said)
    run = Run(run.header, run.cells, run.footer, attestations=(before,), file=run.file)
    text = as_text(told(project, run))
    assert "  backend (process)  up                not looked at  commit c1\n" in text
    assert "before the suite" in text
    assert "redis" not in text


@pytest.mark.fault("flaky-retry")
def test_a_flaky_test_shows_both_answers(tmp_path: Path, project: Project) -> None:
    """The failure's cause, the pass, and a word of caution."""
    run = write_run(
        tmp_path / "r.jsonl",
        Attempt(ONE, Outcome.FAILED, cause=Cause.INFRASTRUCTURE, evidence=OUTAGE),
        Attempt(ONE, Outcome.PASSED),
    )
    explanation = told(project, run)
    assert explanation.headline == "flaky in local: infrastructure I201: backend is down: connection refused"
    assert [attempt.outcome for attempt in explanation.attempts] == [Outcome.FAILED, Outcome.PASSED]
    assert "run it several times" in explanation.next[-1]


def test_a_blocked_test_leads_to_what_blocks_it(tmp_path: Path, project: Project) -> None:
    """By the command that explains that one; all that it blocks are counted."""
    findings = (FindingRecord("C110", "field 'x' is missing"), FindingRecord("C112", "field 'y' says 1"))
    first = Evidence("C102", "conftest.py:4: C110 field 'x' is missing; …", "setup", findings=findings)
    why = f"blocked by {ONE}: C102 conftest.py:4: fixture 'real_services' breaks its contract"
    blocked = Evidence("C102", why, "setup", pings=(ping("backend"),), blocked_by=ONE)
    run = write_run(
        tmp_path / "r.jsonl",
        Attempt(ONE, Outcome.FAILED, cause=Cause.CONTRACT, evidence=first),
        *(
            Attempt(test, Outcome.NOT_RUN, reason=why, cause=Cause.CONTRACT, evidence=blocked)
            for test in (TWO, THREE, *(f"tests/test_a.py::test_{number}" for number in range(9)))
        ),
    )
    explanation = told(project, run, test=TWO)
    assert explanation.headline == f"not run in local: contract C102: {why}"
    assert explanation.next == [f"See the test that failed first: envmatrix explain local {ONE}"]
    assert len(explanation.alike) == 10
    assert "and 7 more: the same" in as_text(explanation)
    named = told(project, run, test=ONE).rule
    assert list(named.also) == ["C110", "C112"]
    assert "  docs/rules/C102.md\n  docs/rules/C110.md\n  docs/rules/C112.md\n" in as_text(told(project, run, test=ONE))


def test_what_the_smoke_check_kept_from_running_says_so(tmp_path: Path, project: Project) -> None:
    """The environment first; the looks are that check's."""
    why = "blocked by the smoke check: I201 backend is down: timeout after 2.0 s"
    evidence = Evidence("I201", why, "smoke", pings=(ping("backend", "down", "timeout after 2.0 s"),))
    attempt = Attempt(ONE, Outcome.NOT_RUN, reason=why, cause=Cause.INFRASTRUCTURE, evidence=evidence)
    explanation = told(project, write_run(tmp_path / "r.jsonl", attempt))
    text = as_text(explanation)
    assert "in the smoke check" in text
    assert explanation.moments == ("before", "in the smoke check")
    assert explanation.next[-1].startswith("No test that needs the environment was run")


@pytest.mark.parametrize(
    ("end", "note", "words"),
    [
        (footer(1, "stopping after 1 failures"), "", ("It had not begun", "stopping after 1 failures")),
        (None, "deadline of 5 s passed", ("It is the first in the plan that has no end", "deadline of 5 s passed")),
        (None, "", ("It is the first in the plan that has no end", "killed: it has no footer")),
    ],
)
def test_what_never_ended_says_what_is_known(
    tmp_path: Path, project: Project, end: Footer | None, note: str, words: tuple[str, str]
) -> None:
    """Not begun, or the first suspect; and why the run ended."""
    explanation = told(project, write_run(tmp_path / "r.jsonl", planned=[ONE], end=end), note=note)
    assert explanation.outcome is Outcome.NOT_RUN
    assert words[0] in explanation.next[0]
    assert (explanation.rule.code, explanation.run.ended) == ("H303", words[1])


def test_a_test_that_was_in_flight_is_the_first_suspect(tmp_path: Path, project: Project) -> None:
    """The run noted what was running when it was ended."""
    running = Attempt(ONE, Outcome.NOT_RUN, evidence=Evidence("H303", "was running when the run ended: Ctrl-C"))
    explanation = told(project, write_run(tmp_path / "r.jsonl", running, end=footer(130, "Ctrl-C")))
    assert explanation.next == ["It was running when the run ended, and may be what ended it: run it alone."]
    assert explanation.run.ended == "Ctrl-C"


def test_a_test_that_was_not_planned_says_where_it_is(tmp_path: Path, project: Project) -> None:
    """Left out by an option, or not collected at all; what else runs it."""
    there = write_run(tmp_path / "s.jsonl", Attempt(ONE, Outcome.PASSED), environment="staging", label="staging (twin)")
    here = write_run(tmp_path / "l.jsonl", Attempt(TWO, Outcome.PASSED))
    assert told(project, there, here).headline == (
        "not planned in local: not among the tests that were collected; it is planned in staging (twin)"
    )
    end = structs.replace(footer(), deselected=3)
    here = write_run(tmp_path / "k.jsonl", Attempt(TWO, Outcome.PASSED), end=end)
    assert "of which 3 tests were left out by -k, -m or a plugin" in told(project, there, here).headline


def test_a_module_that_could_not_be_collected_is_why(tmp_path: Path, project: Project) -> None:
    """The finding's words, its rule and its place."""
    finding = FindingRecord(
        rule="H304", message="tests/test_a.py could not be collected: no x", place="tests/test_a.py"
    )
    run = write_run(tmp_path / "r.jsonl", Attempt("b.py::x", Outcome.PASSED), findings=[finding])
    explanation = told(project, run)
    assert explanation.headline == "not planned in local: tests/test_a.py could not be collected: no x"
    assert (explanation.rule.code, explanation.cause, explanation.place) == ("H304", Cause.HARNESS, "tests/test_a.py")


@pytest.mark.fault("missing-shard")
def test_an_environment_without_a_run_says_why(tmp_path: Path, project: Project) -> None:
    """With the end of what pytest said there."""
    gone = MissingRun("local", "local", "pytest ended with exit code 4", "ERROR: no such option")
    there = write_run(tmp_path / "s.jsonl", Attempt(ONE, Outcome.PASSED), environment="staging")
    text = as_text(told(project, gone, there))
    assert "no run in local: pytest ended with exit code 4\n" in text
    assert "The end of what pytest said\n  ERROR: no such option\n" in text
    assert text.endswith(f"envmatrix run local -- {ONE}\n")
    assert "What happened" not in text
    assert told(project, gone, test="test_whatever").rerun == "", "nobody knows whether there is such a test"


def test_a_rule_of_another_version_is_named_and_no_more(tmp_path: Path, project: Project) -> None:
    """Nothing is made up."""
    evidence = Evidence("X999", "seen")
    run = write_run(tmp_path / "r.jsonl", Attempt(ONE, Outcome.FAILED, cause=Cause.LOGIC, evidence=evidence))
    rule = told(project, run).rule
    assert (rule.code, rule.title, rule.page) == ("X999", "", "")
    assert "read it with the version that wrote the run file" in rule.meaning


@pytest.mark.fault("hostile-test-name")
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_does_nothing(tmp_path: Path, project: Project, text: str) -> None:
    """Wherever a test, a service or a server may choose it; the document is ASCII."""
    pings = (ping(text, "down", text, identity={text: text}, version=text, dependencies={text: text}),)
    evidence = Evidence(
        "L401", text, text, text, (text,), pings, pings, (text,), {text: text, "backend": text}, detail=text
    )
    test = f"tests/{text}.py::test[{text}]"
    attempts = [
        Attempt(test, Outcome.FAILED, 0.1, text, text, Cause.LOGIC, evidence, (text,)),
        Attempt(f"{test}2", Outcome.FAILED, 0.1, text, text, Cause.LOGIC, evidence),
    ]
    run = write_run(tmp_path / "r.jsonl", *attempts, label=text, sources={text: text}, end=footer(1, text))
    explanation = told(project, run, test=test)
    printed = as_text(explanation)
    assert as_json(explanation).isascii()
    lines = printed.splitlines()
    assert all(line.isprintable() for line in lines)
    assert not [line for line in lines if "::error::" in line or "##[" in line or "::set-output name=x::" in line]
    assert max(map(len, lines[:-1])) <= 120


def test_a_pipe_gets_plain_words_and_a_terminal_colours(
    tmp_path: Path, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No escape in a pipe or where NO_COLOR says so; the command is one line whatever the width."""
    explanation = told(project, outage(tmp_path))
    assert "\x1b" not in as_text(explanation)

    def terminal() -> Console:
        return Console(file=io.StringIO(), force_terminal=True, width=40, highlight=False, markup=False)

    monkeypatch.setattr(report, "make_console", terminal)
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[1;31mfailed" in as_text(explanation)
    assert f"  envmatrix run local -- {ONE}\n" in as_text(explanation)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[1;31m" not in as_text(explanation)


def test_the_header_of_a_run_without_commit_is_no_puzzle(tmp_path: Path, project: Project) -> None:
    """Outside of git there is none."""
    run = write_run(tmp_path / "r.jsonl", Attempt(ONE, Outcome.PASSED), commit="unknown")
    assert "of no known commit" in as_text(told(project, run))
