"""Suites that misbehave: whatever pytest alone survives, we survive, with the same outcomes."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from envmatrix.runs.cells import Cell, Run
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.project import Project, run_together

RAISING = """
    import pytest

    class Mute(Exception):
        def __str__(self): raise ValueError("no words")

    class Wordless(Exception):
        def __str__(self): return None

    class Trap(Exception):
        @property
        def response(self): raise ValueError("hands off")

    def test_mute(): raise Mute
    def test_wordless(): raise Wordless
    def test_huge(): raise ValueError("x" * 3_000_000)
    def test_trap(): raise Trap("seen")
    @pytest.mark.xfail(reason=None)
    def test_reason(): assert 0
    def test_after(): pass
"""

CLOCK = """
    import itertools
    import sys
    import time

    import pytest

    @pytest.fixture(autouse=True, scope="module")
    def clock(): # as freezegun does: in every loaded module; and this one runs backwards
        real = {id(getattr(time, name)): name for name in ("time", "monotonic", "perf_counter")}
        numbers = itertools.count(1e9, -1000)
        patch = pytest.MonkeyPatch()
        for module in [*sys.modules.values()]:
            for name, value in [*vars(module).items()] if hasattr(module, "__dict__") else ():
                if id(value) in real:
                    patch.setattr(module, name, lambda: next(numbers))
        yield
        patch.undo()

    def test_a(): pass
    def test_b(real_services): assert real_services.backend_url == "frozen"
"""

FILES = """
    import os
    import sys
    import types

    import pytest

    @pytest.fixture(autouse=True, scope="module")
    def files(): # as pyfakefs does: `os` in the modules that have imported it
        def gone(*_, **__): raise FileNotFoundError(2, "No such file", "fake")

        fake = types.SimpleNamespace(**vars(os))
        for name in ("listdir", "open", "fstat", "stat", "write", "mkdir", "ftruncate", "dup", "close"):
            setattr(fake, name, gone)
        patch = pytest.MonkeyPatch()
        for name, module in [*sys.modules.items()]:
            if name.startswith("envmatrix"):
                for attribute, value in [*vars(module).items()]:
                    if value is os:
                        patch.setattr(module, attribute, fake)
        yield
        patch.undo()

    def test_a(real_services): assert real_services.backend_url == "fake"
    def test_b(real_services): pass
"""

OUTAGE = """
    import socket
    import threading

    def refuse(*_, **__): raise ConnectionRefusedError(111, "played")
    def refuse_thread(*_, **__): raise RuntimeError("can't start new thread")

    def test_played(real_services, monkeypatch):
        assert real_services.http_client_sync.get("/health").status_code == 200
        monkeypatch.setattr(socket, "create_connection", refuse)
        monkeypatch.setattr(socket.socket, "connect", refuse)
        monkeypatch.setattr(socket, "socket", refuse)
        assert "out of order" == "it works"

    def test_no_threads(real_services, monkeypatch):
        assert real_services.backend_url
        monkeypatch.setattr(threading.Thread, "start", refuse_thread)
        assert 0
"""

FORKED = """
    import os
    import sys

    def test_child():
        if (child := os.fork()) == 0:
            sys.exit(0)
        os.waitpid(child, 0)

    def test_last(): pass
"""

CLOSED = """
    import os

    def test_one(real_services): pass

    def test_becomes_a_daemon(tmp_path):
        global FILES
        os.closerange(3, 256)
        FILES = [(tmp_path / f"d{n}").open("w+") for n in range(20)]

    def test_goes_on(real_services):
        assert real_services.http_client_sync.get("/health").status_code == 200

    def test_nothing_foreign_in_my_files():
        assert "".join(open(each.name).read() for each in FILES) == ""
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One pytest over all of these suites, since each start costs a second."""
    modules = {"a_raising": RAISING, "b_clock": CLOCK, "c_files": FILES, "d_outage": OUTAGE, "e_forked": FORKED}
    files = {f"test_{name}.py": text for name, text in modules.items()}
    return run_together(tmp_path_factory.mktemp("odd"), files)


def cells(run: Run, module: str) -> Mapping[str, Cell]:
    """The cells of one of the modules, by the tests' names."""
    return {test.partition("::")[2]: cell for test, cell in run.cells.items() if test.startswith(f"test_{module}.py")}


def causes(run: Run, module: str) -> Mapping[str, tuple[Outcome, str, Cause | None]]:
    """The outcome of each test of a module, the rule that decided, and the cause."""
    return {
        name: (cell.outcome, cell.evidence.rule if cell.evidence else "", cell.cause)
        for name, cell in cells(run, module).items()
    }


