"""pytest processes that end by themselves, that are ended, and that will not end."""

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from envmatrix.runner import processes as children
from envmatrix.runner.processes import Child, Job, child_environment, run_all, run_one
from envmatrix.runs.events import Attempt
from envmatrix.runs.file import RunWriter
from envmatrix.runs.outcomes import Outcome
from tests.framework.run_files import header, write_run

NOWHERE = Path("/")
DEADLINE = 20.0


def job(directory: Path, program: str, name: str = "local") -> Job:
    """A program in pytest's place: `-m NAME` runs a module of the directory, with pytest's options in its argv."""
    module = f"stand_in_{name}"
    (directory / f"{module}.py").write_text(program)
    return Job(
        name, name, (sys.executable, "-m", module), directory / f"{name}.jsonl", directory / f"{name}.log", directory
    )


IGNORES_SIGTERM = """
import pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path("ready").touch()
time.sleep(60)
"""

LEAVES_A_CHILD = """
import pathlib, subprocess, sys
left = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
pathlib.Path("left").write_text(str(left.pid))
"""


def await_end(pid: int) -> None:
    """Wait until a process has ended; whose parent is gone may stay a zombie."""
    end = time.monotonic() + DEADLINE
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_all_run_at_the_same_time_and_keep_their_output(tmp_path: Path) -> None:
    """Each waits for the other, so that neither would end alone; the log holds both streams."""
    program = (
        "import pathlib, sys, time\n"
        "pathlib.Path('{0}').touch()\n"
        "while not pathlib.Path('{1}').exists(): time.sleep(0.01)\n"
        "print('out of {0}', flush=True); print('err of {0}', file=sys.stderr)\n"
        "sys.exit(3)"
    )
    jobs = [job(tmp_path, program.format(*pair), pair[0]) for pair in (("a", "b"), ("b", "a"))]
    ended = run_all(jobs, deadline=DEADLINE)
    assert [child.exit_code for child in ended] == [3, 3]
    assert [one.log_file.read_text() for one in jobs] == [f"out of {name}\nerr of {name}\n" for name in "ab"]
    assert ended[0].ending == "pytest ended with exit code 3 before it recorded a run"


def test_the_run_file_is_followed(tmp_path: Path) -> None:
    """Planned, done, failed; half a line is not counted, and a test that passed when tried again failed no more."""
    writer = RunWriter(tmp_path / "local.jsonl")
    child = Child(job(tmp_path, ""))
    assert child.state == "waiting"
    child.process = object()  # type: ignore[assignment]  # no process is looked at
    assert child.state == "collecting"
    writer.write(header(planned=["a", "b"]))
    writer.write(Attempt("a", Outcome.FAILED))
    child.follow()
    assert (child.planned, child.done, child.failed, child.state) == (("a", "b"), 1, 1, "running")
    assert (child.current, child.failures) == ("b", {"a": ""})
    writer.write(Attempt("a", Outcome.PASSED, 0.1))
    with writer.path.open("a") as stream:
        stream.write('{"type":"attempt","test":"b","outcome":"pas')
        stream.flush()
        child.follow()
        assert (child.done, child.failed) == (1, 0)
        stream.write('sed"}\n')
    child.follow()
    assert (child.done, child.state, child.current) == (2, "tearing down", "")
    writer.close()


COUNTS = """
import os, pathlib, time
with open("log", "a") as log:
    log.write("begin {0}\\n")
time.sleep(0.2)
with open("log", "a") as log:
    log.write("end {0}\\n")
"""


def test_only_so_many_run_at_once_in_the_order_given(tmp_path: Path) -> None:
    """The next one is started when one has ended, and waits until then."""
    seen: list[list[str]] = []
    jobs = [job(tmp_path, COUNTS.format(name), name) for name in ("b", "a")]
    ended = run_all(jobs, deadline=DEADLINE, at_once=1, observe=lambda all_: seen.append([one.state for one in all_]))
    assert (tmp_path / "log").read_text().split("\n") == ["begin b", "end b", "begin a", "end a", ""]
    assert [child.exit_code for child in ended] == [0, 0]
    assert seen[0] == ["collecting", "waiting"]


