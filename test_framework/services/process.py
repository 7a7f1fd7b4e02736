"""Processes: start one fresh or forked from a warm parent, notice its end, and stop it with all that it started."""

from __future__ import annotations

import contextlib
import ctypes
import json
import multiprocessing
import os
import pwd
import runpy
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from multiprocessing import forkserver
from pathlib import Path
from typing import cast

import psutil

from test_framework.exceptions import StartError
from test_framework.masking import MASKER
from test_framework.services.base import Launch
from test_framework.services.rundir import Identity, RunDir

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_TAIL_LINES = 20
_TAIL_BYTES = 4096
_KILLED = 1.0
"""Seconds until a process that was sent SIGKILL must be gone; longer only in a hung system call."""


@dataclass(frozen=True)
class ServiceProcess:
    """A process that gives a service. It leads a session, and so a process group, of its own."""

    name: str
    identity: Identity
    stop_signal: int
    log: Path
    _poll: Callable[[], int | None]

    def exit_code(self) -> int | None:
        """Return how it ended (negative: the signal that ended it); None while it runs."""
        return self._poll()

    def send(self, number: int) -> None:
        """Send a signal to its process group, unless its id belongs to another process by now."""
        if self.identity.process() is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            try:
                os.killpg(self.identity.pid, number)
            except ProcessLookupError:  # forked this moment, not yet a leader
                os.kill(self.identity.pid, number)

    def log_tail(self) -> str:
        """Return the end of what it wrote, masked."""
        return log_tail(self.log)


class Launcher:
    """Starts processes, keeps the list of them on disk, and stops them all. Safe to use from several threads."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._warm = _WarmParent()
        self._processes: list[ServiceProcess] = []
        self._closed = False

    def preload(self, modules: Iterable[str]) -> None:
        """Start the warm parent, which imports these modules while other services start."""
        self._warm.start(modules)

    def start(self, name: str, launch: Launch) -> ServiceProcess:
        """Start the process of a service.

        Raises:
            StartError: there is no such command or account, or everything is being stopped.
        """
        log = self._run.log(name)
        log.unlink(missing_ok=True)
        log.touch(mode=0o600)
        process = self._fork(name, launch, log) if _module(launch) and launch.preload else None
        with self._lock:  # from here on nothing starts once stop_all has begun
            if self._closed:
                raise StartError(name, "was not started: everything is being stopped")
            process = process or _execute(name, launch, log)
            self._processes.append(process)
            with self._run.ledger.open("a", encoding="utf-8") as ledger:
                ledger.write(json.dumps({**asdict(process.identity), "name": name}) + "\n")
        return process

    def _fork(self, name: str, launch: Launch, log: Path) -> ServiceProcess | None:
        module = _module(launch)
        forked = self._warm.fork((module, launch.command[2:], dict(launch.env), launch.cwd, log))
        if forked is None:
            return None
        pid, poll = forked
        identity = Identity.of(pid) or Identity(pid, 0.0)  # ended already: a start time that matches nobody
        return ServiceProcess(name, identity, launch.stop_signal, log, poll)

    def stop_all(self, grace: float) -> frozenset[str]:
        """Stop everything at once, for good: each by its own signal, SIGKILL after `grace` seconds.

        Returns the names of those that had to be killed.
        """
        with self._lock:
            self._closed = True
        stubborn = stop(self._processes, grace)
        _kill_descendants()
        return stubborn


def stop(processes: Sequence[ServiceProcess], grace: float) -> frozenset[str]:
    """Stop processes together; return the names of those that ignored their stop signal for `grace` seconds."""
    below = [child for each in processes for child in _children(each.identity)] if len(processes) == 1 else []
    for each in processes:
        each.send(each.stop_signal)
    _await_all(processes, grace)
    stubborn = [each for each in processes if each.exit_code() is None]
    for each in stubborn:
        each.send(signal.SIGKILL)
    _await_all(stubborn, _KILLED)
    kill_all(below)
    return frozenset(each.name for each in stubborn)


def kill_all(processes: Iterable[psutil.Process]) -> None:
    """Send SIGKILL to each that is still the process it was, and wait until they are gone."""
    waiting = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process.kill()  # psutil looks at the start time first
            waiting.append(process)
    psutil.wait_procs(waiting, timeout=_KILLED)


def adopt_orphans() -> None:
    """Become the parent of every process below us whose own parent ends, so that none gets away (Linux)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def log_tail(path: Path) -> str:
    """Return the last lines of a file, masked: at most 20 and 4 kB."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = stream.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return MASKER.mask("\n".join(lines[-_TAIL_LINES:]))


def explain_exit(code: int) -> str:
    """Say how a process ended, in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "no name"
    cause = ": out of memory, or somebody killed it" if -code == signal.SIGKILL else ""
    return f"was ended by signal {-code} ({name}){cause}"


def _execute(name: str, launch: Launch, log: Path) -> ServiceProcess:
    account = launch.user if os.geteuid() == 0 else None
    try:
        with log.open("ab") as output:
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
    identity = Identity.of(popen.pid) or Identity(popen.pid, 0.0)
    return ServiceProcess(name, identity, launch.stop_signal, log, popen.poll)


def _await_all(processes: Iterable[ServiceProcess], deadline: float) -> None:
    end = time.monotonic() + deadline
    pause = 0.001
    while any(each.exit_code() is None for each in processes) and time.monotonic() < end:
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)


def _children(identity: Identity) -> list[psutil.Process]:
    process = identity.process()
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.children(recursive=True) if process else []
    return []


def _kill_descendants() -> None:
    """Kill whatever is left below us; as the parent of all orphans (Linux) we see it all."""
    end = time.monotonic() + 2 * _KILLED
    while (below := psutil.Process().children(recursive=True)) and time.monotonic() < end:
        kill_all(below)


def _module(launch: Launch) -> str:
    """Return the module that `{python} -m MODULE` runs; empty where the command is another."""
    match launch.command:
        case (sys.executable, "-m", module, *_) if not launch.user:
            return module
    return ""


class _WarmParent:
    """A process that has imported the slow modules once, and forks a service in milliseconds."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._lock = threading.Lock()  # multiprocessing keeps its list of children without one
        self._usable = False

    def start(self, modules: Iterable[str]) -> None:
        with self._lock:
            if self._usable:
                return
            self._context.set_forkserver_preload([__name__, *sorted(set(modules))])
            forkserver.ensure_running()
            self._usable = True

    def fork(
        self, work: tuple[str, Sequence[str], Mapping[str, str], Path | None, Path]
    ) -> tuple[int, Callable[[], int | None]] | None:
        """Fork a child that does the work; None where the warm parent is of no use and a fresh process must do."""
        with self._lock:
            if not self._usable:
                return None
            child = self._context.Process(target=_become, args=work)
            try:
                child.start()
            except (OSError, EOFError):
                # A module failed to import with more than an ImportError; the fresh process will say so in its log.
                self._usable = False
                return None

        def poll() -> int | None:
            with self._lock:
                return child.exitcode

        return cast("int", child.pid), poll


def _become(module: str, arguments: Sequence[str], env: Mapping[str, str], cwd: Path | None, log: Path) -> None:
    """Turn a child of the warm parent into what `python -m module` would have been."""
    os.setsid()
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.environ.clear()
    os.environ.update(env)
    if cwd:
        os.chdir(cwd)
    sys.path.insert(0, str(cwd or Path.cwd()))
    sys.argv = [module, *arguments[1:]]
    warnings.filterwarnings("ignore", category=RuntimeWarning, module="runpy")  # preloaded, and now run: on purpose
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
