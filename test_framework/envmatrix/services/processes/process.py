"""Processes of services: start them fresh or forked, see them end, and stop them with their descendants."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import pwd
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import psutil

from envmatrix.exceptions import StartError
from envmatrix.safety.private import open_private
from envmatrix.services.processes.fork_server import ForkServer
from envmatrix.services.processes.launch import Launch
from envmatrix.services.processes.log_lines import log_tail
from envmatrix.services.processes.memory_killer import MemoryKiller
from envmatrix.services.processes.process_identity import ProcessIdentity
from envmatrix.services.processes.supervisor_directory import MARK, SupervisorDirectory

_PR_SET_CHILD_SUBREAPER = 36
_FROM_OUTSIDE = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGKILL, signal.SIGTERM})
"""Signals that others send: a terminal, a person, the kernel's memory killer."""
_SHARED = frozenset({"aardvark-dns", "catatonit"})
"""Podman's name server, and what holds its user namespace open."""
_KILLED = 1.0
"""Seconds until a process that was sent SIGKILL must be gone; longer only in a hung system call."""


@dataclass(frozen=True)
class ServiceProcess:
    """The process of a service, leader of its own session and process group."""

    name: str
    identity: ProcessIdentity
    stop_signal: int
    log: Path
    _poll: Callable[[], int | None]

    def exit_code(self) -> int | None:
        """Return the exit code (negative: the signal that ended it); None while it runs."""
        return self._poll()

    def send(self, number: int) -> None:
        """Send a signal to its process group, unless another process has its id by now."""
        if self.identity.process() is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            try:
                os.killpg(self.identity.pid, number)
            except ProcessLookupError:  # forked this moment, not yet a leader
                os.kill(self.identity.pid, number)

    def log_tail(self) -> str:
        """Return the end of its log, masked."""
        return log_tail(self.log)


class Launcher:
    """Starts processes, lists them on disk and stops them all. Safe to use from several threads."""

    def __init__(self, run: SupervisorDirectory, fork_server: ForkServer | None = None) -> None:
        self.memory_killer = MemoryKiller()
        self._run = run
        self._lock = threading.Lock()
        self._fork_server = fork_server
        self._processes: list[ServiceProcess] = []
        self._closed = False

    def preload(self, modules: Iterable[str]) -> None:
        """Start the fork server, which imports these modules while other services start; only once."""
        with self._lock:
            if self._fork_server is None and not self._closed:
                self._fork_server = ForkServer(modules, self._run)

    def start(self, name: str, launch: Launch) -> ServiceProcess:
        """Start the process of a service.

        Raises:
            StartError: there is no such command or account, or everything is being stopped.
        """
        log = self._run.log(name)
        log.unlink(missing_ok=True)
        open_private(log, "xb").close()
        launch = launch.model_copy(update={"env": {**launch.env, MARK: str(self._run.path)}})
        process = self._fork(name, launch, log)
        with self._lock:  # from here on nothing starts once stop_all has begun
            if self._closed:
                raise StartError(name, "was not started: everything is being stopped")
            process = process or _execute(name, launch, log)
            self._processes.append(process)
            with open_private(self._run.ledger, "a") as ledger:
                ledger.write(json.dumps({**asdict(process.identity), "name": name}) + "\n")
        return process

    def _fork(self, name: str, launch: Launch, log: Path) -> ServiceProcess | None:
        """Return the process forked from the fork server; None where only a fresh one will do."""
        is_module = launch.command[:2] == (sys.executable, "-m") and launch.user is None
        if not (self._fork_server and launch.preload and is_module):
            return None
        pid = self._fork_server.fork(launch.command[2:], launch.env, launch.cwd or Path.cwd(), log)
        if pid is None:
            return None
        return ServiceProcess(
            name, ProcessIdentity.just_started(pid), launch.stop_signal, log, partial(self._fork_server.exit_code, pid)
        )

    def stop_all(self, grace: float, meanwhile: Callable[[], None] = lambda: None) -> frozenset[str]:
        """Stop all processes for good, by SIGKILL after `grace` seconds; return the names of those killed.

        What `meanwhile` runs has come to its end before what is left over is killed.
        """
        with self._lock:
            self._closed = True
        beside = threading.Thread(target=meanwhile)
        beside.start()
        stubborn = stop(self._processes, grace)
        beside.join()
        if self._fork_server:
            self._fork_server.close()
        _kill_descendants()
        return stubborn