PASSED = (Outcome.PASSED, "", None)
LOGIC = (Outcome.FAILED, "L401", Cause.LOGIC)


@pytest.mark.fault("raising-str")
def test_an_error_without_a_text_costs_its_own_words_alone(run: Run) -> None:
    """A stand-in takes the place of the text, and every test ends as it does under pytest alone."""
    assert run.complete
    assert causes(run, "a_raising") == {
        "test_mute": LOGIC,
        "test_wordless": LOGIC,
        "test_huge": LOGIC,
        "test_trap": (Outcome.FAILED, "H307", Cause.HARNESS),
        "test_reason": (Outcome.XFAILED, "", None),
        "test_after": PASSED,
    }
    evidence = cells(run, "a_raising")["test_mute"].evidence
    assert evidence is not None
    assert evidence.exceptions == ("Mute: <Mute without a text: ValueError in its __str__>",)


@pytest.mark.fault("raising-str")
def test_an_error_of_our_own_hook_is_a_remark_that_says_where(run: Run) -> None:
    """The cell says that its evidence is lost, and the run has it as a finding of that test."""
    (finding,) = run.findings
    assert finding.rule == "H307"
    assert finding.message.startswith(
        "evidence was lost to an error of our own hook: ValueError: hands off (matchers.py:"
    )
    assert finding.tests == ("test_a_raising.py::test_trap",)


@pytest.mark.fault("frozen-clock")
def test_durations_are_of_a_clock_that_no_test_can_stop(run: Run) -> None:
    """A clock that runs backwards in every module makes no negative duration, and no service hang."""
    assert causes(run, "b_clock") == {"test_a": PASSED, "test_b": LOGIC}
    assert all(0 < cell.duration < 30 for cell in run.cells.values())


@pytest.mark.fault("fake-files")
def test_our_hooks_do_not_look_into_the_files_of_a_test(run: Run) -> None:
    """A file system that a test fakes is neither written to nor looked at."""
    assert causes(run, "c_files") == {"test_a": LOGIC, "test_b": PASSED}


@pytest.mark.fault("patched-socket", "no-threads")
def test_an_outage_that_a_test_plays_is_not_the_services(run: Run) -> None:
    """The supervisor looks, in whose process nothing is patched: the service is up."""
    assert causes(run, "d_outage") == {"test_played": LOGIC, "test_no_threads": LOGIC}
    evidence = cells(run, "d_outage")["test_played"].evidence
    assert evidence is not None
    assert [ping.status for ping in evidence.pings] == ["up"]


@pytest.mark.fault("forked-child")
def test_a_child_that_comes_back_into_pytest_records_nothing(run: Run) -> None:
    """It ends at once, and the run has one line for each test."""
    assert causes(run, "e_forked") == {"test_child": PASSED, "test_last": PASSED}
    assert all(len(cell.attempts) == 1 for cell in run.cells.values())
    assert run.file is not None
    assert run.file.read_bytes().count(b'"type":"footer"') == 1
    assert cells(run, "e_forked")["test_child"].duration < 10


KILLED = """
    import json
    import os
    import pathlib
    import signal

    import pytest

    def test_a(real_services): pass

    def test_kill(real_services, request):
        run = pathlib.Path(request.config.workerinput["envmatrix_run_dir"])
        os.kill(json.loads((run / "supervisor.json").read_text())["pid"], signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    @pytest.mark.parametrize("number", range(4))
    def test_b(real_services, number): pass
"""


def test_a_killed_worker_and_supervisor_together_end_the_run_in_order(project: Project) -> None:
    """The crash is told from what could not be run for want of a supervisor, and pytest itself has no error."""
    project.write("test_a.py", KILLED)
    project.pytest("-n", "2")
    run = project.run
    assert run.footer is not None
    assert (run.footer.exit_code, run.footer.reason) == (1, "")
    killed = run.cells["test_a.py::test_kill"].evidence
    assert killed is not None
    assert killed.rule == "H301"
    assert {cell.evidence.rule for cell in run.cells.values() if cell.evidence} <= {"H301", "H302"}


@pytest.mark.fault("closed-descriptors")
def test_nothing_of_ours_lands_in_a_file_of_a_test(project: Project) -> None:
    """Descriptors that a test closed are opened anew or left alone, and the services run on."""
    project.write("test_a.py", CLOSED)
    result = project.pytest("-s", "--matrix-test-deadline=50")
    assert {cell.outcome for cell in project.run.cells.values()} == {Outcome.PASSED}, result.stdout.str()
    assert len(project.run.cells) == 4
    assert project.run.complete
