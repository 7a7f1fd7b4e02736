"""The first part of the page: what broke a contract finding by finding, and what pytest said last where it died."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from envmatrix.matrix.table import Matrix
from envmatrix.runs.events import Attempt, Evidence, FindingRecord, Footer
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.report.page.chunks import chunks
from tests.framework.report.page.test_html import rendered
from tests.framework.report.samples import HOSTILE, judged
from tests.framework.run_files import footer, write_run


def page(tmp_path: Path, *attempts: Attempt, end: Footer | None) -> dict[str, Any]:
    """The first part of the page of one run."""
    run = write_run(tmp_path / "local.jsonl", *attempts, end=end)
    part: dict[str, Any] = chunks(rendered(judged(Matrix.from_runs([run])), tmp_path))["page"]
    return part


def test_a_broken_contract_is_told_finding_by_finding(tmp_path: Path) -> None:
    """Each with its rule, which the page explains, beside the summary that has all in one line."""
    findings = (
        FindingRecord("C110", "users is missing", "tests/conftest.py:2", hint="Provide it"),
        FindingRecord("C113", "backend_url is a URL, but backend is absent", "tests/conftest.py:2"),
    )
    evidence = Evidence("C102", "C110 users is missing; C113 …", findings=findings)
    made = page(tmp_path, Attempt("a.py::x", Outcome.FAILED, cause=Cause.CONTRACT, evidence=evidence), end=footer(1))
    (problem,) = made["problems"]
    assert problem["cells"][0]["findings"] == [
        {"rule": "C110", "message": "users is missing", "place": "tests/conftest.py:2", "hint": "Provide it"},
        {"rule": "C113", "message": findings[1].message, "place": "tests/conftest.py:2", "hint": ""},
    ]
    assert set(made["rules"]) == {"C102", "C110", "C113"}
    assert all(rule["meaning"] for rule in made["rules"].values())


@pytest.mark.parametrize("end", [None, footer(2, reason="interrupted"), footer(1)])
@pytest.mark.fault("hostile-test-name")
@pytest.mark.fault("canary-secret")
def test_the_end_of_the_output_is_there_where_pytest_died(tmp_path: Path, end: Footer | None) -> None:
    """Masked, and whatever it holds; where pytest ended by itself, the cells say more."""
    log = f"Fatal Python error: Segmentation fault\nAuthorization: Bearer {'x' * 40}\n{HOSTILE[0]}"
    (tmp_path / "local.log").write_text(log, errors="surrogateescape")
    tail = page(tmp_path, Attempt("a.py::x", Outcome.PASSED), end=end)["environments"][0]["log_tail"]
    assert ("Segmentation fault" in tail) == (end is None or end.exit_code == 2)
    assert "x" * 40 not in tail
