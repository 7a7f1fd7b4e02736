"""The supervisor's own side: answer requests, watch the owner, stop all services in the end."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import msgspec

from envmatrix.environments import project_root
from envmatrix.exceptions import EnvmatrixError
from envmatrix.masking import MASKER
from envmatrix.safety.private import is_own_account
from envmatrix.services.processes.fork_server import ForkServer, import_path
from envmatrix.services.processes.log_lines import log_tail
from envmatrix.services.processes.process import Launcher, adopt_orphans
from envmatrix.services.processes.process_identity import ProcessIdentity
from envmatrix.services.processes.supervisor_directory import LISTENER, SupervisorDirectory
from envmatrix.services.processes.sweep import remove
from envmatrix.services.supervisor.deployment import Deployment
from envmatrix.services.supervisor.run_context import RunContext
from envmatrix.services.supervisor.service_state import ServiceState, StartReply

HEARTBEAT = 1.0
"""Seconds between the empty lines that say: the supervisor is still at work on the answer."""
_GRACE = 5.0
"""Seconds from a service's stop signal to SIGKILL."""
_OWNER_CHECK = 2.0
"""Seconds between checks of the owner: a child that it forked may keep the socket open after its end."""
_FAREWELL = 1.0
"""Seconds from the end of the owner's socket to the end of its process."""
_LAST_RESORT = 9.0
"""Seconds until the supervisor exits once it is stopping, whatever hangs."""
_log = logging.getLogger(__name__)


