"""The audit as annotations: at their lines, no more than GitHub shows, and nothing that a tree says is a command."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from envmatrix.analysis.audit.audit import AuditResult
from envmatrix.report.audit import sarif
from envmatrix.report.audit.github import render
from envmatrix.report.github import MOST
from tests.framework.report.audit.samples import MISSING, everything, hostile


def test_each_finding_stands_at_its_line() -> None:
    """With its code in the title, its tests and what to do."""
    lines = render(everything()).splitlines()
    assert lines[0].startswith("::error file=tests/test_a.py,line=3,title=EM101::fixture 'real_services' is asked for")
    assert "5 tests: tests/test_a.py::test_0" in lines[0]
    assert lines[1] == (
        "::error file=tests/conftest.py,line=9,title=EM105::fixture 'old' is never asked for. Remove it"
    )


def test_no_more_than_github_shows() -> None:
    """The last of ten says how many there are beside."""
    findings = tuple(replace(MISSING, line=line) for line in range(1, 31))
    lines = render(AuditResult(Path.cwd(), findings)).splitlines()
    assert len(lines) == MOST
    assert lines[-1] == "::error title=envmatrix audit::and 21 more findings: envmatrix audit shows them all"
    assert render(AuditResult(Path.cwd(), ())) == ""


@pytest.mark.fault("hostile-test-name")
def test_nothing_that_a_tree_says_is_a_command() -> None:
    """One command a line, ours; what stands behind it begins no other, and ends no property."""
    for each in hostile().findings:
        (line,) = render(AuditResult(Path.cwd(), (each,))).splitlines()
        assert line.isprintable()
        head, _, message = line.removeprefix("::error ").partition("::")
        assert re.fullmatch(r"file=[^,:]*,line=1,title=EM101", head), head
        assert not re.search(r"::(?:error|set-output)[^:]*::|##\[", message)


def test_those_that_matter_most_are_among_the_ten(tmp_path: Path) -> None:
    """A fixture that is missing is not left out for those that are not documented."""
    lesser = tuple(replace(MISSING, code="EM301", line=line) for line in range(1, 31))
    assert "title=EM101" in render(AuditResult(tmp_path, (*lesser, MISSING))).splitlines()[0]


@pytest.mark.parametrize("is_here", [True, False])
def test_files_are_named_as_the_checkout_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_here: bool
) -> None:
    """Also where only a part of it was audited, or the step runs elsewhere."""
    project = tmp_path / "services/shop"
    project.mkdir(parents=True)
    monkeypatch.chdir(tmp_path if is_here else project)
    monkeypatch.setenv("GITHUB_WORKSPACE", "" if is_here else str(tmp_path))
    assert "file=services/shop/tests/test_a.py," in render(AuditResult(project, (MISSING,)))
    (result,) = json.loads(sarif.render(AuditResult(project, (MISSING,))))["runs"][0]["results"]
    where = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert where == "services/shop/tests/test_a.py"
