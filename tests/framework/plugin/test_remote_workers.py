"""Workers on other machines: reached by a real sshd, in a checkout of their own, without the controller's directory."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from envmatrix.runs.file import read_run
from envmatrix.runs.outcomes import Outcome
from envmatrix.services.processes.ports import free_port
from tests.framework.bare import Bare
from tests.framework.project import TINY_TOML, Project

_SBIN = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
SSHD = shutil.which("sshd", path=_SBIN)
PROGRAMS = {"sshd": SSHD, "ssh": shutil.which("ssh"), "ssh-keygen": shutil.which("ssh-keygen")}
MISSING = ", ".join(name for name, path in PROGRAMS.items() if path is None)

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {MISSING} (apt-get install openssh-server)")

DEADLINE = 20.0
"""Seconds until sshd listens, and until the last of its children is gone."""
PRIVILEGE_SEPARATION = Path("/run/sshd")
"""What sshd wants to be there when it runs as root; packages leave it to systemd."""


def can_unshare(what: str) -> bool:
    """Whether a command may be run with mounts or a network of its own: as root on Linux, mostly."""
    command = (shutil.which("unshare") or "false", what, "true")
    return subprocess.run(command, capture_output=True, timeout=DEADLINE, check=False).returncode == 0


APART = """
umask 022
for base in /dev/shm "$TMPDIR" /tmp; do
    mkdir -p "$base/envmatrix-$(id -u)" && mount -t tmpfs none "$base/envmatrix-$(id -u)"
done
exec sh -c "$SSH_ORIGINAL_COMMAND"
"""
"""What hides the directories of runs: they are on another machine."""


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait until something is so."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


@dataclass(frozen=True)
class Machine:
    """What stands for other machines: an sshd of our own, which nobody else uses."""

    home: Path
    process: subprocess.Popen[bytes]

    @property
    def workers(self) -> list[psutil.Process]:
        """What runs there."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def tx(self, checkout: Path) -> str:
        """The option that asks for one worker there."""
        return f"--tx=ssh=far//ssh_config={self.home / 'ssh_config'}//python={sys.executable}//chdir={checkout}"


def start_sshd(home: Path, *extra: str) -> Machine:
    """Start an sshd with its own keys, port and configuration; no system service knows of it."""
    port = free_port()
    for key in ("host_key", "user_key"):
        subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / key), check=True, timeout=DEADLINE)
    (home / "authorized_keys").write_text((home / "user_key.pub").read_text())
    (home / "known_hosts").write_text(f"[127.0.0.1]:{port} {(home / 'host_key.pub').read_text()}")
    server = (
        "ListenAddress 127.0.0.1",
        f"Port {port}",
        f"HostKey {home / 'host_key'}",
        f"AuthorizedKeysFile {home / 'authorized_keys'}",
        "PidFile none",
        "UsePAM no",
        "StrictModes no",  # a temporary directory may be writable by others
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin prohibit-password",
        *extra,
    )
    client = (
        "Host far",
        "HostName 127.0.0.1",
        f"Port {port}",
        f"User {getpass.getuser()}",
        f"IdentityFile {home / 'user_key'}",
        "IdentitiesOnly yes",
        f"UserKnownHostsFile {home / 'known_hosts'}",
        "GlobalKnownHostsFile none",
        "StrictHostKeyChecking yes",
        "BatchMode yes",
        "LogLevel ERROR",
    )
    (home / "sshd_config").write_text("\n".join(server) + "\n")
    (home / "ssh_config").write_text("\n".join(client) + "\n")
    with (home / "sshd.log").open("wb") as log:
        command = (str(SSHD), "-D", "-e", "-f", str(home / "sshd_config"))
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def listens() -> bool:
        assert process.poll() is None, (home / "sshd.log").read_text()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1.0).close()
            return True
        return False

    wait_until(listens, "sshd does not listen")
    return Machine(home, process)


