"""Tests and runs that do not end by themselves."""

import subprocess
import sys
from pathlib import Path

import pytest

from envmatrix.gate import Answer, judge
from envmatrix.runs.cells import Run
from envmatrix.runs.file import read_run
from envmatrix.runs.killed import KilledTest, finish_run
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.bare import Bare, plain_environment
from tests.framework.run_files import write_run

DEADLINE = 60.0
"""Seconds after which a run counts as hung."""

SUITE = """
    import pathlib, re, time
    import pytest

    def test_first(): pass
    def test_hangs(): {body}
    def test_last(): pass
"""

HUNG = "suite/test_a.py::test_hangs"
SWALLOWS = """
        while True:
            try: time.sleep(60)
            except BaseException: pass
"""
HOLDS_THE_LOCK = "re.match('(a+)+$', 'a' * 64 + 'b')"
"""The engine of `re` looks for signals, but lets no other thread run; a handler that raises ends it."""


def run(bare: Bare, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in the first environment; raise where it hangs."""
    (bare.root / "run.jsonl").unlink(missing_ok=True)
    options = ["-p", "no:cacheprovider", "--matrix-environment=local", "--matrix-run-file=run.jsonl"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *arguments, "suite"],
        cwd=bare.root,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
        env=plain_environment() | variables,
    )


def recorded(bare: Bare) -> Run:
    """The run that was recorded last."""
    return read_run(bare.root / "run.jsonl")


def outcomes(found: Run) -> str:
    """Every outcome in the order planned."""
    return " ".join(cell.outcome for cell in found.cells.values())


@pytest.mark.parametrize("body", ["time.sleep(60)", HOLDS_THE_LOCK])
def test_a_test_that_takes_too_long_fails_for_its_deadline(bare: Bare, body: str) -> None:
    """pytest-timeout's exception ends it, H305 says so with where it stood, and the others run."""
    bare.write("suite/test_a.py", SUITE.format(body=body))
    assert run(bare, "--matrix-test-deadline=1").returncode == 1
    found = recorded(bare)
    assert outcomes(found) == "passed failed passed"
    evidence = found.cells[HUNG].evidence
    assert evidence is not None
    assert (evidence.rule, found.cells[HUNG].cause) == ("H305", Cause.HARNESS)
    assert "test_hangs" in evidence.detail
    assert not KilledTest.beside(bare.root / "run.jsonl").exists()


def test_a_worker_whose_test_swallows_the_exception_is_ended_and_says_where_it_stood(bare: Bare) -> None:
    """The interpreter's own thread ends the process; the evidence names the deadline and holds the stack."""
    bare.write("suite/test_a.py", SUITE.format(body=SWALLOWS))
    run(bare, "--matrix-test-deadline=1", "-n1")
    found = recorded(bare)
    assert outcomes(found) == "passed failed passed"
    evidence = found.cells[HUNG].evidence
    assert evidence is not None
    assert (evidence.rule, found.cells[HUNG].cause) == ("H301", Cause.HARNESS)
    assert "the deadline of 1 s passed and it did not end" in evidence.summary
    assert "it stood in test_hangs" in evidence.summary
    assert "most recent call first" in evidence.detail


@pytest.mark.parametrize("library", ["PyDLL", "CDLL"])
def test_a_test_that_blocks_in_c_ends_a_run_that_says_why(bare: Bare, library: str) -> None:
    """Even with Python's lock held, as PyDLL does: the runner finds what was left and writes test, footer and reason."""
    block = (
        f"import ctypes, signal; c = ctypes.{library}(None); signal.pthread_sigmask(signal.SIG_BLOCK, [14]); c.pause()"
    )
    bare.write("suite/test_a.py", SUITE.format(body=block))
    process = bare.run("run", "local", "--test-deadline", "1", timeout=DEADLINE)
    assert process.returncode == 3, process.stderr
    found = read_run(bare.last / "local.jsonl")
    assert outcomes(found) == "passed failed not_run"
    assert found.footer is not None
    assert found.footer.reason.startswith(f"{HUNG}: the deadline of 1 s passed and it did not end")
    assert found.cells["suite/test_a.py::test_last"].reason == found.footer.reason
    verdict = judge(found)
    assert verdict.answer is Answer.UNKNOWN
    assert not list(bare.last.glob("*.killed"))


def test_the_teardown_after_a_failure_has_a_deadline_of_its_own(bare: Bare) -> None:
    """pytest-timeout gives up its clock at the first failure; a fixture that hangs afterwards is ended nevertheless."""
    hangs = (
        "@pytest.fixture\n    def hangs():\n        yield\n        time.sleep(60)\n    def test_fails(hangs): assert 0"
    )
    bare.write("suite/test_a.py", SUITE.format(body="pass").replace("def test_last(): pass", hangs))
    run(bare, "--matrix-test-deadline=1")
    assert outcomes(recorded(bare)) == "passed passed failed"
    assert recorded(bare).cells["suite/test_a.py::test_fails"].outcome is Outcome.FAILED


def test_each_try_has_a_deadline_of_its_own(bare: Bare) -> None:
    """pytest-timeout gives all tries of a test one, and after it has struck, none."""
    bare.write("suite/test_a.py", SUITE.format(body="time.sleep(60)"))
    run(bare, "--matrix-test-deadline=1", "--reruns=1")
    found = recorded(bare)
    assert outcomes(found) == "passed failed passed"
    assert [attempt.evidence and attempt.evidence.rule for attempt in found.cells[HUNG].attempts] == ["H305"] * 2


@pytest.mark.parametrize(
    ("arguments", "variables", "mark"),
    [
        (["--timeout=30"], {}, ""),
        ([], {"PYTEST_TIMEOUT": "30"}, ""),
        (["-o", "timeout=30"], {}, ""),
        ([], {}, "@pytest.mark.timeout(30)"),
        (["--timeout=0"], {}, ""),
    ],
)
def test_the_users_own_timeout_wins(bare: Bare, arguments: list[str], variables: dict[str, str], mark: str) -> None:
    """By option, variable, ini or mark, and also where it is none at all."""
    bare.write(
        "suite/test_a.py", SUITE.format(body="time.sleep(1)").replace("def test_hangs", f"{mark}\n    def test_hangs")
    )
    assert run(bare, "--matrix-test-deadline=0.5", *arguments, **variables).returncode == 0


def test_the_project_says_how_long_a_test_may_take(bare: Bare) -> None:
    """`[tool.envmatrix] test_deadline`, in seconds."""
    pyproject = bare.root / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("[tool.envmatrix]", "[tool.envmatrix]\ntest_deadline = 0.5"))
    bare.write("suite/test_a.py", SUITE.format(body="time.sleep(60)"))
    run(bare)
    assert outcomes(recorded(bare)) == "passed failed passed"


