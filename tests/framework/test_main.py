"""The command line, as a user types it."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from envmatrix.__main__ import main
from envmatrix.runs.events import Attempt, Evidence
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.bare import COMMAND, Bare, plain_environment
from tests.framework.run_files import write_run

DEADLINE = 30.0


def wait_for(condition: object) -> None:
    """Wait until something is true; fail where it is not by the deadline."""
    end = time.monotonic() + DEADLINE
    while not condition():  # type: ignore[operator]  # a callable
        assert time.monotonic() < end, "deadline passed"
        time.sleep(0.02)


@pytest.fixture
def call(
    bare: Bare, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Call the command line in this process, which is quicker where no pytest is started."""
    monkeypatch.chdir(bare.root)
    for name in set(os.environ) - set(plain_environment()):
        monkeypatch.delenv(name)

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert isinstance(ended.value.code, int)
        return subprocess.CompletedProcess(arguments, ended.value.code, *capfd.readouterr())

    return call


Call = Callable[..., subprocess.CompletedProcess[str]]


def test_the_matrix_runs_every_environment_and_prints_what_it_found(bare: Bare) -> None:
    """All that is declared, in columns, with a verdict each; exit 0 where all are compatible."""
    ended = bare.run("matrix")
    assert ended.returncode == 0, ended.stderr
    assert "\nlocal    compatible  1 ok\n" in ended.stdout
    assert "\nstaging  compatible  1 ok\n" in ended.stdout
    for line in ("local: started", "staging: started", "Run files and logs: .envmatrix/runs/2"):
        assert line in ended.stderr
    assert {path.name for path in bare.last.iterdir()} == {
        "local.jsonl",
        "local.log",
        "matrix.json",
        "staging.jsonl",
        "staging.log",
    }
    again = bare.run("show")
    assert (again.returncode, again.stdout) == (0, ended.stdout)
    full = bare.run("show", "--format", "full").stdout
    assert "suite/test_a.py   1 ok         1 ok" in full
    assert "  staging  compatible  1 of 1 test passed" in full


def test_a_failure_in_one_environment_is_exit_1(bare: Bare) -> None:
    """The cell says why, the other environment keeps its verdict; JSON alone is on standard output."""
    bare.write(
        "suite/test_a.py",
        """
        def test_a(request):
            assert request.config.getoption("--matrix-environment") == "local", "only here"
        """,
    )
    ended = bare.run("matrix", "--json")
    assert ended.returncode == 1
    document = json.loads(ended.stdout)
    assert [entry["answer"] for entry in document["environments"]] == ["compatible", "incompatible"]
    cell = document["tests"][0]["cells"]["staging"]
    assert (cell["outcome"], cell["cause"]) == ("failed", "logic")


@pytest.mark.fault("zero-tests")
def test_what_follows_two_dashes_is_pytests(bare: Bare) -> None:
    """Nothing selected is unknown, exit 3, though pytest's own 5 says little."""
    ended = bare.run("matrix", "local", "--quiet", "--", "-k", "nothing_is_called_so")
    assert ended.returncode == 3
    assert "  local  unknown  no test was collected" in ended.stdout


@pytest.mark.fault("missing-shard")
def test_a_run_that_never_began_is_unknown_with_pytests_own_words(bare: Bare) -> None:
    """A usage error in pytest takes no column away."""
    ended = bare.run("matrix", "local", "--", "--no-such-option")
    assert ended.returncode == 3
    assert "  local  unknown  pytest ended with exit code 4 before it recorded a run" in ended.stdout
    assert "error: unrecognized arguments: --no-such-option" in ended.stdout


def test_a_run_shows_pytests_own_output_and_its_column(bare: Bare) -> None:
    """From any directory of the project; JSON keeps standard output for itself."""
    ended = bare.run("run", "local", where="suite")
    assert ended.returncode == 0
    assert ended.stdout.index("test session starts") < ended.stdout.index("envmatrix  ")
    assert "1 passed" in ended.stdout
    quiet = bare.run("run", "local", "--json", "--", "suite/test_a.py")
    assert json.loads(quiet.stdout)["exit_code"] == 0
    assert "1 passed" in quiet.stderr


def test_an_environment_remembers_its_own_failures(bare: Bare) -> None:
    """`--lf` runs what failed there last."""
    bare.write(
        "suite/test_a.py",
        """
        def test_a(request): assert request.config.getoption("--matrix-environment") == "local"
        def test_b(request): assert request.config.getoption("--matrix-environment") == "staging"
        """,
    )
    bare.run("matrix", "--quiet")
    document = json.loads(bare.run("matrix", "--json", "--", "--lf").stdout)
    ran = {name: [test["id"][-1] for test in document["tests"] if test["cells"][name]] for name in ("local", "staging")}
    assert ran == {"local": ["b"], "staging": ["a"]}