@pytest.mark.fault("ctrl-c")
def test_what_waits_is_not_started_after_a_signal(tmp_path: Path) -> None:
    """It says so, and the others get their time to end."""
    jobs = [job(tmp_path, "import time; time.sleep(60)", name) for name in ("a", "b")]
    sent: list[int] = []

    def observe(_: Sequence[Child]) -> None:
        if not sent:
            sent.append(signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)

    ran, waited = run_all(jobs, deadline=DEADLINE, at_once=1, observe=observe)
    assert (ran.ending, ran.exit_code) == ("ended by SIGTERM", -signal.SIGTERM)
    assert (waited.ending, waited.process) == ("ended by SIGTERM before it was started", None)
    assert not jobs[1].log_file.exists()


def test_a_foreign_run_file_does_no_harm(tmp_path: Path) -> None:
    """Progress is read from whatever stands there; who reads the whole file says what is wrong with it."""
    child = Child(job(tmp_path, ""))
    child.job.run_file.write_bytes(b'\xff\n[1]\n{}\n{"type":"header"}\n{"type":"attempt","test":[],"outcome":1}\n')
    child.follow()
    assert (child.planned, child.done) == (None, 0)


def test_a_deadline_ends_what_ignores_sigterm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM, then SIGKILL; the ending says both."""
    monkeypatch.setattr(children, "GRACE", 0.1)

    def observe(running: Sequence[Child]) -> None:
        if (tmp_path / "ready").exists():
            running[0].enforce(deadline=0, patience=0)

    (child,) = run_all([job(tmp_path, IGNORES_SIGTERM)], deadline=DEADLINE, observe=observe)
    assert child.exit_code == -signal.SIGKILL
    assert child.ending == "deadline of 0 s passed; killed when it had not ended in time"


@pytest.mark.fault("fork-grandchild")
def test_what_a_run_leaves_in_its_session_is_ended(tmp_path: Path) -> None:
    """A test that forgot a process does not keep it."""
    (child,) = run_all([job(tmp_path, LEAVES_A_CHILD)], deadline=DEADLINE)
    assert child.exit_code == 0
    await_end(int((tmp_path / "left").read_text()))


@pytest.mark.fault("oom-kill")
def test_a_killed_run_says_by_which_signal(tmp_path: Path) -> None:
    """Whoever killed it, the signal is named."""
    (child,) = run_all([job(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")], deadline=DEADLINE)
    assert child.ending == "killed by SIGKILL"


def at(state: str, act: object) -> object:
    """Act once, when a file of that name is there."""
    acted = False

    def observe(_: Sequence[Child]) -> None:
        nonlocal acted
        if not acted and Path(state).exists():
            acted = True
            act()  # type: ignore[operator]  # a callable

    return observe


@pytest.mark.parametrize(
    ("signum", "note"), [(signal.SIGINT, "interrupted by Ctrl-C"), (signal.SIGTERM, "ended by SIGTERM")]
)
def test_a_signal_of_ours_is_passed_on_and_waited_for(tmp_path: Path, signum: int, note: str) -> None:
    """The children's own teardown runs; ours is undisturbed, and the handlers are as before."""
    program = (
        "import pathlib, signal, sys, time\n"
        f"signal.signal({int(signum)}, lambda *_: sys.exit(7))\n"
        "try: pathlib.Path('ready').touch(); time.sleep(60)\n"
        "finally: pathlib.Path('torn down').touch()\n"
    )
    before = signal.getsignal(signum)
    observe = at(str(tmp_path / "ready"), lambda: os.kill(os.getpid(), signum))
    (child,) = run_all([job(tmp_path, program)], deadline=DEADLINE, observe=observe)  # type: ignore[arg-type]
    assert (child.exit_code, child.note) == (7, note)
    assert (tmp_path / "torn down").exists()
    assert signal.getsignal(signum) == before


