"""The audit for a pull request: grouped by rule, bounded, and without an effect of any name."""

from dataclasses import replace
from pathlib import Path

import pytest

from envmatrix.analysis.audit.audit import AuditResult
from envmatrix.report.audit.markdown import render
from envmatrix.report.markdown import MOST
from tests.framework.report.audit.samples import MISSING, everything, hostile


def test_findings_are_grouped_by_their_rule() -> None:
    """With the number of all, and what is not among them."""
    rendered = render(everything())
    assert "2 findings in 20 tests of 4 files." in rendered
    assert (
        "Beside them 2 suppressed by noqa, 3 known from the baseline, 1 of the baseline fit nothing any more, "
        "1 requests unknown." in rendered
    )
    assert "### EM101: fixture-not-found\n\n- `tests/test_a.py:3:14` `fixture 'real_services' is asked for" in rendered
    assert "  - masked by `skip`: a run of pytest does not show it\n" in rendered
    assert "✅ No findings in 1 test of 1 file." in render(AuditResult(Path.cwd(), (), files=1, tests=1))


def test_a_summary_that_github_would_refuse_is_cut() -> None:
    """It takes 1 MiB, whole or not at all."""
    rendered = render(AuditResult(Path.cwd(), tuple(replace(MISSING, line=line) for line in range(10_000))))
    assert MOST - 2000 < len(rendered.encode()) < MOST + 200
    assert rendered.endswith("`envmatrix audit` shows all.**\n")


@pytest.mark.fault("hostile-test-name")
def test_no_name_is_markup() -> None:
    """All of it stands in code spans, on lines that are ours."""
    for line in render(hostile()).splitlines():
        assert line.isprintable()
        for outside in line.split("`")[::2] if line.count("`") % 2 == 0 and "``" not in line else []:
            assert "<" not in outside
            assert "http" not in outside