@pytest.fixture
def start_machine(tmp_path: Path) -> Iterator[Callable[..., Machine]]:
    """Start other machines, and see that nothing runs on them any more when the test is over."""
    made = os.geteuid() == 0 and not PRIVILEGE_SEPARATION.exists()
    if made:
        PRIVILEGE_SEPARATION.mkdir(mode=0o755)
    machines: list[Machine] = []

    def start(*extra: str) -> Machine:
        home = tmp_path / f"machine{len(machines)}"
        home.mkdir(mode=0o700)
        machines.append(start_sshd(home, *extra))
        return machines[-1]

    try:
        yield start
        for machine in machines:
            wait_until(lambda: not machine.workers, f"still running: {machine.workers}")  # noqa: B023  called at once
    finally:
        for machine in machines:
            for process in machine.workers:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            machine.process.terminate()
            machine.process.wait(DEADLINE)
        if made:
            PRIVILEGE_SEPARATION.rmdir()


@pytest.fixture
def machine(start_machine: Callable[..., Machine], tmp_path: Path) -> Machine:
    """Another machine, as far as may be: the controller's directory is not to be seen from there."""
    if not can_unshare("--mount"):
        return start_machine()
    (script := tmp_path / "apart.sh").write_text(APART.replace("$TMPDIR", tempfile.gettempdir()))
    return start_machine(f"ForceCommand unshare --mount sh {script}")


ALONE = f"""
{sys.executable} -S -c '
import fcntl, socket, struct
UP = struct.pack("16sh14x", b"lo", 1)
fcntl.ioctl(socket.socket(), 0x8914, UP)  # SIOCSIFFLAGS
'
exec sh -c "$SSH_ORIGINAL_COMMAND"
"""
"""What gives a machine a loopback of its own, from which no port of the controller's can be reached."""


@pytest.fixture
def lone_machine(start_machine: Callable[..., Machine], tmp_path: Path) -> Machine:
    """Another machine that reaches the controller by what ssh carries only."""
    if not can_unshare("--net"):
        pytest.skip("unshare --net is refused: it needs root on Linux")
    (script := tmp_path / "alone.sh").write_text(ALONE)
    return start_machine(f"ForceCommand unshare --net sh {script}")


def checkout(project: Project | Bare, there: Path) -> Path:
    """What the project looks like on another machine: the same files in another place, no more."""
    return Path(
        shutil.copytree(
            project.root, there, ignore=shutil.ignore_patterns("*.jsonl", "*.env", "*.sh", ".*", "__*", "machine*")
        )
    )


def files(directory: Path) -> set[str]:
    """The files below a directory, without bytecode."""
    found = (path.relative_to(directory) for path in directory.rglob("*") if path.is_file())
    return {str(path) for path in found if "__pycache__" not in path.parts}


def run(
    project: Project, machine: Machine, *args: str, environment: str = "tiny", workers: int = 2
) -> pytest.RunResult:
    """Run pytest with workers on another machine, each in a checkout of its own."""
    checkouts = [checkout(project, machine.home / f"checkout{number}") for number in range(workers)]
    # With "=": xdist takes each word that is a path of ours for tests, which it would have to send.
    ours = (f"--matrix-environment={environment}", f"--matrix-run-file={project.run_file}")
    # xdist copies pytest itself to each worker; where it is installed, nothing need be copied.
    options = ("--dist=load", "--rsyncignore=*", *(machine.tx(each) for each in checkouts))
    return project.pytest(*ours, *options, *args, environment="")


CACHE = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
"""Where PostgreSQL's initialised files are; pytester gives each test a home of its own."""

SECRET = "canary-7f3a9c"

WHOLE_TOML = """
[services.backend]
kind = "http"
source = "process"
command = ["{python}", "-S", "server.py", "{backend.port}"]
env = { SERVICE = "backend", ENVIRONMENT = "{environment}", API_KEY = "${FAR_KEY}" }
identity = { service = "backend", environment = "whole" }
protected = "/me"

[services.database]
kind = "postgres"
source = "embedded"

[users]
service = "backend"
signup = "/signup"
login = "/login"
me = "/me"
"""

