"""What a test's reports add up to: a body that ran, subtests, and equal node ids."""

import subprocess
import sys

import pytest

from envmatrix.gate import Answer, judge
from envmatrix.plugin.tries import Try
from envmatrix.runs.cells import Run
from envmatrix.runs.file import read_run
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.bare import Bare, plain_environment

WORKERS = pytest.mark.parametrize("workers", ["0", "2"])

subtests = pytest.mark.skipif(not hasattr(pytest, "SubtestReport"), reason="pytest has subtests from version 9 on")


def run(bare: Bare, *arguments: str) -> Run:
    """Run pytest in the first environment and read what it recorded."""
    (bare.root / "run.jsonl").unlink(missing_ok=True)
    options = ["-p", "no:cacheprovider", "--matrix-environment=local", "--matrix-run-file=run.jsonl"]
    subprocess.run(
        [sys.executable, "-m", "pytest", *options, *arguments],
        cwd=bare.root,
        capture_output=True,
        timeout=60,
        check=False,
        env=plain_environment(),
    )
    return read_run(bare.root / "run.jsonl")


def outcomes(run: Run) -> dict[str, str]:
    """Each test's outcome, by its name without the file."""
    return {test.partition("::")[2]: cell.outcome.value for test, cell in run.cells.items()}


@pytest.mark.fault("no-call-phase")
@pytest.mark.parametrize("option", ["--setup-only", "--setup-plan"])
@WORKERS
def test_a_test_whose_body_was_not_run_is_not_passed(bare: Bare, option: str, workers: str) -> None:
    """It is `not_run` by H306, the option is named, and the verdict is unknown."""
    recorded = run(bare, option, f"-n{workers}", "suite")
    (cell,) = recorded.cells.values()
    assert cell.evidence is not None
    assert (cell.outcome, cell.cause, cell.evidence.rule) == (Outcome.NOT_RUN, Cause.HARNESS, "H306")
    assert option in recorded.header.narrowed
    assert judge(recorded).answer is Answer.UNKNOWN


PROTOCOLS = """
    import pytest

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(item):
        hook, when = item.ihook, {"test_silent": [], "test_called": ["setup", "call"], "test_prepared": ["setup"]}
        if item.name not in when:
            return None
        hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for phase in when[item.name]:
            call = pytest.CallInfo.from_call(lambda: None, phase)
            hook.pytest_runtest_logreport(report=hook.pytest_runtest_makereport(item=item, call=call))
        hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True
"""


@pytest.mark.fault("no-call-phase")
def test_a_protocol_of_a_plugins_own_passes_what_it_calls(bare: Bare) -> None:
    """A call report without a teardown passes; no report, or only the setup's, does not."""
    bare.write("conftest.py", PROTOCOLS)
    names = ("silent", "called", "prepared", "plain")
    bare.write("suite/test_a.py", "".join(f"def test_{name}(): pass\n" for name in names))
    assert outcomes(run(bare, "suite")) == {
        "test_silent": "not_run",
        "test_called": "passed",
        "test_prepared": "not_run",
        "test_plain": "passed",
    }


RETRIES_ITSELF = """
    import pytest

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(item, call):
        report = yield
        if call.when == "call":
            report.outcome = "retried"
            item.ihook.pytest_runtest_logreport(report=report)
            report.outcome = "passed" if item.name == "test_mends" else "failed"
        return report
"""


@pytest.mark.fault("equal-node-ids")
def test_another_plugins_outcome_is_a_failed_try(bare: Bare) -> None:
    """`retried`, as pytest-retry reports a try, is no skip: failed, then passed is flaky."""
    bare.write("conftest.py", RETRIES_ITSELF)
    bare.write("suite/test_a.py", "def test_mends(): assert 0\ndef test_stays(): assert 0\n")
    recorded = run(bare, "suite")
    assert outcomes(recorded) == {"test_mends": "flaky", "test_stays": "failed"}
    assert {len(cell.attempts) for cell in recorded.cells.values()} == {2}


