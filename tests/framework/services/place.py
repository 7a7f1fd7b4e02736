"""A project of a test's own, and a look at what is left of its runs."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from envmatrix.services.processes.process_identity import ProcessIdentity
from envmatrix.services.supervisor import SupervisorClient

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Place:
    """A project directory, and where its runs live."""

    root: Path
    runs: Path

    @property
    def environments(self) -> Path:
        """Where the declarations are."""
        return self.root / "environments"

    def declare(self, text: str, name: str = "local") -> Path:
        """Write a declaration; `SERVER` in it becomes the path of the banner server."""
        path = self.environments / f"{name}.toml"
        path.write_text(text.replace("SERVER", str(HERE / "banner_server.py")), encoding="utf-8")
        return path

    def client(self, run_dir: Path, name: str = "local") -> SupervisorClient:
        """Return what a worker has."""
        return SupervisorClient(run_dir, name, self.environments)


def marked(runs: str) -> list[psutil.Process]:
    """Every process that was started below a directory of runs, whoever its parent is by now."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("ENVMATRIX_RUN_DIR", "").startswith(runs) and process.is_running():
                found.append(process)
        except psutil.Error:
            pass
    return found


def eventually(condition: Callable[[], object], deadline: float = 10.0) -> bool:
    """Whether a condition comes true within a deadline in seconds."""
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def with_faults(*faults: str, name: str = "shop", extra: str = "") -> str:
    """One service that has these faults."""
    words = "".join(f', "{fault}"' for fault in faults)
    return f"""
[services.{name}]
kind = "banner"
source = "process"
command = ["{{python}}", "-S", "-E", "SERVER", "{{{name}.port}}"{words}]
{extra}
"""


def listens(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def runs(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent to notice does not."""
    identity = ProcessIdentity.of(pid)
    return identity is not None and identity.process() is not None
