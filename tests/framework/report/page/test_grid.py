"""The part of the page that has every cell in a few letters and numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from envmatrix.matrix.table import Matrix
from envmatrix.runs.events import Attempt
from envmatrix.runs.outcomes import Outcome
from tests.framework.report.page.chunks import chunks
from tests.framework.report.page.test_html import rendered
from tests.framework.report.samples import judged
from tests.framework.run_files import write_run


@pytest.mark.fault("canary-secret")
def test_a_line_is_masked_before_it_is_cut(tmp_path: Path) -> None:
    """What is left of a token's end would not look like one."""
    token = f"eyJ{'a' * 600}.{'b' * 600}.{'c' * 300}"
    run = write_run(tmp_path / "r.jsonl", Attempt("a.py::x", Outcome.SKIPPED, reason=f"{'-' * 400} {token}"))
    made = chunks(rendered(judged(Matrix.from_runs([run])), tmp_path))
    assert "ccc" not in repr(made["grid"]["texts"])


def test_several_attempts_take_the_time_of_all_and_begin_with_the_first(tmp_path: Path) -> None:
    """A test that passed at once takes its only attempt's."""
    tries = (Attempt("a.py::x", Outcome.FAILED, 1.0, began=2.0), Attempt("a.py::x", Outcome.PASSED, 0.5, began=9.0))
    run = write_run(tmp_path / "r.jsonl", *tries, Attempt("a.py::y", Outcome.PASSED, 0.25, began=4.0))
    (column,) = chunks(rendered(judged(Matrix.from_runs([run])), tmp_path))["grid"]["columns"]
    assert column["outcomes"] == "kp"
    assert column["durations"] == [1500, 250]
    assert column["began"] == [2000, 4000]
    assert column["attempts"] == [2]