CASES = """
    import pytest

    class CaseFile(pytest.File):
        def collect(self):
            for line in self.path.read_text().splitlines():
                name, _, word = line.partition(" ")
                case = Case.from_parent(self, name=name)
                case.word = word
                yield case

    class Case(pytest.Item):
        def runtest(self):
            assert self.word == "good", self.word

    def pytest_collect_file(parent, file_path):
        if file_path.suffix == ".case":
            return CaseFile.from_parent(parent, path=file_path)
"""


@pytest.mark.fault("equal-node-ids")
@WORKERS
@pytest.mark.parametrize("shard", ["", "1/2", "2/2"])
def test_tests_of_one_node_id_are_told_apart(bare: Bare, workers: str, shard: str) -> None:
    """Each has a cell of its own, by its place in the suite: with workers and in a shard, too."""
    bare.write("conftest.py", CASES)
    bare.write("cases/a.case", "login good\nlogin bad\nlogout good\nlogin good\n")
    expected = {"login": "passed", "login#2": "failed", "logout": "passed", "login#3": "passed"}
    recorded = outcomes(run(bare, f"-n{workers}", "cases", *([f"--matrix-shard={shard}"] if shard else [])))
    assert recorded.items() <= expected.items()
    assert len(recorded) == (2 if shard else 4)


@pytest.mark.fault("equal-node-ids")
def test_each_worker_that_runs_every_test_has_cells_of_its_own(bare: Bare) -> None:
    """Under `--dist=each` a failure in one worker is no flaky test."""
    bare.write("suite/test_a.py", "def test_a(worker_id): assert worker_id == 'gw0'\ndef test_b(): pass\n")
    recorded = run(bare, "--tx=2*popen", "--dist=each", "suite")
    assert outcomes(recorded) == {"test_a": "passed", "test_b": "passed", "test_a#2": "failed", "test_b#2": "passed"}
    assert len(recorded.bodies) == 4


@pytest.mark.fault("equal-node-ids")
def test_a_worker_that_replaces_a_crashed_one_has_its_cells(bare: Bare) -> None:
    """Under `--dist=each` it goes on where that one ended, under a new name."""
    body = (
        "def test_a(worker_id): worker_id != 'gw1' or os._exit(1)\ndef test_b(worker_id): assert worker_id == 'gw0'\n"
    )
    bare.write("suite/test_a.py", f"import os\n{body}")
    recorded = run(bare, "--tx=2*popen", "--dist=each", "suite")
    assert outcomes(recorded) == {"test_a": "passed", "test_b": "passed", "test_a#2": "failed", "test_b#2": "failed"}
    assert recorded.complete


@WORKERS
def test_a_test_with_an_endless_name_is_recorded(bare: Bare, workers: str) -> None:
    """Its name is cut the same way in the plan and where it ends."""
    bare.write(
        "suite/test_a.py",
        "import pytest\n@pytest.mark.parametrize('x', [1], ids=['y' * 2_000_000])\ndef test_a(x): pass\n",
    )
    recorded = run(bare, f"-n{workers}", "suite")
    assert [(len(test), cell.outcome.value) for test, cell in recorded.cells.items()] == [(4096, "passed")]


SUBTESTS = """
    import unittest
    import pytest

    def test_skipped_part(subtests):
        for size in "sml":
            with subtests.test(size=size):
                if size == "m":
                    pytest.skip("not made in m")

    def test_failed_parts(subtests):
        for n in range(4):
            with subtests.test("part", n=n):
                assert n % 2 == 0, f"part {n} is wrong"

    def test_own_failure(subtests):
        with subtests.test("alone"):
            assert 0, "in a part"
        raise RuntimeError("afterwards")

    @pytest.mark.xfail(reason="known")
    def test_expected(subtests):
        with subtests.test("known"):
            assert 0

    class TestCase(unittest.TestCase):
        def test_case(self):
            for word in ("good", "bad", "skipped"):
                with self.subTest(word=word):
                    if word == "skipped":
                        self.skipTest("no")
                    assert word == "good", "it is " + word
"""