SLOW = """
import pathlib, time
def test_first(): pass
def test_slow():
    pathlib.Path("started").touch()
    time.sleep(60)
"""


@pytest.mark.fault("runner-sigterm")
@pytest.mark.parametrize(
    ("signum", "why"), [(signal.SIGINT, "interrupted by Ctrl-C"), (signal.SIGTERM, "ended by SIGTERM")]
)
def test_interrupted_it_shows_what_there_is(bare: Bare, signum: int, why: str) -> None:
    """The runs tear down and write their footers; the matrix is printed, incomplete: exit 3."""
    bare.write("suite/test_a.py", SLOW)
    process = bare.start("matrix", "local", "--json")
    wait_for((bare.root / "started").exists)
    process.send_signal(signum)
    out, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 3, err
    document = json.loads(out)
    outcomes = {test["id"].partition("::")[2]: test["cells"]["local"]["outcome"] for test in document["tests"]}
    assert outcomes == {"test_first": "passed", "test_slow": "not_run"}
    assert any(why in reason["text"] for reason in document["environments"][0]["reasons"])


@pytest.mark.fault("double-sigint")
def test_interrupted_twice_it_ends_at_once(bare: Bare) -> None:
    """Exit 130, and no pytest is left."""
    bare.write(
        "suite/test_a.py",
        SLOW.replace(
            "time.sleep(60)",
            "while True:\n        try: time.sleep(60)\n        except BaseException: pass",
        ),
    )
    process = bare.start("matrix", "local", "--quiet")
    wait_for((bare.root / "started").exists)
    runs = psutil.Process(process.pid).children()
    assert runs
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)  # two signals at once are one
    assert process.wait(DEADLINE) == 130
    assert process.stderr is not None
    assert process.stderr.read() == "error: killed by Ctrl-C\n"
    assert not psutil.wait_procs(runs, timeout=DEADLINE)[1]
    for stream in (process.stdout, process.stderr):
        assert stream is not None
        stream.close()


@pytest.mark.fault("runner-sigkill")
def test_killed_it_leaves_no_pytest(bare: Bare) -> None:
    """Its runs see that it is gone, tear down and write their footers."""
    bare.write("suite/test_a.py", SLOW)
    process = bare.start("matrix", "local", "--quiet")
    wait_for((bare.root / "started").exists)
    runs = psutil.Process(process.pid).children()
    process.kill()
    process.communicate(timeout=DEADLINE)
    assert not psutil.wait_procs(runs, timeout=DEADLINE)[1]
    shown = bare.run("show", "--json")
    (entry,) = json.loads(shown.stdout)["environments"]
    assert entry["answer"] == "unknown"
    assert "terminated by SIGTERM" in str(entry["reasons"])


