"""The runner's side of the supervisor: own the run, ask for services, read their states."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from envmatrix.environments import Environment, ServiceSpec, project_root
from envmatrix.exceptions import SupervisorError
from envmatrix.masking import MASKER
from envmatrix.runs.events import Fingerprint
from envmatrix.runs.ping import Ping
from envmatrix.safety.private import bind_private, open_private
from envmatrix.safety.unpatched import REAL, HeldCopy
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.probes.access import Access, ask_protected
from envmatrix.services.processes.log_lines import log_tail
from envmatrix.services.processes.process_identity import ProcessIdentity
from envmatrix.services.processes.supervisor_directory import LISTENER, MARK, SupervisorDirectory
from envmatrix.services.supervisor.pings import ping_all
from envmatrix.services.supervisor.service_state import ServiceState, StartReply

SILENCE = 15.0
"""Seconds without a sign of life from the supervisor, which sends one a second, until it counts as lost."""
_BLOCK = 1 << 16
"""Bytes that are received at once."""
_GRACE = 5.0
"""Seconds that services get to stop, at most half of the whole deadline."""


class Owner:
    """Owns a run for the runner's first process: when that process ends, all services end.

    Starts nothing. The remains of earlier runs are swept first.
    """

    def __init__(self, run_dir: Path | None = None) -> None:
        if run_dir is None:
            from envmatrix.services.processes.sweep import sweep  # psutil is not for those that only connect

            sweep()
            self._run = SupervisorDirectory.create()
        else:
            self._run = SupervisorDirectory.make(run_dir)
        ProcessIdentity.mine().write(self._run.owner)
        with self._run.owner.open("rb") as record, socket.socket(socket.AF_UNIX) as listener:
            fcntl.flock(record, fcntl.LOCK_EX)  # held to our end; nobody else waits for it
            bind_private(listener, self._run.owner_socket)
            listener.listen(1)  # the supervisor connects and waits; nobody ever accepts
            self._open = [HeldCopy(record.fileno()), HeldCopy(listener.fileno())]

    @property
    def run_dir(self) -> Path:
        """Return the private directory of the run."""
        return self._run.path

    def close(self, deadline: float = 10.0) -> dict[str, ServiceState]:
        """Stop all services within `deadline` seconds, remove the directory and return the last states.

        Does nothing the second time.
        """
        if not self._open:
            return {}
        try:
            return end_run(self._run, deadline)
        finally:
            self._release()

    def hand_over(self) -> None:
        """Leave the run to its supervisor: it goes on when this process has ended, until somebody ends it.

        Raises:
            SupervisorError: it does not answer.
        """
        _ask(self._run, {"do": "keep"})
        self._release()

    def _release(self) -> None:
        for each in self._open:
            each.close()
        self._open = []


def end_run(run: SupervisorDirectory, deadline: float = 10.0) -> dict[str, ServiceState]:
    """Have the supervisor stop all services within `deadline` seconds, remove the directory, return the last states."""
    if not run.path.exists():  # somebody else has ended it
        return {}
    from envmatrix.services.processes.process import kill_all
    from envmatrix.services.processes.sweep import remove

    end = REAL.clock() + deadline
    states: dict[str, ServiceState] = {}
    with _locked(run):  # so that no supervisor is half started
        started = run.supervisor_socket.exists()
    if started:
        with contextlib.suppress(SupervisorError):
            states = StartReply.load(_ask(run, {"do": "stop", "grace": min(_GRACE, deadline / 2)}, deadline)).states
    supervisor = ProcessIdentity.read(run.supervisor)
    while supervisor and (process := supervisor.process()):
        if REAL.clock() > end:
            kill_all([process])
            break
        REAL.sleep(0.002)
    with contextlib.suppress(ChildProcessError):
        if supervisor:
            os.waitpid(supervisor.pid, os.WNOHANG)  # it may be our own child, and then a zombie
    remove(run)
    return states


class SupervisorClient:
    """Asks the run's supervisor for services, and starts the supervisor when it is first needed."""

    def __init__(
        self,
        run_dir: Path,
        environment: str,
        directory: Path,
        env_file: Path | None = None,
        declared: Environment | None = None,
    ) -> None:
        """Prepare; by `declared`, the environment where the caller has read it, the fork server can start at once."""
        self._run = SupervisorDirectory(run_dir)
        self._declared = declared
        self._directory = directory
        self._arguments = [environment, str(directory.resolve())]
        if env_file is not None:
            self._arguments += ["--env-file", str(env_file.absolute())]
        if declared is not None:
            self._arguments += [f"--set={text}" for text in declared.overrides]

    def start(self, names: Iterable[str], on_heartbeat: Callable[[], object] = lambda: None) -> StartReply:
        """Wait until each named service, and each that it references, is up or has failed. Starts each only once.

        `on_heartbeat` is called at each sign of life while the supervisor is at work.

        Raises:
            SupervisorError: the supervisor could not be started, refused, or ended.
        """
        wanted = sorted(set(names))
        if not wanted:
            return StartReply()
        self._ensure_supervisor(wanted)
        return StartReply.load(_ask(self._run, {"do": "start", "names": wanted}, on_heartbeat=on_heartbeat))

    def restart(self, name: str) -> ServiceState:
        """Start a service of ours again at its address, from the code as it is now; wait until it is up or has failed.

        Raises:
            SupervisorError: the supervisor has ended, or refused: there is no such service, or it is not ours.
        """
        return StartReply.load(_ask(self._run, {"do": "restart", "name": name})).states[name]

    def degrade(self, name: str, names: Iterable[str]) -> None:
        """Start services, and have those that a variant degrades fail as it says; what failed before has recovered.

        Raises:
            SupervisorError: the supervisor could not be started, or refused: what failed before has not recovered.
        """
        self._ensure_supervisor(names)
        _ask(self._run, {"do": "degrade", "name": name})

    def ping(self, services: Mapping[str, tuple[ServiceSpec, Endpoint]], number: int) -> dict[str, Ping]:
        """Have the supervisor ping services, `number` times each: no patch of a test is in force there.

        Where the supervisor has ended, they are pinged here.
        """
        if not services:
            return {}
        try:
            answer = _ask(self._run, {"do": "ping", "names": list(services), "number": number})
        except SupervisorError:
            return ping_all(services, number)
        return msgspec.convert(answer["pings"], dict[str, Ping])

    def fingerprint(self) -> Fingerprint | None:
        """Have the supervisor take the fingerprint of the services that are up; `None` where nothing was started.

        Raises:
            SupervisorError: the supervisor has ended.
        """
        if not self._run.supervisor_socket.exists():
            return None
        return msgspec.convert(_ask(self._run, {"do": "fingerprint"})["fingerprint"], Fingerprint)

    def ask_protected(self, spec: ServiceSpec, endpoint: Endpoint, headers: Mapping[str, str]) -> Access:
        """Have the supervisor request a service's protected path; where it has ended, do so here."""
        try:
            return Access(**_ask(self._run, {"do": "ask", "name": spec.name, "headers": dict(headers)}))
        except SupervisorError:
            return ask_protected(spec, endpoint, headers)

    def want(self, names: Iterable[str]) -> None:
        """Begin to start services, and return at once.

        Raises:
            SupervisorError: the supervisor could not be started.
        """
        wanted = sorted(set(names))
        if wanted:
            self._ensure_supervisor(wanted)
            _send(self._run, {"do": "want", "names": wanted}, SILENCE).close()

    def states(self) -> dict[str, ServiceState]:
        """Return the states of all services that were started so far. Starts nothing.

        Raises:
            SupervisorError: the supervisor has ended.
        """
        if not self._run.supervisor_socket.exists():
            return {}
        return StartReply.load(_ask(self._run, {"do": "states"})).states

    def log_tails(self, names: Iterable[str]) -> dict[str, str]:
        """Return the end of each service's log, masked; empty where there is none."""
        wanted = list(names)
        if not wanted:
            return {}
        try:
            answer = _ask(self._run, {"do": "log_tails", "names": wanted})
        except SupervisorError:
            return {name: log_tail(self._run.log(name)) for name in wanted}
        return {name: MASKER.mask(tail) for name, tail in answer["log_tails"].items()}

    def _ensure_supervisor(self, names: Iterable[str]) -> None:
        """Start the supervisor unless a worker did; a run that lost its supervisor gets no other."""
        if self._run.supervisor_socket.exists():
            return
        with _locked(self._run):
            if not self._run.supervisor_socket.exists():
                self._spawn(self._preload_options(names))

    def _preload_options(self, names: Iterable[str]) -> list[str]:
        """Return the options that let the supervisor start the fork server before all else."""
        services = self._declared.services if self._declared else {}
        known = self._declared.start_order(frozenset(names) & services.keys()) if self._declared else ()
        options = [f"--preload={module}" for name in known for module in services[name].preload]
        return [f"--root={project_root(self._directory)}", *options] if options else []

    def _spawn(self, options: Iterable[str]) -> None:
        """Start the supervisor in its own session, its socket listening already."""
        fresh = self._run.path / "socket.new"
        fresh.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            bind_private(listener, fresh)
            listener.listen(128)
            program = str(Path(__file__).with_name("__main__.py"))
            command = [sys.executable, "-P", program, str(self._run.path), *self._arguments, *options]
            # Some machines forbid bytecode, and then every start compiles again what it imports.
            variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
            log_flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            pid = os.posix_spawn(
                sys.executable,
                command,
                {**variables, MARK: str(self._run.path)},
                setsid=True,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, listener.fileno(), LISTENER),
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, str(self._run.supervisor_log), log_flags, 0o600),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                ],
            )
        self._spawned = ProcessIdentity.just_started(pid)
        """Kept, so that a test during which it was started is not blamed for it."""
        self._spawned.write(self._run.supervisor)
        fresh.rename(self._run.supervisor_socket)