WHOLE_SUITE = """
    import json, os, pathlib, time
    import psutil
    import psycopg
    import pytest

    SEEN = pathlib.Path({seen!r})  # only for this: two tests that meet
    ME = os.environ["PYTEST_XDIST_WORKER"]

    def meet(mine):
        (SEEN / "new").joinpath(ME).write_text(json.dumps(mine))
        (SEEN / "new").joinpath(ME).rename(SEEN / ME)
        deadline = time.monotonic() + 20
        while len(found := [path for path in SEEN.iterdir() if path.is_file()]) < 2:
            assert time.monotonic() < deadline, "the other worker does not come"
            time.sleep(0.02)
        return [json.loads(path.read_text()) for path in found]

    @pytest.mark.parametrize("turn", range(2))  # one for each worker
    def test_apart(real_services, turn, request):
        user = real_services.users()
        database = real_services.database
        with psycopg.connect(database.url.get_secret_value(), autocommit=True) as connection:
            connection.execute("CREATE TABLE canary (worker text)")
            connection.execute("INSERT INTO canary VALUES (%s)", [ME])
            (one, his), (other, hers) = meet([database.database, user.email])
            assert one != other and his != hers
            assert connection.execute("SELECT worker FROM canary").fetchall() == [(ME,)]
            connection.execute("DROP TABLE canary")

        selection = request.config.pluginmanager.getplugin("envmatrix-process").selection
        secrets = [database.password.get_secret_value(), str.__str__(user.token), selection.variables["FAR_KEY"]]
        assert all(secrets) and secrets[2] == "canary-" + "7f3a9c"
        texts = list(os.environ.values()) + [repr(request.config.workerinput)]
        for process in psutil.process_iter():
            try:
                texts += process.cmdline()
            except psutil.Error:
                continue
        texts += [path.read_bytes().decode(errors="replace") for path in request.config.rootpath.rglob("*") if path.is_file()]
        assert not [text for text in texts for secret in secrets if secret in text]
"""