def test_nohup_is_respected(tmp_path: Path) -> None:
    """Where SIGHUP is ignored, a terminal that goes away ends nothing."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        observe = at(str(tmp_path / "ready"), lambda: os.kill(os.getpid(), signal.SIGHUP))
        program = "import pathlib, time; pathlib.Path('ready').touch(); time.sleep(0.2)"
        (child,) = run_all([job(tmp_path, program)], deadline=DEADLINE, observe=observe)  # type: ignore[arg-type]
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (child.exit_code, child.note) == (0, "")


@pytest.mark.fault("double-sigint")
def test_a_second_ctrl_c_kills(tmp_path: Path) -> None:
    """No more waiting: everything is killed, and the caller is told by KeyboardInterrupt."""
    program = IGNORES_SIGTERM.replace("SIGTERM", "SIGINT") + "\n"
    seen: list[Child] = []

    def observe(running: Sequence[Child]) -> None:
        seen[:] = running
        if (tmp_path / "ready").exists():
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_all([job(tmp_path, program)], deadline=DEADLINE, observe=observe)
    assert seen[0].process.returncode == -signal.SIGKILL


def test_an_error_of_our_own_leaves_nothing_running(tmp_path: Path) -> None:
    """A progress display that fails ends the children before it is told."""
    seen: list[Child] = []

    def observe(running: Sequence[Child]) -> None:
        seen[:] = running
        raise OSError("the terminal is gone")

    with pytest.raises(OSError, match="terminal"):
        run_all([job(tmp_path, "import time; time.sleep(60)")], deadline=DEADLINE, observe=observe)
    assert seen[0].process.returncode == -signal.SIGKILL


def test_bytecode_is_written_whatever_the_machine_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the environment is the user's own."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("SHOP_TOKEN", "x")
    assert "PYTHONDONTWRITEBYTECODE" not in child_environment()
    assert child_environment()["SHOP_TOKEN"] == "x"


LEAVES_A_DAEMON = """
import os, pathlib, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        fresh = pathlib.Path("left.new")
        fresh.write_text(str(os.getpid()))
        fresh.rename("left")
        time.sleep(60)
    os._exit(0)
while not pathlib.Path("left").exists():
    time.sleep(0.01)
"""


@pytest.mark.parametrize("alone", [True, False], ids=["run", "matrix"])
def test_a_daemon_that_a_test_left_ends_with_the_run(tmp_path: Path, alone: bool) -> None:
    """It has a session and a parent of its own, and is known by its environment."""
    leaving = job(tmp_path, LEAVES_A_DAEMON)
    if alone:
        run_one(leaving.command, cwd=tmp_path, deadline=DEADLINE)
    else:
        run_all([leaving], deadline=DEADLINE)
    await_end(int((tmp_path / "left").read_text()))


def test_one_run_uses_our_own_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its output is ours, and its exit code is returned."""
    command = job(tmp_path, "print('seen'); raise SystemExit(5)").command
    assert run_one(command, cwd=tmp_path, deadline=DEADLINE) == (5, "")
    assert capfd.readouterr().out == "seen\n"


def test_one_run_keeps_its_deadline(tmp_path: Path) -> None:
    """It is asked to end, and the reason is returned: the deadline that was asked for, without our patience beyond it."""
    sleeping = job(tmp_path, "import time; time.sleep(60)")
    why = "deadline of 0.1 s passed"
    assert run_one(sleeping.command, cwd=tmp_path, deadline=0.1, patience=0.05) == (-signal.SIGTERM, why)
    (child,) = run_all([sleeping], deadline=0.1, patience=0.05)
    assert child.ending == why


def test_a_finished_run_needs_no_ending(tmp_path: Path) -> None:
    """Its file tells, unless pytest failed after it was written."""
    done = job(tmp_path, "")
    write_run(done.run_file)
    assert done.ending(0) == ""
    assert done.ending(1) == "pytest ended with exit code 1, after its run file's footer said 0"


def test_a_run_that_ended_without_a_footer_was_not_killed(tmp_path: Path) -> None:
    """Its exit code is said; a signal has a name of its own."""
    done = job(tmp_path, "")
    write_run(done.run_file, end=None)
    assert done.ending(0) == "pytest ended with exit code 0 before its run file had a footer, as after os._exit"
    assert done.ending(-signal.SIGKILL) == "killed by SIGKILL"
