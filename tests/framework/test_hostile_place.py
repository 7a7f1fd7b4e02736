"""The command line where something around it is broken: one line says what, and nothing is a traceback."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.framework.bare import COMMAND, Bare, plain_environment

MOUNT = shutil.which("unshare")
"""Gives a process mounts of its own, where it is root's."""
SWITCH = shutil.which("setpriv")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount, and act as another user")
SERVICES = """
[services.database]
kind = "postgres"
source = "embedded"

[services.redis]
kind = "redis"
source = "embedded"
"""


def run(bare: Bare, *command: str, close: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the project by way of a shell, its streams closed as said."""
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {close}', "sh", *command],
        cwd=bare.root,
        env={**plain_environment(), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def no_traceback(ended: subprocess.CompletedProcess[str]) -> None:
    """Check that neither stream has a traceback."""
    assert "Traceback" not in ended.stdout + ended.stderr, ended.stderr


@pytest.mark.parametrize("words", [["plan"], ["audit"], ["history"], ["matrix"]], ids=lambda words: words[0])
def test_a_directory_that_is_gone_is_one_line(bare: Bare, words: list[str]) -> None:
    """The current directory may be removed under a shell."""
    script = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"'
    ended = run(bare, "/bin/sh", "-c", script, "sh", *COMMAND, *words, PYTHONSAFEPATH="1")
    assert (ended.returncode, ended.stderr) == (
        2,
        "error: the current directory was removed. Change to another one\n",
    )


@pytest.mark.parametrize("close", [">&-", ">&- 2>&- <&-"])
@pytest.mark.parametrize("words", [["plan"], ["run", "local"]], ids=lambda words: words[0])
def test_closed_streams_change_no_verdict(bare: Bare, words: list[str], close: str) -> None:
    """The output is dropped, and nothing of it lands in a file that takes the stream's number."""
    ended = run(bare, *COMMAND, *words, close=close)
    assert ended.returncode == 0
    no_traceback(ended)


def test_an_interrupt_while_importing_is_no_traceback(bare: Bare) -> None:
    """Ctrl-C in the first tenths of a second just ends the command."""
    (bare.root / "slow").mkdir()
    (bare.root / "slow/typer.py").write_text("print('importing', flush=True)\nimport time\ntime.sleep(30)\n")
    environment = {**plain_environment(), "PYTHONPATH": os.pathsep.join([str(bare.root / "slow"), *sys.path])}
    with subprocess.Popen(
        [*COMMAND, "plan"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=bare.root
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == -signal.SIGINT
        assert process.stderr.read() == ""


def test_few_descriptors_and_no_path_are_enough(bare: Bare) -> None:
    """`ulimit -n 64` and an empty PATH: embedded servers start all the same. Real servers take two seconds."""
    bare.write("environments/local.toml", SERVICES)
    bare.write("suite/test_a.py", "def test_a(real_services): assert real_services.database and real_services.redis\n")
    ended = run(bare, "/bin/sh", "-c", 'ulimit -n 64; exec "$@"', "sh", *COMMAND, "matrix", "local", PATH="")
    assert ended.returncode == 0, ended.stdout
    no_traceback(ended)


@needs_root
@pytest.mark.skipif(SWITCH is None, reason="setpriv is not installed")
def test_a_user_without_an_account_is_told_what_the_server_says(bare: Bare) -> None:
    """PostgreSQL's initdb wants a name for its user; all else goes on, and its own words are shown."""
    bare.write("environments/local.toml", SERVICES)
    bare.write("suite/test_a.py", "def test_a(real_services): pass\n")
    for path in (bare.root, *bare.root.rglob("*")):
        os.chown(path, 54_321, 54_321)
    capability = "+dac_read_search"  # the interpreter may be in root's home
    switch = ("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", f"--inh-caps={capability}")
    ended = run(bare, *switch, f"--ambient-caps={capability}", *COMMAND, "matrix", "local", HOME="/nonexistent")
    assert ended.returncode == 3, ended.stdout + ended.stderr
    assert "could not look up effective user ID 54321" in " ".join(ended.stdout.split())
    no_traceback(ended)


@needs_root
@pytest.mark.fault("disk-full")
@pytest.mark.skipif(MOUNT is None, reason="unshare is not installed")
def test_a_full_temporary_directory_is_named(bare: Bare) -> None:
    """The cell has the words of the program that found no room."""
    bare.write("environments/local.toml", SERVICES)
    bare.write("suite/test_a.py", "def test_a(real_services): pass\n")
    script = 'mount -t tmpfs -o size=1m none /mnt && mount -t tmpfs -o size=64k none /dev/shm && exec "$@"'
    ended = run(bare, "unshare", "-m", "/bin/sh", "-c", script, "sh", *COMMAND, "matrix", "local", TMPDIR="/mnt")
    if "mount:" in ended.stderr:
        pytest.skip("this container lets root mount nothing")
    assert ended.returncode == 3, ended.stdout
    assert "No space left on device" in " ".join(ended.stdout.split())
    no_traceback(ended)


@needs_root
def test_a_read_only_directory_is_one_line(bare: Bare) -> None:
    """`baseline update` cannot write there: not as a user without rights."""
    assert bare.run("matrix", "local").returncode == 0
    capability = "+dac_read_search"
    switch = ("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", f"--inh-caps={capability}")
    ended = run(bare, *switch, f"--ambient-caps={capability}", *COMMAND, "baseline", "update")
    assert ended.returncode == 3
    assert ended.stderr.startswith(f"error: baseline {bare.root}/envmatrix-baseline.json: cannot be written: ")
    assert len(ended.stderr.splitlines()) == 1


def test_our_own_tests_of_ctrl_c_hold_where_it_is_ignored() -> None:
    """A shell's background job ignores it, and so does all that it starts: one more pytest is the price."""
    test = "tests/framework/plugin/test_ledger.py"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:envmatrix", test, "-k", "Ctrl"]
    ignoring = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh", *command]
    root = Path(__file__).parents[2]
    done = subprocess.run(ignoring, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert "1 passed" in done.stdout
