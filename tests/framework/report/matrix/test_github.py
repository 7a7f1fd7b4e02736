"""Annotations: what GitHub shows on a diff, no more than it takes, and nothing that a test says is a command."""

import re
from pathlib import Path

import pytest

from envmatrix.matrix.table import Matrix
from envmatrix.report.github import MOST
from envmatrix.report.matrix.github import render
from envmatrix.runs.events import Attempt, Evidence
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.report.samples import everything, hostile, judged
from tests.framework.run_files import write_run


def test_each_problem_stands_at_its_line(tmp_path: Path) -> None:
    """File and line of what broke, environments and cause in the title, then the verdicts that are not compatible."""
    lines = render(everything(tmp_path)).splitlines()
    assert (
        "::error file=conftest.py,line=4,title=backend%3A contract C102::"
        "tests/test_legacy.py::test_it: conftest.py:4: fixture 'real_services' lacks 'auth_url'"
    ) in lines
    assert "::error title=staging (twin)%3A unknown::pytest ended with exit code 4" in lines
    assert all(line.startswith("::error ") for line in lines)


def test_a_message_is_not_searched_for_a_place(tmp_path: Path) -> None:
    """What a test says names no line: without a place in the evidence, the test's own file is shown."""
    evidence = Evidence("L401", "other.py:3: no", "call")
    run = write_run(tmp_path / "r.jsonl", Attempt("a.py::x", Outcome.FAILED, cause=Cause.LOGIC, evidence=evidence))
    assert render(judged(Matrix.from_runs([run]))).startswith("::error file=a.py,title=local%3A logic L401::a.py::x")


def test_no_more_than_github_shows(tmp_path: Path) -> None:
    """The last of ten says how many there are beside."""
    wrong = [
        Attempt(
            f"a.py::{n}", Outcome.FAILED, cause=Cause.LOGIC, evidence=Evidence("L401", f"no {n}", place=f"a.py:{n}")
        )
        for n in range(1, 31)
    ]
    matrix = Matrix.from_runs([write_run(tmp_path / "r.jsonl", *wrong)])
    lines = render(judged(matrix)).splitlines()
    assert len(lines) == MOST
    assert lines[-1] == "::error title=envmatrix::and 22 more: the job's summary has them all"


def test_a_compatible_matrix_says_nothing(tmp_path: Path) -> None:
    """No annotation where nothing is to be done."""
    matrix = Matrix.from_runs([write_run(tmp_path / "r.jsonl", Attempt("a", Outcome.PASSED))])
    assert render(judged(matrix)) == ""


@pytest.mark.fault("hostile-test-name")
def test_nothing_that_a_test_says_is_a_command(tmp_path: Path) -> None:
    """One command a line, ours; what stands behind it begins no other, and ends no property."""
    for line in render(hostile(tmp_path)).splitlines():
        assert line.isprintable()
        head, _, message = line.removeprefix("::error ").removeprefix("::notice ").partition("::")
        assert re.fullmatch(r"(?:file|line|title)=[^,:]*(?:,(?:line|title)=[^,:]*)*", head), head
        assert not re.search(r"::(?:error|set-output)[^:]*::", message)
        assert "##[" not in message
