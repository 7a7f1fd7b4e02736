"""Runs a case: a project of its own in a directory of its own, real services, pytest in a process of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import trustme
from msgspec import structs

from envmatrix.exceptions import RunFileError
from envmatrix.gate import Verdict, judge
from envmatrix.runs.cells import MissingRun, Run
from envmatrix.runs.file import read_run
from envmatrix.runs.outcomes import Outcome
from envmatrix.services.processes.process import kill_all
from envmatrix.services.processes.process_identity import ProcessIdentity
from envmatrix.services.processes.supervisor_directory import bases
from tests.accuracy.case import Case, Remote

AT_ONCE = 3
"""A third of a case is waiting, so that three fill two processors."""
DEADLINE = 30.0
"""Seconds for one case. None takes a third of it on a busy machine; what does is a hang, and the tool's failure."""
DEADLINE_OF_ANOTHER = 10.0
"""More seconds for each case that shares the run."""
CLEAN_UP = 10.0
"""Seconds from the end of a run, whatever ended it, until nothing of it may be left."""
_POLL = 0.02
_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
"""Where the suites and the reference system are, for the cases that run them."""
_PYPROJECT = "[tool.pytest.ini_options]\nmarkers = ['own: of the project']\n"
_RESUME = """
import pytest
import injure

@pytest.fixture(scope="session", autouse=True)
def wake_what_was_paused():
    yield
    injure.wake()
"""
_UNUSED = ("cacheprovider", "valkey", "asyncio", "anyio", "hypothesispytest", "platformdirs")
_COMMAND = (sys.executable, "-m", "pytest", "-q", "--rootdir=.", *(f"-pno:{plugin}" for plugin in _UNUSED))


@dataclass(frozen=True, slots=True)
class Seen:
    """What the tool reported about a case, and what it left over."""

    run: Run | None
    """`None` where it left no run file, or none that can be read."""
    verdict: Verdict
    seconds: float = 0.0
    exit_code: int = 0
    """pytest's; negative: the signal that ended it."""
    output: str = ""
    overdue: bool = False
    """Whether it was killed at its deadline."""
    left: tuple[str, ...] = ()
    """Processes and directories that were left over ten seconds after the run."""


def run_all(cases: Sequence[Case]) -> Iterator[tuple[Case, Seen]]:
    """Run cases, a few at a time; yield each when it ends. Closing the iterator stops the rest."""
    stopping = threading.Event()
    together: dict[str, list[Case]] = {}
    for case in cases:
        together.setdefault(case.shared or case.name, []).append(case)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        pending = {pool.submit(run_cases, group, stopping): group for group in together.values()}
        try:
            for done in as_completed(pending):
                yield from zip(pending[done], done.result(), strict=True)
        finally:
            stopping.set()
            pool.shutdown(cancel_futures=True)


def run_cases(cases: Sequence[Case], stopping: threading.Event) -> list[Seen]:
    """Run one case, or those that share a run, and remove all that they made."""
    case = cases[0]
    with ExitStack() as stack:
        root = Path(tempfile.mkdtemp(prefix="accuracy-"))
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        _write(case, root)
        for number, each in enumerate(cases):
            (root / _file(number)).write_text("import injure\n" + textwrap.dedent(each.tests))
        variables: dict[str, str] = {}
        for remote in case.remotes:
            variables |= stack.enter_context(_serving(remote, root, variables))
        began = time.monotonic()
        deadline = DEADLINE + DEADLINE_OF_ANOTHER * (len(cases) - 1)
        exit_code, pid = _pytest(case, root, variables, deadline, stopping)
        seconds = time.monotonic() - began
        left = _left_behind(root, pid, stopping)
        whole = Seen(
            *_read(root / "run.jsonl", exit_code),
            seconds=seconds / len(cases),
            exit_code=exit_code,
            output=(root / "output.txt").read_text(errors="replace"),
            overdue=seconds > deadline,
            left=left,
        )
    return [whole] if len(cases) == 1 else [part(whole, number) for number in range(len(cases))]


def _file(number: int) -> str:
    return f"test_{number}.py"


def part(whole: Seen, number: int) -> Seen:
    """Return the part of a shared run that belongs to one case, judged as a run of its own."""
    if whole.run is None:
        return whole
    ours = {name: cell for name, cell in whole.run.cells.items() if name.startswith(f"{_file(number)}::")}
    footer = whole.run.footer
    if footer is not None and footer.exit_code == 1:  # which another case's test may have caused
        footer = structs.replace(footer, exit_code=int(any(cell.outcome is Outcome.FAILED for cell in ours.values())))
    run = replace(whole.run, cells=ours, footer=footer)
    return replace(whole, run=run, verdict=judge(run))