def test_each_worker_has_its_own_users_and_database(
    project: Project, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two use the controller's services, apart from each other; no argument, variable or file of theirs holds a secret."""
    monkeypatch.setenv("XDG_CACHE_HOME", CACHE)
    (seen := tmp_path / "seen" / "new").mkdir(parents=True)
    project.write("environments/whole.toml", WHOLE_TOML)
    project.write("test_a.py", WHOLE_SUITE.format(seen=str(seen.parent)))
    project.write("mine.env", f"FAR_KEY={SECRET}\n")  # beside the controller only
    result = run(project, machine, "--matrix-env-file=mine.env", environment="whole")
    cells = project.run.cells
    assert result.ret == 0, result.stdout.str()
    assert [cell.outcome for cell in cells.values()] == [Outcome.PASSED] * 2
    assert {attempt.worker for cell in cells.values() for attempt in cell.attempts} == {"gw0", "gw1"}
    assert files(machine.home / "checkout0") == {
        *("environments/tiny.toml", "environments/whole.toml", "pyproject.toml", "server.py", "test_a.py")
    }
    assert SECRET not in result.stdout.str() + result.stderr.str() + project.run_file.read_text()


@pytest.mark.fault("worker-crash")
def test_a_worker_that_is_killed_fails_its_test_alone(project: Project, machine: Machine) -> None:
    """The test that ran is H301, and another worker is started over ssh for the rest; a failure carries a service's log."""
    project.write(
        "test_a.py",
        """
        import os, signal

        def test_one(real_services): pass
        def test_two(real_services): os.kill(os.getpid(), signal.SIGKILL)
        def test_three(real_services): pass
        def test_four(real_services): assert real_services.backend_url == "elsewhere"
        """,
    )
    server = project.root / "server.py"
    server.write_text("print('the server says hello', flush=True)\n" + server.read_text())
    assert run(project, machine, workers=1).ret == 1
    cells = {name.rpartition("_")[2]: cell for name, cell in project.run.cells.items()}
    assert [cell.outcome for cell in cells.values()] == ["passed", "failed", "passed", "failed"]
    assert [cells[name].evidence.rule for name in ("two", "four")] == ["H301", "L401"]
    assert "exit code" not in cells["two"].evidence.summary  # ssh's own says nothing
    assert "the server says hello" in cells["four"].evidence.logs["backend"]


def test_a_checkout_that_differs_is_refused(project: Project, machine: Machine) -> None:
    """A declaration that the controller did not read runs no test, and the error names the file."""
    project.write("test_a.py", "def test_a(real_services): pass")
    there = checkout(project, machine.home / "checkout")
    (there / "environments/tiny.toml").write_text("[services]\n")
    ours = ("--matrix-environment=tiny", "--dist=load", "--rsyncignore=*", machine.tx(there))
    result = project.pytest(*ours, environment="")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines("*a worker on another machine refuses: */checkout/environments/tiny.toml on * is not *")


def test_what_is_given_to_pytest_reaches_no_other_machine_and_says_so(project: Project, machine: Machine) -> None:
    """Rather than a suite without its URLs there is one line."""
    project.write("test_a.py", "def test_a(): pass")
    project.write("environments/tiny.toml", TINY_TOML + '[pytest]\nenv = { SIZE = "2" }\n')
    ours = ("--matrix-environment=tiny", "--dist=load", "--rsyncignore=*")
    result = project.pytest(*ours, machine.tx(checkout(project, machine.home / "checkout")), environment="")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(r"*refuses: [[]pytest] of tiny.toml cannot reach pytest here. *")


def test_paths_are_refused(project: Project) -> None:
    """A path on the command line would end xdist with a traceback: the error says what to write instead."""
    project.write("test_a.py", "def test_a(): pass")
    result = project.pytest("--matrix-environment=tiny", "--dist=load", "--tx=ssh=far", "test_a.py", environment="")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines("ERROR: test_a.py is a path on this machine, *. Name tests by testpaths or -k, *")


def test_an_endpoint_that_a_worker_cannot_reach_is_told(project: Project, lone_machine: Machine) -> None:
    """On a machine with a loopback of its own, tests of loopback services are not run, and say why; the others pass."""
    project.write("test_a.py", "def test_a(real_services): pass\ndef test_b(): pass")
    result = run(project, lone_machine, workers=1)
    assert result.ret == 1
    alone, free = project.run.cells.values()
    assert (alone.outcome, free.outcome) == (Outcome.NOT_RUN, Outcome.PASSED)
    assert alone.evidence.rule == "I201"
    assert "of the controller's machine, which this worker cannot reach" in alone.evidence.summary


@pytest.mark.fault("flaky-retry")
def test_the_command_line_runs_the_suites_there_and_tries_again(bare: Bare, lone_machine: Machine) -> None:
    """`envmatrix run ENV --retries 2 -- --tx=ssh=…`: what failed is tried again there, what crashed by another worker."""
    bare.write("other/test_b.py", "def test_no_suite_of_ours(): assert 0")
    bare.write(
        "suite/test_a.py",
        """
        import os, pathlib, signal

        def number_of_try(name):
            with open(name, "a") as stream: stream.write("x")
            return len(pathlib.Path(name).read_text())

        def test_passes(): pass
        def test_fails_once(): assert number_of_try("fails.txt") > 1
        def test_crashes_once():
            if number_of_try("crashes.txt") == 1: os.kill(os.getpid(), signal.SIGKILL)
        def test_fails(): assert 0
        """,
    )
    far = lone_machine.tx(checkout(bare, lone_machine.home / "checkout"))
    process = bare.run("run", "local", "--retries=2", "--", "--dist=load", "--rsyncignore=*", far)
    assert process.returncode == 1, process.stdout + process.stderr
    assert (bare.last / "local.jsonl").exists(), process.stdout + process.stderr
    cells = read_run(bare.last / "local.jsonl").cells
    assert {
        test.rpartition("::")[2]: [attempt.outcome for attempt in cell.attempts] for test, cell in cells.items()
    } == {
        "test_passes": ["passed"],
        "test_fails_once": ["failed", "passed"],
        "test_crashes_once": ["failed", "passed"],
        "test_fails": ["failed"] * 3,
    }