def test_no_test_is_ended_under_a_debugger(bare: Bare) -> None:
    """Who stands at a prompt has all the time: neither stage strikes."""
    body = """
        import bdb, sys
        before, debugger = sys.gettrace(), bdb.Bdb()
        debugger.reset()
        sys.settrace(debugger.trace_dispatch)
        try: [time.sleep(0.05) for _ in range(40)]
        finally: sys.settrace(before)
"""
    bare.write("suite/test_a.py", SUITE.format(body=body))
    assert run(bare, "--matrix-test-deadline=0.5").returncode == 0
    assert outcomes(recorded(bare)) == "passed passed passed"


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_runs_deadline_ends_it_in_order(bare: Bare, workers: str) -> None:
    """Teardown and footer as after SIGTERM, with the deadline as the reason, however far the run has come by then."""
    bare.write("suite/test_a.py", SUITE.format(body="time.sleep(60)"))
    assert run(bare, "--matrix-deadline=4", f"-n{workers}").returncode == 143
    found = recorded(bare)
    assert found.footer is not None
    assert (found.footer.reason, found.footer.exit_code) == ("deadline of 4 s passed", 143)
    assert {*outcomes(found).split()} <= {"passed", "not_run"}


@pytest.mark.parametrize("option", ["--matrix-deadline", "--matrix-test-deadline"])
@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "soon"])
def test_a_deadline_is_a_number_of_seconds(bare: Bare, option: str, value: str) -> None:
    """What is none is a usage error."""
    assert run(bare, f"{option}={value}").returncode == 4


@pytest.mark.fault("hung-accept")
def test_a_server_that_accepts_and_never_answers_costs_one_deadline(bare: Bare) -> None:
    """A client without a timeout of its own is ended by the test's."""
    body = """
        import socket
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname()).recv(1)
"""
    bare.write("suite/test_a.py", SUITE.format(body=body))
    run(bare, "--matrix-test-deadline=1")
    assert outcomes(recorded(bare)) == "passed failed passed"


def test_a_record_is_finished_only_where_something_was_left(tmp_path: Path) -> None:
    """A whole run file stays as it is; the file of a test that was not killed is removed."""
    whole = tmp_path / "a.jsonl"
    write_run(whole)
    before = whole.read_bytes()
    KilledTest.beside(whole).write_bytes(KilledTest.first_line("test_a.py::test_a", 1.0))
    finish_run(whole)
    assert whole.read_bytes() == before
    assert not KilledTest.beside(whole).exists()
    finish_run(tmp_path / "none.jsonl")


@pytest.mark.fault("half-written-jsonl")
def test_a_torn_line_is_cut_off_before_a_record_is_finished(tmp_path: Path) -> None:
    """What is written next would be glued to it."""
    torn = tmp_path / "a.jsonl"
    write_run(torn)
    whole_lines = torn.read_bytes().splitlines(keepends=True)
    torn.write_bytes(b"".join(whole_lines[:-1]) + whole_lines[-1][:9])  # in the middle of the footer
    KilledTest.beside(torn).write_bytes(KilledTest.first_line("test_a.py::test_a", 1.0) + b"Timeout (0:00:02)!\n")
    finish_run(torn)
    found = read_run(torn)
    assert found.footer is not None
    assert found.footer.reason.startswith("test_a.py::test_a: the deadline of 1 s passed")


@pytest.mark.parametrize(
    "left", [b"", b"\xff", b"{}\nTimeout", b"[]\nTimeout", b'{"test":"a","deadline":"x"}\nTimeout']
)
def test_what_is_no_word_of_a_killed_test_is_none(tmp_path: Path, left: bytes) -> None:
    """Whatever stands there, reading it raises nothing."""
    path = tmp_path / "a.killed"
    path.write_bytes(left)
    assert KilledTest.read(path) is None