@contextlib.contextmanager
def _locked(run: SupervisorDirectory) -> Iterator[None]:
    """Hold the file lock under which the supervisor is started."""
    try:
        lock = open_private(run.supervisor_lock, "ab")
    except OSError:
        raise SupervisorError("has no run directory any more: the run is over") from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _ask(
    run: SupervisorDirectory,
    request: Mapping[str, Any],
    silence: float = SILENCE,
    on_heartbeat: Callable[[], object] = lambda: None,
) -> dict[str, Any]:
    """Send a request and return the answer; at most `silence` seconds pass without a heartbeat."""
    with closing(_send(run, request, silence)) as connection:
        received = b""
        try:
            while not (received.endswith(b"\n") and received.strip()) and (more := connection.recv(_BLOCK)):
                received += more
                if not received.strip():
                    on_heartbeat()
        except TimeoutError:
            raise _lost(run, f"gave no sign of life for {silence:g} s") from None
        except OSError as error:
            raise _lost(run, f"ended before it answered ({error.strerror})") from None
    if not received.endswith(b"\n") or not received.strip():
        raise _lost(run, "ended before it answered")
    answer: dict[str, Any] = json.loads(received)
    if "error" in answer:
        raise SupervisorError(f"refused: {answer['error']}")
    return answer


def _send(run: SupervisorDirectory, request: Mapping[str, Any], deadline: float) -> socket.SocketType:
    connection = REAL.socket(socket.AF_UNIX)
    connection.settimeout(deadline)
    try:
        connection.connect(str(run.supervisor_socket))
        connection.sendall(json.dumps(request).encode() + b"\n")
    except OSError as error:
        connection.close()
        raise _lost(run, f"does not answer ({error.strerror or 'timeout'})") from None
    return connection


def _lost(run: SupervisorDirectory, what: str) -> SupervisorError:
    return SupervisorError(what, log_tail(run.supervisor_log))
