"""The gate's decision for people: what decides in full, what is remarked on short, and against what it was held."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from msgspec import structs

from envmatrix.environments import GatePolicy
from envmatrix.gate.baseline import Baseline, Known
from envmatrix.gate.decide import decide
from envmatrix.matrix.table import Matrix
from envmatrix.report.gate import text
from envmatrix.runs.events import Attempt, Evidence
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.run_files import footer, write_run

WRONG = Evidence("L401", "AssertionError: assert 1 == 2", "call", "a.py:7")
FAILED = Known(Outcome.FAILED, Cause.LOGIC)


def test_one_screen_says_what_decides(tmp_path: Path) -> None:
    """With evidence and place; of known failures a few are named, without."""
    tests = [Attempt(f"a.py::known{n}", Outcome.FAILED, cause=Cause.LOGIC, evidence=WRONG) for n in range(5)]
    tests += [Attempt("a.py::fresh", Outcome.FAILED, cause=Cause.LOGIC, evidence=WRONG)]
    tests += [Attempt("a.py::passed", Outcome.PASSED)]
    run = write_run(tmp_path / "r.jsonl", *tests, end=footer(1))
    before = Baseline("b" * 40, "2026-01-01T00:00:00+00:00", {"local": {f"a.py::known{n}": FAILED for n in range(5)}})
    dirty = Matrix.from_runs([replace(run, header=structs.replace(run.header, dirty=True))])
    now = datetime(2026, 1, 2, tzinfo=UTC)
    assert text.render(decide(dirty, GatePolicy(), baseline=before, waivers=(), now=now)) == (
        "local  incompatible  at cccccccccccc (dirty)\n"
        "  1 test failed: the product or the test is wrong\n"
        "    a.py::fresh  failed, logic L401: AssertionError: assert 1 == 2 (a.py:7)\n"
        "  of no commit: it was run with files that differ from cccccccccccc: git status. Commit, ignore or remove them, and run\n"
        "  it again\n"
        "  1 of 7 tests passed\n"
        "  5 tests failed as in the baseline\n"
        "    a.py::known0  failed, logic L401\n"
        "    a.py::known1  failed, logic L401\n"
        "    a.py::known2  failed, logic L401\n"
        "    and 2 more\n"
        "  2 tests new since the baseline\n"
        "\n"
        "gate  shut  against the baseline of bbbbbbbbbbbb, 2026-01-01\n"
    )