def test_the_deadline_ends_a_run(bare: Bare) -> None:
    """It is told as the reason."""
    bare.write("suite/test_a.py", SLOW)
    ended = bare.run("matrix", "local", "--quiet", "--deadline", "2")
    assert ended.returncode == 3
    assert "deadline of 2 s passed" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["matrix", "stagin"], "error: no environment 'stagin' in {root}/environments. Did you mean 'staging'?"),
        (["matrx"], "error: No such command 'matrx'. Did you mean 'matrix'?"),
        (["matrix", "--formt", "json"], "error: No such option: --formt"),
        (["matrix", "--format", "jsn"], "error: no format 'jsn'. Did you mean 'json'?"),
        (["show", "--format", "markdwon", "x"], "error: no run file x. Name a .jsonl file or a directory of them"),
        (["matrix", "--environments", "nope"], "error: no directory {root}/nope"),
        (["matrix", "--env-file", "nope"], "error: {root}/nope: cannot be read: No such file or directory"),
        (["matrix", "--deadline", "soon"], "error: Invalid value for '--deadline'"),
        (["show"], "error: no run in {root}/.envmatrix/runs yet. Make one: envmatrix matrix"),
        (["run"], "error: Missing argument 'ENV'"),
        (["show", "pyproject.toml"], "error: pyproject.toml:1: is no run file: not JSON"),
    ],
)
@pytest.mark.fault("typo-environment")
def test_a_mistake_is_one_line_and_exit_2(bare: Bare, call: Call, arguments: list[str], line: str) -> None:
    """With the nearest right spelling; no traceback, nothing on standard output."""
    ended = call(*arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(line.format(root=bare.root))
    assert ended.stderr.count("\n") == 1


def test_the_version_is_told(call: Call) -> None:
    """Name and number."""
    ended = call("--version")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("envmatrix 0.")


def test_without_a_command_the_help_is_shown(call: Call) -> None:
    """Usage, every command, and the exit codes; that is a mistake, so exit 2."""
    ended = call()
    assert ended.returncode == 2
    for word in ("matrix", "run", "show", "Exit codes: 0 compatible"):
        assert word in ended.stdout
    assert ended.stderr == ""


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two run files of two environments."""
    evidence = Evidence("L401", "AssertionError: no")
    failed = Attempt("a.py::x", Outcome.FAILED, cause=Cause.LOGIC, evidence=evidence)
    write_run(tmp_path / "one.jsonl", Attempt("a.py::x", Outcome.PASSED))
    write_run(tmp_path / "two.jsonl", failed, environment="staging")
    write_run(tmp_path / "old.jsonl", Attempt("a.py::x", Outcome.PASSED), environment="old", commit="d" * 40)
    return [str(tmp_path / f"{name}.jsonl") for name in ("one", "two", "old")]


def test_run_files_are_shown_in_every_format(call: Call, files: list[str]) -> None:
    """From anywhere, with the exit code of their verdicts."""
    for options, start in (([], "envmatrix  "), (["--format", "markdown"], "## "), (["--json"], "{\n")):
        ended = call("show", *options, *files[:2])
        assert ended.returncode == 1
        assert ended.stdout.startswith(start)
    assert call("show", files[0]).returncode == 0


@pytest.mark.fault("mixed-commits")
def test_mixed_commits_are_shown_only_when_told(call: Call, files: list[str]) -> None:
    """The error names the option."""
    refused = call("show", files[0], files[2])
    assert refused.returncode == 2
    assert "--mixed-commits" in refused.stderr
    assert call("show", "--mixed-commits", files[0], files[2]).returncode == 0


def test_a_reader_that_goes_away_is_no_traceback(bare: Bare, files: list[str]) -> None:
    """`envmatrix show | head -0` ends quietly."""
    process = bare.start("show", *files[:2])
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(DEADLINE) in {1, 141}


@pytest.mark.fault("disk-full")
def test_a_full_disk_is_no_finding(files: list[str]) -> None:
    """A report that could not be written is unknown, exit 3, and one line says why."""
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [*COMMAND, "show", *files[:2]], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (ended.returncode, ended.stderr) == (3, "error: nothing more can be written: No space left on device\n")


@pytest.mark.fault("hostile-test-name")
def test_a_hostile_name_cannot_end_the_report(call: Call, tmp_path: Path) -> None:
    """Also on a terminal whose encoding is ASCII."""
    write_run(tmp_path / "r.jsonl", Attempt("tést_\udc80.py::x\x1b[31m", Outcome.SKIPPED, reason="\udcff ✓"))
    ended = call("show", str(tmp_path / "r.jsonl"), "--format", "full")
    assert ended.returncode == 3
    assert r"tést_\udc80.py" in ended.stdout


def test_what_has_to_wait_is_told_once(bare: Bare) -> None:
    """`--jobs 1`: one environment after the other, each with its line when it waits, starts and ends."""
    ended = bare.run("matrix", "--jobs", "1")
    assert ended.returncode == 0, ended.stderr
    said = [line.partition(" after")[0] for line in ended.stderr.splitlines()[:-1]]
    first, second = ("local", "staging") if said[0].startswith("local") else ("staging", "local")
    assert said == [
        f"{first}: started",
        f"{second}: waiting",
        f"{first}: ended",
        f"{second}: started",
        f"{second}: ended",
    ]


def test_on_a_terminal_progress_is_drawn_and_the_report_in_glyphs(bare: Bare) -> None:
    """One live line an environment, gone when the report is printed."""
    ours, theirs = pty.openpty()
    environment = plain_environment() | {"TERM": "xterm", "COLUMNS": "100", "LANG": "C.UTF-8"}
    process = subprocess.Popen(
        [*COMMAND, "matrix", "local"], cwd=bare.root, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):  # Linux says EIO when the last writer is gone
        while chunk := os.read(ours, 65536):
            seen += chunk
    os.close(ours)
    assert process.wait(DEADLINE) == 0
    text = seen.decode()
    assert "collecting" in text
    assert "✓ 1" in text
    assert "\x1b[" in text
    assert "started" not in text