def serve(
    run: SupervisorDirectory,
    fork_server: ForkServer | None,
    directory: Path,
    deploy: Callable[[RunContext], Deployment],
) -> None:
    """Serve one run, of an environment that is declared in a directory; never returns."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    supervisor = _Supervisor(run, Launcher(run, fork_server))
    status = 0
    is_unowned = False
    try:
        is_unowned = supervisor.serve(directory, deploy)
    except Exception as error:  # noqa: BLE001  whatever it is, the services must be stopped
        _log.critical("%s: %s", type(error).__name__, MASKER.mask(str(error)))
        status = 1
    finally:
        supervisor.stop(_GRACE)
        supervisor.drop_parts()
        if is_unowned or not supervisor.owner_lives():
            remove(run)
        # Threads may still wait for an answer that will never come.
        os._exit(status)


class _Supervisor:
    """Handles requests, signals and the owner in one loop; each connection has a thread."""

    def __init__(self, run: SupervisorDirectory, launcher: Launcher) -> None:
        self._run = run
        self._listener = socket.socket(fileno=LISTENER)
        self._launcher = launcher
        self._context: RunContext | None = None
        self._deployment: Deployment | None = None
        self._refusal = ""
        self._kept: IO[bytes] | None = None
        """The record of the owner, once that is this process itself; held locked, as an owner does."""
        self._stopping = threading.Event()
        self._stop_lock = threading.Lock()
        self._stubborn: frozenset[str] = frozenset()
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._work = ThreadPoolExecutor(max_workers=64)

    def serve(self, directory: Path, deploy: Callable[[RunContext], Deployment]) -> bool:
        """Answer requests until the owner ends, or a signal or stop request comes; return whether no owner is left."""
        adopt_orphans()
        self._wake_sender.setblocking(False)
        signal.set_wakeup_fd(self._wake_sender.fileno())
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        with socket.socket(socket.AF_UNIX) as owner, selectors.DefaultSelector() as selector:
            for source in (self._wake_receiver, self._listener):
                selector.register(source, selectors.EVENT_READ)
            with suppress(OSError):  # a test in the owner's process has closed its end
                owner.connect(str(self._run.owner_socket))
                selector.register(owner, selectors.EVENT_READ)
            self._load(directory, deploy)
            while True:
                ready = {key.fileobj for key, _ in selector.select(_OWNER_CHECK)}
                if owner in ready:
                    selector.unregister(owner)
                    if self._kept is None and self._owner_ends():
                        return True
                if not self.owner_lives():
                    return True
                if self._wake_receiver in ready:
                    return self._kept is not None
                if self._listener in ready:
                    connection, _ = self._listener.accept()
                    if not is_own_account(connection):
                        connection.close()
                        continue
                    threading.Thread(target=self._serve_client, args=(connection,), daemon=True).start()

    def _load(self, directory: Path, deploy: Callable[[RunContext], Deployment]) -> None:
        try:
            root = project_root(directory)
            os.chdir(root)
            # For the fork server, which reads the variable, and for what is forked from it, which gets our path.
            os.environ["PYTHONPATH"] = import_path(root)
            sys.path.insert(0, str(root))
            self._context = RunContext(self._run, root, self._launcher, self._stopping)
            self._deployment = deploy(self._context)
        except (EnvmatrixError, OSError) as error:
            self._refusal = MASKER.mask(str(error))

    def _owner_ends(self) -> bool:
        """Return whether the owner is ending: a killed process closes its sockets a moment before it is gone.

        One that lives on has not ended: a test in it has closed descriptors that are not its own.
        """
        end = time.monotonic() + _FAREWELL
        while self.owner_lives():
            if time.monotonic() > end:
                return False
            self._stopping.wait(_FAREWELL / 100)
        return True

    def owner_lives(self) -> bool:
        """Return whether the process that the run belongs to still runs."""
        owner = ProcessIdentity.read(self._run.owner)
        return owner is not None and owner.process() is not None

    def _keep(self) -> None:
        """Become the owner of the run, whose services then outlive the process that started them."""
        ProcessIdentity.mine().write(self._run.owner)
        self._kept = self._run.owner.open("rb")
        fcntl.flock(self._kept, fcntl.LOCK_EX)

    def stop(self, grace: float) -> None:
        """Stop all services; a second caller waits for the first."""
        threading.Thread(target=self._exit_late, daemon=True).start()
        self._stopping.set()
        with self._stop_lock:
            self._stubborn |= self._launcher.stop_all(grace, self._stop_containers)

    def _stop_containers(self) -> None:
        if self._context is not None:
            self._context.stop_containers()

    def drop_parts(self) -> None:
        """Drop what killed workers left on servers that are not ours."""
        if self._deployment is not None and (services := self._run.parts()):
            self._deployment.drop_parts(services, self._run.path.name)

    def _exit_late(self) -> None:
        threading.Event().wait(_LAST_RESORT)
        _log.critical("not everything could be stopped within %g s", _LAST_RESORT)
        os._exit(1)

    def _serve_client(self, connection: socket.socket) -> None:
        """Answer the requests of one client; services run on when it goes away."""
        try:
            with connection, connection.makefile("rw", encoding="utf-8", newline="\n") as stream:
                for line in stream:
                    request = json.loads(line)
                    answer = self._work.submit(self._answer, request)
                    while not wait([answer], HEARTBEAT).done:
                        stream.write("\n")
                        stream.flush()
                    stream.write(json.dumps(answer.result()) + "\n")
                    stream.flush()
                    if request["do"] == "stop":
                        self._wake_sender.send(b"\0")
        except OSError as error:
            _log.info("a client went away: %s", error)
        except Exception:  # noqa: BLE001  one bad request is no reason to stop answering
            _log.exception("while answering")

    def _answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if self._deployment is None:
            return {"error": self._refusal}
        try:
            return self._do(self._deployment, request)
        except EnvmatrixError as error:
            return {"error": MASKER.mask(str(error))}

    def _do(self, deployment: Deployment, request: Mapping[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = {}
        match request["do"]:
            case "start":
                answer = deployment.start(request["names"]).dump()
            case "restart":
                answer = deployment.restart(request["name"]).dump()
            case "degrade":
                deployment.degrade(request["name"])
            case "keep":
                self._keep()
            case "want":
                self._work.submit(deployment.start, request["names"])
            case "stop":
                self.stop(request["grace"])
                answer = StartReply(states=self._final_states(deployment)).dump()
            case _:
                answer = self._look(deployment, request)
        return answer

    def _look(self, deployment: Deployment, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a request that changes nothing."""
        match request["do"]:
            case "ping":
                return {"pings": msgspec.to_builtins(deployment.ping(request["names"], request["number"]))}
            case "fingerprint":
                return {"fingerprint": msgspec.to_builtins(deployment.fingerprint())}
            case "log_tails":
                return {"log_tails": {name: log_tail(self._run.log(name)) for name in request["names"]}}
            case "ask":
                return asdict(deployment.ask_protected(request["name"], request["headers"]))
            case _:
                return StartReply(states=deployment.states()).dump()

    def _final_states(self, deployment: Deployment) -> dict[str, ServiceState]:
        states = deployment.states()
        for name in self._stubborn & {*states}:
            reason = f"ignored its stop signal and was killed: {states[name].reason}"
            states[name] = states[name].model_copy(update={"reason": reason})
        return states
