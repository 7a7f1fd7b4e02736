"""The private directory of one run: where it lies, whose it is, and what is written in it.

owner.json         the process that the run belongs to
owner.sock         listened on by the owner and never accepted: its end is the owner's end
supervisor.sock    requests and answers, one JSON line each
supervisor.json    the process that owns the services, and supervisor.lock while it is being started
processes.jsonl    every process that was started: what a later run kills if nobody else did
logs/ state/ tls/  per service
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MARK = "ENVMATRIX_RUN_DIR"
"""The variable that every process of a run inherits, so that also one that left its session can be found."""

_ROOM = 1 << 30
"""Bytes. Less shared memory than this (a container has 64 MiB by default) fills up under a database."""
_LONGEST = 60
"""Bytes of a temporary directory's path: a socket's whole path has at most 104."""


@dataclass(frozen=True)
class SupervisorDirectory:
    """The paths inside one run's directory."""

    path: Path

    @property
    def owner(self) -> Path:
        """Return where the owner's identity is recorded."""
        return self.path / "owner.json"

    @property
    def owner_socket(self) -> Path:
        """Return the socket whose end is the owner's end."""
        return self.path / "owner.sock"

    @property
    def supervisor(self) -> Path:
        """Return where the supervisor's identity is recorded."""
        return self.path / "supervisor.json"

    @property
    def supervisor_socket(self) -> Path:
        """Return the socket that takes requests; it exists from the moment a supervisor is being started."""
        return self.path / "supervisor.sock"

    @property
    def supervisor_lock(self) -> Path:
        """Return the file that is locked while the supervisor is being started."""
        return self.path / "supervisor.lock"

    @property
    def supervisor_log(self) -> Path:
        """Return what the supervisor itself had to say."""
        return self.path / "supervisor.log"

    @property
    def ledger(self) -> Path:
        """Return the list of every process that was started."""
        return self.path / "processes.jsonl"

    def log(self, service: str) -> Path:
        """Return the log of a service's process."""
        return self._made("logs") / f"{service.replace(':', '-')}.log"

    def state(self, service: str, attempt: int) -> Path:
        """Make and return an empty directory for a service's files."""
        suffix = f"-{attempt}" if attempt else ""
        return self._made(f"state/{service.replace(':', '-')}{suffix}", mode=0o700)

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
        """Make a fresh one below the first base that will have it.

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
    """Yield the directories that runs live below, best first: memory, where a database's files are copied fastest."""
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
        found = base.lstat()
    except OSError:
        return False
    return base.is_dir() and not base.is_symlink() and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def cache_dir(run: SupervisorDirectory) -> Path:
    """Make and return the directory that is kept between runs; beside the runs where the home cannot be written to."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111  never raises
    for path in (Path(home) / "envmatrix", run.path.parent / "cache"):
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(path, os.W_OK | os.X_OK):
            return path
    return run.state("cache", 0)