def _write(case: Case, root: Path) -> None:
    (root / "environments").mkdir()
    files = {
        "pyproject.toml": _PYPROJECT,
        "environments/tiny.toml": case.environment,
        "conftest.py": _RESUME + textwrap.dedent(case.conftest),
    } | {f"{service}.faults": words for service, words in case.faults.items()}
    for name, text in files.items():
        (root / name).write_text(text)
    for name in ("faulty_server.py", "injure.py"):
        shutil.copy(_HERE / name, root)


def _pytest(
    case: Case, root: Path, variables: Mapping[str, str], deadline: float, stopping: threading.Event
) -> tuple[int, int]:
    """Run pytest; return its exit code, negative where a signal ended it, and its process id."""
    unwanted = ("PYTHONDONTWRITEBYTECODE", "MATRIX_ENVIRONMENT", "PYTEST_ADDOPTS")
    env = {name: value for name, value in os.environ.items() if name not in unwanted}
    command = [*_COMMAND, "--matrix-environment=tiny", "--matrix-run-file=run.jsonl", *case.arguments]
    with (root / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=root,
            env={**env, **variables, "TMPDIR": str(root), "PYTHONPATH": str(_ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    end = time.monotonic() + deadline
    while process.poll() is None:
        if time.monotonic() > end or stopping.is_set():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        time.sleep(_POLL)
    return process.returncode, process.pid


def _read(path: Path, exit_code: int) -> tuple[Run | None, Verdict]:
    """Read the run as the matrix wing does, and judge it."""
    note = f"killed by {signal.Signals(-exit_code).name}" if exit_code < 0 else ""
    try:
        run = read_run(path)
    except RunFileError as error:
        return None, judge(MissingRun("tiny", "tiny", note or error.message))
    return run, judge(run, note)


def _left_behind(root: Path, pid: int, stopping: threading.Event) -> tuple[str, ...]:
    """Wait until the run has left nothing over; end what remains, and return it."""
    end = time.monotonic() + CLEAN_UP
    while (processes := _processes_in(root)) or _directories_of(pid):
        if time.monotonic() > end or stopping.is_set():
            break
        time.sleep(_POLL)
    left = [" ".join(command)[:200] for command in processes.values()]
    kill_all(processes)
    for directory in _directories_of(pid):
        left.append(str(directory))
        shutil.rmtree(directory, ignore_errors=True)
    return tuple(left)


def _processes_in(root: Path) -> dict[psutil.Process, list[str]]:
    """Return the processes that inherited a case's directory, without the remotes that we started."""
    processes: dict[psutil.Process, list[str]] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("TMPDIR") == str(root):
                processes[process] = process.cmdline()
    return processes


def _directories_of(pid: int) -> list[Path]:
    owners = [(owner.parent, ProcessIdentity.read(owner)) for base in bases() for owner in base.glob("*/owner.json")]
    return [directory for directory, owner in owners if owner and owner.pid == pid]


@contextmanager
def _serving(remote: Remote, root: Path, known: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Run the remote services of a case; yield the variables with their URLs."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    env = {"SERVICE": remote.service, "ENVIRONMENT": "tiny"} | {
        name: known.get(value, value) for name, value in remote.env.items()
    }
    variables = {remote.variable: f"{'https' if remote.tls else 'http'}://127.0.0.1:{port}"}
    if remote.tls:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(root / "ca.pem")
        issued = authority.issue_cert("127.0.0.1")
        issued.private_key_and_cert_chain_pem.write_to_path(root / "server.pem")
        env |= {"CERT_FILE": "server.pem", "KEY_FILE": "server.pem"}
        variables["CA_FILE"] = str(root / "ca.pem")
    command = [sys.executable, "-S", "faulty_server.py", str(port)]
    with subprocess.Popen(command, cwd=root, env=env, stderr=subprocess.DEVNULL) as server:
        try:
            _await_listener(port, server)
            yield variables
        finally:
            server.kill()


def _await_listener(port: int, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + CLEAN_UP
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(_POLL)
    raise RuntimeError(f"the accuracy suite's own server did not come up on port {port}")
