"""Tests that are tried again: every try is in the run file."""

import subprocess
import sys

import pytest

from envmatrix.runs.cells import Cell, Run
from envmatrix.runs.file import read_run
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.bare import Bare, plain_environment

DEADLINE = 60.0
"""Seconds after which a run counts as hung."""

HEAD = """
    import os, pathlib, signal
    import pytest

    def number_of_try(name="tries.txt"):
        with open(name, "a") as stream: stream.write("x")
        return len(pathlib.Path(name).read_text())

"""

WORKERS = pytest.mark.parametrize("workers", ["0", "2"])


def run(bare: Bare, body: str, *arguments: str) -> Cell:
    """Run a suite with two retries; return what became of `test_it`, and raise where it hangs."""
    bare.write("suite/test_a.py", HEAD + body)
    options = ["-p", "no:cacheprovider", "--matrix-environment=local", "--matrix-run-file=run.jsonl", "--reruns=2"]
    subprocess.run(
        [sys.executable, "-m", "pytest", *options, *arguments, "suite"],
        cwd=bare.root,
        capture_output=True,
        timeout=DEADLINE,
        check=False,
        env=plain_environment(),
    )
    return next(cell for test, cell in recorded(bare).cells.items() if test.partition("@")[0].endswith("test_it"))


def recorded(bare: Bare) -> Run:
    """The run that was recorded last."""
    return read_run(bare.root / "run.jsonl")


def tries(cell: Cell) -> str:
    """The outcome of each try."""
    return " ".join(attempt.outcome for attempt in cell.attempts)


@pytest.mark.fault("flaky-retry")
@WORKERS
def test_failed_then_passed_is_flaky(bare: Bare, workers: str) -> None:
    """Both tries are there, and the cause and evidence of the one that failed."""
    cell = run(bare, "    def test_it(): assert number_of_try() > 1, 'the first try'", f"-n{workers}")
    assert (cell.outcome, tries(cell)) == (Outcome.FLAKY, "failed passed")
    assert cell.cause is Cause.LOGIC
    assert cell.evidence is not None
    assert (cell.evidence.rule, "the first try" in cell.evidence.detail) == ("L401", True)
    assert cell.attempts[0].evidence == cell.evidence
    assert cell.attempts[1].evidence is None


@pytest.mark.fault("flaky-retry")
@WORKERS
def test_failing_every_time_is_failed(bare: Bare, workers: str) -> None:
    """Three tries, each with its own evidence; the last one's is the cell's."""
    cell = run(bare, "    def test_it(): assert 0, f'try {number_of_try()}'", f"-n{workers}")
    assert (cell.outcome, tries(cell)) == (Outcome.FAILED, "failed failed failed")
    found = [attempt.evidence.exceptions[0] for attempt in cell.attempts if attempt.evidence]
    assert ["try 1" in found[0], "try 2" in found[1], "try 3" in found[2]] == [True] * 3
    assert cell.evidence == cell.attempts[-1].evidence


@pytest.mark.fault("flaky-retry")
@WORKERS
@pytest.mark.parametrize("scope", ["function", "module"])
def test_a_setup_that_failed_is_tried_again(bare: Bare, workers: str, scope: str) -> None:
    """The fixture is set up anew, whatever its scope, and the evidence says that it was the setup."""
    body = f"""
    @pytest.fixture(scope="{scope}")
    def moody():
        assert number_of_try() > 1
    def test_it(moody): pass
"""
    cell = run(bare, body, f"-n{workers}")
    assert (cell.outcome, tries(cell)) == (Outcome.FLAKY, "failed passed")
    assert cell.evidence is not None
    assert cell.evidence.phase == "setup"


@pytest.mark.fault("flaky-retry")
@WORKERS
def test_a_teardown_that_failed_is_tried_again(bare: Bare, workers: str) -> None:
    """The whole test is."""
    body = """
    @pytest.fixture
    def moody():
        yield
        assert number_of_try() > 1
    def test_it(moody): pass
"""
    cell = run(bare, body, f"-n{workers}")
    assert (cell.outcome, tries(cell)) == (Outcome.FLAKY, "failed passed")
    assert cell.evidence is not None
    assert cell.evidence.phase == "teardown"


CRASHES_ONCE = """
    @pytest.mark.xdist_group("one")
    class TestGroup:
        def test_before(self): pass
        def test_it(self):
            if number_of_try() == 1: os.kill(os.getpid(), signal.SIGKILL)
        def test_after(self): assert number_of_try("after.txt") == 1
"""


@pytest.mark.fault("flaky-retry")
@pytest.mark.fault("worker-crash")
@pytest.mark.parametrize("distribution", ["load", "worksteal", "loadscope", "loadfile", "loadgroup"])
def test_a_crash_is_tried_again_on_another_worker(bare: Bare, distribution: str) -> None:
    """Under every distribution: the first try crashed its worker, the second passed, and the rest ran once."""
    cell = run(bare, CRASHES_ONCE, "-n2", f"--dist={distribution}")
    assert (cell.outcome, tries(cell), cell.cause) == (Outcome.FLAKY, "failed passed", Cause.HARNESS)
    assert cell.evidence is not None
    assert cell.evidence.rule == "H301"
    assert "signal 9" in cell.evidence.summary
    assert cell.attempts[0].worker != cell.attempts[1].worker
    others = [each for each in recorded(bare).cells.values() if each.test != cell.test]
    assert {(each.outcome, len(each.attempts)) for each in others} == {(Outcome.PASSED, 1)}


@pytest.mark.fault("worker-crash")
def test_a_crash_every_time_is_failed_after_the_last_retry(bare: Bare) -> None:
    """Three workers are lost to it, and no more."""
    cell = run(bare, "    def test_it(): os._exit(7)\n    def test_after(): pass", "-n2", "--dist=loadfile")
    assert (cell.outcome, tries(cell)) == (Outcome.FAILED, "failed failed failed")
    assert recorded(bare).cells["suite/test_a.py::test_after"].outcome is Outcome.PASSED


def test_the_command_line_asks_for_retries(bare: Bare) -> None:
    """`--retries N`; a test that mends itself is flaky, and what no retry mends is not tried again."""
    body = """
    def test_it(): assert number_of_try() > 2
    def test_missing(no_such_fixture): pass
"""
    bare.write("suite/test_a.py", HEAD + body)
    process = bare.run("run", "local", "--retries", "2", timeout=DEADLINE)
    cells = read_run(bare.last / "local.jsonl").cells
    assert cells["suite/test_a.py::test_it"].outcome is Outcome.FLAKY, process.stderr
    assert tries(cells["suite/test_a.py::test_it"]) == "failed failed passed"
    missing = cells["suite/test_a.py::test_missing"]
    assert (tries(missing), missing.cause) == ("failed", Cause.CONTRACT)
    assert process.returncode == 1
