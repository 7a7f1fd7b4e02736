"""The supervisor's side of the fork server, whose own side is `fork_server_program.py`."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from envmatrix.services.processes.supervisor_directory import MARK, SupervisorDirectory

_IMPORTED = 30.0
"""Seconds for the modules to be imported; after that a fresh process does as well."""
_KILLED = 1.0
"""Seconds until a process that was sent SIGKILL must be gone."""


class ForkServer:
    """A fork server, started in the background at once. Safe to use from several threads."""

    def __init__(self, modules: Iterable[str], run: SupervisorDirectory) -> None:
        self._socket, theirs = socket.socketpair()
        # As a file: the packages around it take a tenth of a second to import, and no service needs them.
        command = [
            sys.executable,
            "-P",
            str(Path(__file__).with_name("fork_server_program.py")),
            *dict.fromkeys(modules),
        ]
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  our own module
                command, stdin=theirs.fileno(), env={**os.environ, MARK: str(run.path)}, start_new_session=True
            )
        self._lock = threading.Lock()
        self._forked: queue.Queue[int | None] = queue.Queue()
        self._codes: dict[int, int] = {}
        self._lost = False
        self._listener = threading.Thread(target=self._listen, name="fork server", daemon=True)
        self._listener.start()

    def fork(self, arguments: Sequence[str], env: Mapping[str, str], cwd: Path, log: Path) -> int | None:
        """Fork `python -m ARGUMENTS` and return its process id; None if the fork server is lost."""
        request = {"arguments": list(arguments), "env": dict(env), "cwd": str(cwd), "log": str(log)}
        with self._lock:
            if self._lost:
                return None
            try:
                self._socket.sendall(json.dumps(request).encode() + b"\n")
                pid = self._forked.get(timeout=_IMPORTED)
            except (OSError, queue.Empty):
                pid = None
            self._lost = pid is None
        if self._lost:
            self._process.kill()
        return pid

    def exit_code(self, pid: int) -> int | None:
        """Return the exit code of a forked process; None while it runs."""
        code = self._codes.get(pid)
        # Without their parent nobody knows how its children end, but they are killed with it.
        return -signal.SIGKILL if code is None and self._process.poll() is not None else code

    def close(self) -> None:
        """Kill the fork server, and with it every process that was forked from it."""
        self._process.kill()
        self._process.wait(_KILLED)
        self._listener.join(_KILLED)
        self._socket.close()

    def _listen(self) -> None:
        with self._socket.makefile("r", encoding="utf-8") as stream:
            try:
                for line in stream:
                    message = json.loads(line)
                    if "code" in message:
                        self._codes[message["pid"]] = message["code"]
                    else:
                        self._forked.put(message["pid"])
            except OSError:
                pass
        self._forked.put(None)


def import_path(root: Path) -> str:
    """Return PYTHONPATH with a project's root first."""
    inherited = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    return os.pathsep.join(dict.fromkeys([str(root), *inherited]))
