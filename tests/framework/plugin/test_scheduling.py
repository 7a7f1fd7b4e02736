"""Workers of xdist that crash: each test ends once, and the run ends."""

import subprocess
import sys

import pytest

from envmatrix.gate import Answer, judge
from envmatrix.runs.cells import Run
from envmatrix.runs.file import read_run
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.bare import Bare, plain_environment

DEADLINE = 60.0
"""Seconds after which a run counts as hung."""

SUITE = """
    import os, pathlib, signal, time
    import pytest

    def note(number):
        with open("ran.txt", "a") as stream:
            stream.write(f"{{number}}\\n")

    @pytest.mark.xdist_group("one")
    class TestGroup:
        def test_0(self): note(0)
        def test_1(self): note(1); {crash}
        def test_2(self): note(2)
        def test_3(self): note(3)

    def test_4(): note(4)
    def test_5(): note(5)
"""

DISTRIBUTIONS = ("load", "worksteal", "loadscope", "loadfile", "loadgroup")


def run(bare: Bare, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest with two workers in the first environment; raise where it hangs."""
    (bare.root / "run.jsonl").unlink(missing_ok=True)
    options = ["-p", "no:cacheprovider", "--matrix-environment=local", "--matrix-run-file=run.jsonl"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-n2", *arguments, "suite"],
        cwd=bare.root,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
        env=plain_environment(),
    )


def recorded(bare: Bare) -> Run:
    """The run that was recorded last."""
    return read_run(bare.root / "run.jsonl")


def outcomes(found: Run) -> str:
    """Every outcome in the order planned."""
    return " ".join(cell.outcome for cell in found.cells.values())


@pytest.mark.fault("worker-crash")
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_a_crash_costs_one_test_and_is_not_repeated(bare: Bare, distribution: str) -> None:
    """The test that crashed its worker failed, once, for the harness; every other one ran, once."""
    bare.write("suite/test_a.py", SUITE.format(crash="os._exit(7)"))
    assert run(bare, f"--dist={distribution}").returncode == 1
    cells = {test.partition("::")[2].partition("@")[0]: cell for test, cell in recorded(bare).cells.items()}
    crashed = cells.pop("TestGroup::test_1")
    assert {cell.outcome for cell in cells.values()} == {Outcome.PASSED}
    assert (len(cells), len(crashed.attempts), crashed.outcome, crashed.cause) == (5, 1, Outcome.FAILED, Cause.HARNESS)
    assert crashed.evidence is not None
    assert crashed.evidence.rule == "H301"
    assert crashed.evidence.summary.endswith("its process ended with exit code 7")
    assert sorted((bare.root / "ran.txt").read_text().split()) == list("012345")


@pytest.mark.fault("worker-crash")
def test_single_tests_that_are_left_after_a_crash_do_not_wait_for_ever(bare: Bare) -> None:
    """A replacement that gets one test at a time starts each: a worker must know the next one, or that there is none."""
    tests = "\n".join(f"def test_{number}(): {'os._exit(7)' if number in {1, 4, 6} else 'pass'}" for number in range(9))
    bare.write("suite/test_a.py", "import os\n" + tests)
    run(bare, "--dist=loadgroup")
    assert outcomes(recorded(bare)) == "passed failed passed passed failed passed failed passed passed"


@pytest.mark.fault("oom-kill")
def test_the_signal_that_ended_a_worker_is_named(bare: Bare) -> None:
    """SIGKILL is what the kernel sends who takes too much memory: the test is never passed, and the evidence says 9."""
    bare.write("suite/test_a.py", SUITE.format(crash="os.kill(os.getpid(), signal.SIGKILL)"))
    assert run(bare).returncode == 1
    evidence = recorded(bare).cells["suite/test_a.py::TestGroup::test_1"].evidence
    assert evidence is not None
    assert "signal 9 (Killed)" in evidence.summary
    assert outcomes(recorded(bare)).count("passed") == 5


@pytest.mark.fault("worker-crash-loop")
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_a_suite_that_only_crashes_stops_at_the_limit(bare: Bare, distribution: str) -> None:
    """After so many crashed workers no other is started: the rest is not run, and the footer says why."""
    crash = "import os, pytest\n@pytest.mark.parametrize('n', range(12))\ndef test_a(n): os._exit(7)\n"
    bare.write("suite/test_a.py", crash)
    bare.write("suite/test_b.py", crash)
    assert run(bare, f"--dist={distribution}", "--max-worker-restart=2").returncode == 1
    found = recorded(bare)
    counts = {outcome: outcomes(found).split().count(outcome) for outcome in ("failed", "not_run")}
    assert counts["failed"] in {3, 4}  # the second worker may be under way with a test when the limit is reached
    assert sum(counts.values()) == 24
    assert found.footer is not None
    assert found.footer.reason in [f"crashed workers: {number}, and no other may be started" for number in (3, 4)]
    assert judge(found).answer is Answer.UNKNOWN


@pytest.mark.fault("all-workers-lost")
def test_losing_a_worker_that_may_not_be_replaced_is_no_success(bare: Bare) -> None:
    """With `--max-worker-restart=0` a crash ends the run: exit not 0, and nothing that was planned is passed over."""
    bare.write("suite/test_a.py", SUITE.format(crash="os._exit(7)"))
    assert run(bare, "--max-worker-restart=0", "--dist=loadfile").returncode == 1
    found = recorded(bare)
    assert len(found.cells) == 6
    assert Outcome.NOT_RUN in {cell.outcome for cell in found.cells.values()}
    assert judge(found).answer is Answer.UNKNOWN


@pytest.mark.fault("all-workers-lost")
@pytest.mark.parametrize("limit", ["0", "2"])
def test_workers_that_die_at_their_start_end_the_run(bare: Bare, limit: str) -> None:
    """No worker ever collects: exit not 0, before any deadline, and the verdict is unknown."""
    bare.write(
        "conftest.py", "import os\ndef pytest_configure(config):\n    if hasattr(config, 'workerinput'): os._exit(7)"
    )
    assert run(bare, f"--max-worker-restart={limit}").returncode != 0
    found = recorded(bare)
    assert found.footer is not None
    assert "crashed workers: " in found.footer.reason
    assert judge(found).answer is Answer.UNKNOWN


@pytest.mark.fault("all-workers-lost")
def test_a_worker_that_dies_between_collecting_and_the_first_test_is_replaced(bare: Bare) -> None:
    """Its collection does not count for its replacement's: nobody is given tests before it has collected."""
    bare.write(
        "conftest.py",
        """
        import os, pathlib, time
        import pytest
        WORKER, READY = os.environ.get("PYTEST_XDIST_WORKER"), pathlib.Path("ready.txt")
        def pytest_collection(session):
            if WORKER == "gw2":
                READY.touch()
                time.sleep(1)
        @pytest.hookimpl(tryfirst=True)
        def pytest_collection_finish(session):
            while WORKER == "gw1" and not READY.exists(): time.sleep(0.02)
        @pytest.hookimpl(tryfirst=True)
        def pytest_runtestloop(session):
            if WORKER == "gw0": os._exit(7)
        """,
    )
    bare.write("suite/test_a.py", SUITE.format(crash="pass"))
    run(bare, "--dist=loadgroup")
    assert outcomes(recorded(bare)) == " ".join(["passed"] * 6)


OWN = """
    from xdist.scheduler import LoadFileScheduling
    class Own(LoadFileScheduling):
        def schedule(self):
            open("own.txt", "w").close()
            super().schedule()
    def pytest_xdist_make_scheduler(config, log): return Own(config, log)
"""


@pytest.mark.parametrize("place", ["conftest.py", "own.py"])
def test_a_projects_own_scheduler_is_kept(bare: Bare, place: str) -> None:
    """Ours stands only between it and xdist's."""
    bare.write(place, OWN)
    arguments = ["-p", "own"] if place == "own.py" else []
    assert run(bare, *arguments, "--dist=loadscope").returncode == 0, "see own.txt"
    assert (bare.root / "own.txt").exists()
