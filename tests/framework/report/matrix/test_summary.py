"""What a person wants to read of a matrix, said once."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from envmatrix.gate import judge_all
from envmatrix.matrix.table import Matrix
from envmatrix.report.matrix import json_, markdown
from envmatrix.report.matrix.summary import (
    AlikeCells,
    Aside,
    JudgedMatrix,
    MatrixSummary,
    Problem,
    reported_versions,
    sources,
    stand_ins,
)
from envmatrix.report.words import ADVICE
from envmatrix.runs.cells import MissingRun
from envmatrix.runs.events import Attempt, Attestation, Evidence
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.ping import Ping, PingStatus
from tests.framework.report.samples import everything
from tests.framework.run_files import write_run


@pytest.fixture
def summary(tmp_path: Path) -> MatrixSummary:
    """Of everything."""
    return MatrixSummary.of(everything(tmp_path)[0])


def test_the_title_says_commit_and_time(summary: MatrixSummary) -> None:
    """Short commit, UTC to the second."""
    assert summary.title == "commit cccccccccccc, 2026-01-02 03:04:05 UTC"


def test_a_test_that_failed_somewhere_is_told_with_every_environment(summary: MatrixSummary) -> None:
    """What needs attention first, alike environments together; each environment stands in exactly one look."""
    by_test = {problem.tests[0].partition("::")[2]: problem for problem in summary.problems}
    assert list(by_test) == ["test_one", "test_two", "test_three", "test_mended", "test_it"]
    assert by_test["test_two"] == Problem(
        ("tests/test_a.py::test_two",),
        (
            AlikeCells(
                ("backend",), Outcome.FAILED, Cause.INFRASTRUCTURE, "I201", "backend is down: connection refused"
            ),
            AlikeCells(
                ("local",), Outcome.FAILED, Cause.LOGIC, "L401", "AssertionError: assert 1 == 2", "tests/test_a.py:9"
            ),
            AlikeCells(("auth",), None),
        ),
    )
    for problem in summary.problems:
        assert sorted(label for look in problem.cells for label in look.labels) == [
            "auth",
            "backend",
            "local",
        ]


def test_tests_that_failed_alike_are_one_problem(tmp_path: Path) -> None:
    """The same cause for the same reason is said once, wherever the tests stand."""
    attempts = [
        Attempt(
            f"tests/test_{number}.py::test",
            Outcome.FAILED,
            cause=Cause.INFRASTRUCTURE,
            evidence=Evidence("I201", "backend is down", place=f"tests/test_{number}.py:{number}"),
        )
        for number in range(40)
    ]
    (problem,) = MatrixSummary.of(Matrix.from_runs([write_run(tmp_path / "r", *attempts)])).problems
    assert len(problem.tests) == 40


def test_reasons_for_telling_nothing_are_said_once(summary: MatrixSummary) -> None:
    """Skips, expected failures and what never ended, by reason, with the tests they hold for."""
    told = {(aside.labels, aside.outcome, aside.reason, len(aside.tests)) for aside in summary.asides}
    assert (("local",), Outcome.SKIPPED, "redis is absent", 12) in told
    assert (("local",), Outcome.XFAILED, "issue 7", 1) in told
    assert (("backend",), Outcome.NOT_RUN, "terminated by SIGTERM", 1) in told


def test_the_same_reason_in_several_environments_is_said_once(tmp_path: Path) -> None:
    """One line for all of them."""
    skip = Attempt("a.py::x", Outcome.SKIPPED, reason="not on Sundays")
    runs = [write_run(tmp_path / name, skip, environment=name) for name in ("a", "b")]
    (aside,) = MatrixSummary.of(Matrix.from_runs(runs)).asides
    assert aside == Aside(("a", "b"), Outcome.SKIPPED, "not on Sundays", ("a.py::x",))


def test_not_planned_is_not_skipped(tmp_path: Path) -> None:
    """A test that another environment planned is told apart from one that was skipped."""
    runs = [
        write_run(tmp_path / "a", Attempt("a.py::x", Outcome.PASSED), environment="a"),
        write_run(tmp_path / "b", Attempt("a.py::y", Outcome.PASSED), environment="b"),
    ]
    asides = MatrixSummary.of(Matrix.from_runs(runs)).asides
    assert {(aside.labels, aside.outcome, aside.tests) for aside in asides} == {
        (("a",), None, ("a.py::y",)),
        (("b",), None, ("a.py::x",)),
    }


def test_every_cause_has_its_advice(summary: MatrixSummary) -> None:
    """Advice is due for the causes that occur, in the order of the causes; a rule that knows better gives its own."""
    assert set(ADVICE) == set(Cause)
    assert [label for label, _ in summary.advice] == ["contract C102", "infrastructure I201", "logic"]


def test_failures_that_differ_in_ids_times_and_ports_alone_are_one_problem(tmp_path: Path) -> None:
    """What is shown is the first of them as it was; a status that differs is another problem."""
    seen = [
        "user 3f2a91bc at 127.0.0.1:40001 after 1.2 s: assert 404 == 200",
        "user 77ab01ef at 127.0.0.1:40977 after 0.9 s: assert 404 == 200",
        "user 77ab01ef at 127.0.0.1:40977 after 0.9 s: assert 500 == 200",
    ]
    attempts = (
        Attempt(f"a.py::{number}", Outcome.FAILED, cause=Cause.LOGIC, evidence=Evidence("L401", summary))
        for number, summary in enumerate(seen)
    )
    problems = MatrixSummary.of(Matrix.from_runs([write_run(tmp_path / "r", *attempts)])).problems
    assert [(problem.tests, problem.cells[0].summary) for problem in problems] == [
        (("a.py::0", "a.py::1"), seen[0]),
        (("a.py::2",), seen[2]),
    ]


def test_where_the_services_come_from_is_counted(tmp_path: Path) -> None:
    """Absent ones are no source; what is no real thing is named."""
    where = {"a": "embedded", "b": "embedded", "c": "stub", "d": "absent"}
    (column,) = Matrix.from_runs([write_run(tmp_path / "r", sources=where)]).columns
    assert sources(column) == {"embedded": 2, "stub": 1}
    assert stand_ins(column) == "stub: c; absent: d"


@pytest.mark.parametrize(("commit", "title"), [("unknown", "no commit known, 2026-01-02 03:04:05 UTC")])
def test_outside_a_checkout_the_title_says_so(tmp_path: Path, commit: str, title: str) -> None:
    """Nothing is made up."""
    assert MatrixSummary.of(Matrix.from_runs([write_run(tmp_path / "r", commit=commit)])).title == title


def test_the_versions_that_services_reported_stand_beside_their_sources(tmp_path: Path) -> None:
    """Those of the first look; a service that tells none is left out, and so is a column without a run."""
    run = write_run(tmp_path / "local.jsonl", Attempt("t", Outcome.PASSED))
    before, after = (
        Attestation(
            moment=moment,
            services={
                "database": Ping(service="database", status=PingStatus.UP, version=version),
                "auth": Ping(service="auth", status=PingStatus.UP),
            },
        )
        for moment, version in (("before", "PostgreSQL 18.4"), ("after", "PostgreSQL 18.5"))
    )
    missing = MissingRun("staging", "staging", "no reason")
    matrix = Matrix.from_runs([replace(run, attestations=(before, after))], [missing])
    assert list(map(reported_versions, matrix.columns)) == [{"database": "PostgreSQL 18.4"}, {}]
    judged = JudgedMatrix(matrix, judge_all(matrix))
    assert "- `local`: `PostgreSQL 18.4`\n- `staging`: `none reported`\n" in markdown.render(judged)
    assert [each["services"] for each in json.loads(json_.render(judged))["environments"]] == [
        {"database": "PostgreSQL 18.4"},
        {},
    ]