@pytest.mark.fault("subtest-skipped")
@pytest.mark.fault("subtest-failed")
@WORKERS
@subtests
def test_subtests_are_parts_of_their_test(bare: Bare, workers: str) -> None:
    """A skipped part skips no test; each failed part is in the evidence by its label."""
    bare.write("suite/test_a.py", SUBTESTS)
    cells = {test.rpartition("::")[2]: cell for test, cell in run(bare, f"-n{workers}", "suite").cells.items()}
    assert {name: cell.outcome.value for name, cell in cells.items()} == {
        "test_skipped_part": "passed",
        "test_failed_parts": "failed",
        "test_own_failure": "failed",
        "test_expected": "xpassed",
        "test_case": "failed",
    }
    failed = cells["test_failed_parts"].evidence
    assert failed is not None
    assert [part.label.replace("'", "") for part in failed.parts] == ["[part] (n=1)", "[part] (n=3)"]
    expected = [f"AssertionError: part {n} is wrong; assert ({n} % 2) == 0" for n in (1, 3)]
    assert [part.summary for part in failed.parts] == expected
    assert all(part.label in failed.summary and part.summary in failed.summary for part in failed.parts)
    own = cells["test_own_failure"].evidence
    assert own is not None
    assert own.summary == "[alone] AssertionError: in a part; assert 0; RuntimeError: afterwards"
    case = cells["test_case"].evidence
    assert case is not None
    assert [part.summary for part in case.parts] == ["AssertionError: it is bad; assert 'bad' == 'good'; - good + bad"]


@subtests
def test_the_time_of_a_subtest_is_its_tests() -> None:
    """It counts once."""
    current = Try()
    for kind, duration in ((pytest.SubtestReport, 0.75), (pytest.TestReport, 1.0)):
        current.add(kind("a.py::test", ("a.py", 0, "test"), {}, "passed", None, "call", duration=duration))
    assert current.attempt("a.py::test").duration == 1.0


@pytest.mark.fault("subtest-retried")
@WORKERS
@subtests
def test_a_test_with_a_failed_subtest_is_tried_again_as_a_whole(bare: Bare, workers: str) -> None:
    """Failed, then passed: flaky, with the first try's part in its evidence."""
    body = """
    import pathlib

    def test_it(subtests):
        with subtests.test("moody"):
            with open("tries.txt", "a") as stream: stream.write("x")
            assert len(pathlib.Path("tries.txt").read_text()) > 1
"""
    bare.write("suite/test_a.py", body)
    (cell,) = run(bare, f"-n{workers}", "--reruns=2", "suite").cells.values()
    assert (cell.outcome, len(cell.attempts)) == (Outcome.FLAKY, 2)
    assert cell.evidence is not None
    assert [part.label for part in cell.evidence.parts] == ["[moody]"]


HANGS = """
    import time
    import pytest

    def test_after_a_skip(subtests):
        with subtests.test("cache"):
            pytest.skip("no cache here")
        time.sleep(30)

    def test_after_a_failure(subtests):
        with subtests.test("cache"):
            assert 0
        time.sleep(30)

    def test_in_parts(subtests):
        for n in range(3):
            with subtests.test("hangs", n=n):
                time.sleep(30)

    def test_last(): pass
"""


@pytest.mark.fault("subtest-deadline")
@WORKERS
@subtests
def test_the_deadline_goes_on_after_a_subtest(bare: Bare, workers: str) -> None:
    """A part's report stops no clock, and a part that takes the exception does not save the test."""
    bare.write("suite/test_a.py", HANGS)
    cells = run(bare, f"-n{workers}", "--matrix-test-deadline=1", "suite").cells
    assert {test.rpartition("::")[2]: cell.outcome.value for test, cell in cells.items()} == {
        "test_after_a_skip": "failed",
        "test_after_a_failure": "failed",
        "test_in_parts": "failed",
        "test_last": "passed",
    }
    assert all(cell.duration < 5 for cell in cells.values())
    skip = cells["suite/test_a.py::test_after_a_skip"].evidence
    assert skip is not None
    assert skip.rule == "H305"
