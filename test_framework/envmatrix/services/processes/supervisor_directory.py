"""The private directory of one run's supervisor: where it lies and which files it holds.

owner.json         the process that the run belongs to
owner.sock         listened on by the owner, never accepted: it closes when the owner ends
supervisor.sock    requests and answers, one JSON line each
supervisor.json    the process that owns the services; supervisor.lock is held while it is being started
supervisor.log     what the supervisor itself writes
processes.jsonl    every process that was started, for a later run to kill if the supervisor could not
parts/             a file for each worker's part of a server that is not ours, until that part is dropped
logs/ state/ tls/  per service
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

MARK = "ENVMATRIX_RUN_DIR"
"""The variable that every process of a run inherits, so that one that left its session can be found too."""

LISTENER = 3
"""The file descriptor on which the supervisor finds its listening socket."""
_ROOM = 1 << 30
"""Bytes. Less shared memory than this (a container has 64 MiB by default) fills up under a database."""
_LONGEST = 60
"""Bytes of a temporary directory's path: a socket's whole path has at most 104."""


class SupervisorDirectory:
    """The paths inside one run's directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.owner = path / "owner.json"
        self.owner_socket = path / "owner.sock"
        self.supervisor = path / "supervisor.json"
        self.supervisor_socket = path / "supervisor.sock"
        """Exists from the moment a supervisor is being started."""
        self.supervisor_lock = path / "supervisor.lock"
        self.supervisor_log = path / "supervisor.log"
        self.ledger = path / "processes.jsonl"

    def log(self, service: str) -> Path:
        """Return the log of a service's process."""
        return self._made("logs") / f"{service.replace(':', '-')}.log"

    def state(self, service: str, attempt: int) -> Path:
        """Make and return an empty directory for a service's files."""
        suffix = f"-{attempt}" if attempt else ""
        return self._made(f"state/{service.replace(':', '-')}{suffix}", mode=0o700)

    def part(self, service: str, worker: str) -> Path:
        """Return the file that stands for a worker's part of a service."""
        return self._made(f"parts/{service}", mode=0o700) / worker

    def parts(self) -> list[str]:
        """Return the services of which a worker still has a part."""
        return sorted({path.parent.name for path in (self.path / "parts").glob("*/*")})

    def tls(self) -> Path:
        """Make and return the directory of certificates and keys."""
        return self._made("tls", mode=0o700)

    def _made(self, name: str, mode: int = 0o711) -> Path:
        path = self.path / name
        path.parent.mkdir(mode=0o711, exist_ok=True)
        path.mkdir(mode=mode, exist_ok=True)
        return path

    @classmethod
    def create(cls) -> SupervisorDirectory:
        """Create a fresh directory below the first base that can be written to.

        Others may pass through it (a server that refuses root runs as another account), and cannot guess its name.
        """
        for base in bases():
            if _is_ours(base):
                path = base / secrets.token_hex(8)
                path.mkdir(mode=0o711)
                return cls(path)
        path = Path(tempfile.mkdtemp(prefix="envmatrix-"))
        path.chmod(0o711)
        return cls(path)


def bases() -> Iterator[Path]:
    """Yield the directories above those of runs, best first: in memory a database's files are copied fastest."""
    name = f"envmatrix-{os.geteuid()}"
    memory = Path("/dev/shm")  # noqa: S108  the directory inside is checked to be ours
    if os.access(memory, os.W_OK | os.X_OK):
        room = os.statvfs(memory)
        if room.f_bavail * room.f_frsize >= _ROOM:
            yield memory / name
    for directory in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108  also checked
        if len(os.fsencode(directory)) <= _LONGEST:
            yield directory / name


def _is_ours(base: Path) -> bool:
    """Return whether the base exists or could be made, is a directory, and belongs to us alone to write to."""
    try:
        base.mkdir(mode=0o711, exist_ok=True)
        state = base.lstat()
    except OSError:
        return False
    return base.is_dir() and not base.is_symlink() and state.st_uid == os.geteuid() and not state.st_mode & 0o022


def cache_dir(run: SupervisorDirectory) -> Path:
    """Make and return the directory that is kept between runs; beside the runs if the home is read-only."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111  never raises
    for path in (Path(home) / "envmatrix", run.path.parent / "cache"):
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(path, os.W_OK | os.X_OK):
            return path
    return run.state("cache", 0)