def stop(processes: Sequence[ServiceProcess], grace: float) -> frozenset[str]:
    """Stop processes together; return the names of those that needed SIGKILL after `grace` seconds."""
    below = [child for each in processes for child in descendants(each.identity)] if len(processes) == 1 else []
    for each in processes:
        each.send(each.stop_signal)
    _await(lambda: all(each.exit_code() is not None for each in processes), grace)
    stubborn = [each for each in processes if each.exit_code() is None]
    for each in stubborn:
        each.send(signal.SIGKILL)
    _await(lambda: all(each.exit_code() is not None for each in stubborn), _KILLED)
    kill_all(below)
    return frozenset(each.name for each in stubborn)


def kill_all(processes: Iterable[psutil.Process]) -> None:
    """Kill processes and wait until they are gone; an id that was given to another is spared."""
    waiting = list(processes)
    for process in waiting:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process.kill()  # psutil looks at the start time first
    _await(lambda: all(_has_ended(process) for process in waiting), _KILLED)


def processes_with(variable: str, value: str) -> list[psutil.Process]:
    """Return the other processes that have an environment variable of this value, as far as they may be looked at."""
    return [
        process
        for process in psutil.process_iter()
        if process.pid != os.getpid() and environment_of(process).get(variable) == value
    ]


def environment_of(process: psutil.Process) -> Mapping[str, str]:
    """Return the environment that a process was started with; empty where it may not be looked at."""
    try:
        environment: dict[str, str] = process.environ()
    except (psutil.Error, OSError):
        return {}
    return environment


def adopt_orphans() -> None:
    """Become the parent of every orphan below this process, so that none escapes (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def kill_group(process: ServiceProcess) -> None:
    """Kill what is left of an ended process's group, as far as we have adopted it."""
    left = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(child.pid) == process.identity.pid:
                left.append(child)
    kill_all(left)


def was_killed(code: int) -> bool:
    """Return whether an exit code says that a process was ended from outside; a shell adds 128 to a signal."""
    return -code in _FROM_OUTSIDE or code - 128 in _FROM_OUTSIDE


def explain_exit(code: int) -> str:
    """Return how a process ended, for a message."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "no name"
    cause = ": out of memory, or killed from outside" if -code == signal.SIGKILL else ""
    return f"was ended by signal {-code} ({name}){cause}"


def _execute(name: str, launch: Launch, log: Path) -> ServiceProcess:
    account = launch.user if os.geteuid() == 0 else None
    try:
        with open_private(log, "ab") as output:
            popen = subprocess.Popen(  # noqa: S603  running declared commands is what we are for
                launch.command,
                env=launch.env,
                cwd=launch.cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                user=account,
                group=pwd.getpwnam(account).pw_gid if account else None,
                extra_groups=[] if account else None,
            )
    except (OSError, KeyError) as error:
        raise StartError(name, f"could not be started: {error}") from None
    return ServiceProcess(name, ProcessIdentity.just_started(popen.pid), launch.stop_signal, log, popen.poll)


def _await(condition: Callable[[], bool], deadline: float) -> None:
    end = time.monotonic() + deadline
    pause = 0.001
    while not condition() and time.monotonic() < end:
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)


def _has_ended(process: psutil.Process) -> bool:
    """Return whether a process has ended; a zombie of ours is reaped."""
    with contextlib.suppress(psutil.NoSuchProcess):
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            return False
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)
    return True


def descendants(identity: ProcessIdentity) -> list[psutil.Process]:
    """Return the processes below one that still runs."""
    process = identity.process()
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.children(recursive=True) if process else []
    return []


def _kill_descendants() -> None:
    """Kill all descendants of this process; as the parent of all orphans (Linux) it sees them all."""
    end = time.monotonic() + 2 * _KILLED
    while (below := list(_to_be_killed())) and time.monotonic() < end:
        kill_all(below)


def _to_be_killed() -> Iterator[psutil.Process]:
    """Yield the descendants of this process, but what podman keeps for all containers of its user, whoever started it."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.name() not in _SHARED:
                yield process
