"""The fork server: imports slow modules once, then forks each service in milliseconds. Imports nothing of ours.

It listens on its standard input, a socket, and ends with it. One JSON line in for each service to fork; out comes
`{"pid": N}` at once and `{"pid": N, "code": C}` when that one has ended.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import runpy
import selectors
import shlex
import signal
import socket
import sys
import traceback
import warnings
from typing import Any

try:
    import setproctitle
except ImportError:  # it comes with the extra "embedded"; without it `ps` shows the parent's command
    setproctitle = None  # type: ignore[assignment]  # a module or nothing
else:
    setproctitle.getproctitle()  # finds where the title lies, which it cannot once the environment is cleared

_PR_SET_PDEATHSIG = 1
Request = dict[str, Any]


def main() -> None:
    """Import the modules named as arguments and fork on request; a forked child becomes its service."""
    gc.disable()  # while modules are imported next to nothing becomes garbage, and looking for it takes a sixth of the time
    request = _fork_on_demand(sys.argv[1:])
    if request is not None:
        gc.enable()
        _become(request)


def _fork_on_demand(modules: list[str]) -> Request | None:
    """Serve until the socket closes and return None; in a forked child, return its request.

    A service is forked once its own module is imported; the others' are imported while no request waits.
    """
    wake_receiver, wake_sender = socket.socketpair()
    wake_sender.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_sender.fileno())
    with (
        socket.socket(fileno=os.dup(0)) as supervisor,
        supervisor.makefile("rw", encoding="utf-8", newline="\n") as stream,
        selectors.DefaultSelector() as selector,
        wake_receiver,
        wake_sender,
    ):
        selector.register(supervisor, selectors.EVENT_READ)
        selector.register(wake_receiver, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in selector.select(0 if modules else None)]
            if supervisor in ready:  # it sends one line and waits for the answer, so no second one is in the buffer
                line = stream.readline()
                if not line:
                    return None
                request: Request = json.loads(line)
                own = request["arguments"][0]
                for module in [own] if own in modules else [*modules]:
                    _import(module, modules)
                gc.freeze()  # a collection in a child would copy every page
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    return request
                print(json.dumps({"pid": pid}), file=stream, flush=True)
            if wake_receiver in ready:
                wake_receiver.recv(4096)
                for pid, code in _ended():
                    print(json.dumps({"pid": pid, "code": code}), file=stream, flush=True)
            if not ready and modules:
                _import(modules[0], modules)


def _import(module: str, modules: list[str]) -> None:
    """Import a module, and take it off the list."""
    modules.remove(module)
    try:
        importlib.import_module(module)
    except Exception:  # noqa: BLE001  the service that needs it will fail by itself, with this in its own log
        traceback.print_exc()


def _ended() -> list[tuple[int, int]]:
    """Return the children that have ended since the last call, with their exit codes."""
    children = []
    try:
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            children.append((ended[0], os.waitstatus_to_exitcode(ended[1])))
    except ChildProcessError:
        pass
    return children


def _become(request: Request) -> None:
    """Run the module as `python -m MODULE ARGUMENTS…` would."""
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    for path, flags, target in ((os.devnull, os.O_RDONLY, 0), (request["log"], os.O_WRONLY | os.O_APPEND, 1)):
        opened = os.open(path, flags)
        os.dup2(opened, target)
        os.close(opened)
    os.dup2(1, 2)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    # What `-m` would do with the directory and PYTHONPATH; the rest of the path is the fork server's own.
    first = [request["cwd"], *filter(None, request["env"].get("PYTHONPATH", "").split(os.pathsep))]
    sys.path[:] = list(dict.fromkeys([*first, *sys.path]))
    module, *arguments = request["arguments"]
    if setproctitle is not None:
        setproctitle.setproctitle(shlex.join([sys.executable, "-m", module, *arguments]))
    sys.argv = [module, *arguments]
    warnings.filterwarnings("ignore", category=RuntimeWarning, module="runpy")  # imported before it is run: on purpose
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
