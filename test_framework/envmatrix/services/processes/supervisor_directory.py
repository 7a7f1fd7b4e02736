"""The private directory of one run's supervisor: where it lies and which files it holds.

owner.json         the process that the run belongs to
owner.sock         listened on by the owner, never accepted: it closes when the owner ends
supervisor.sock    requests and answers, one JSON line each
supervisor.json    the process that owns the services; supervisor.lock is held while it is being started
supervisor.log     what the supervisor itself writes
kept.json          what an environment that outlives its owner was started from
processes.jsonl    every process that was started, for a later run to kill if the supervisor could not
containers.json    the containers that were started, for a later run to stop
testing/           a file for each process that runs tests, where the run is sampled: its name and its identity
parts/             a file for each worker's part of a server that is not ours, until that part is dropped
logs/ state/ tls/  per service
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

from envmatrix.exceptions import UsageError
from envmatrix.safety.private import make_directory, why_not_private

MARK = "ENVMATRIX_RUN_DIR"
"""The variable that every process of a run inherits, so that one that left its session can be found too."""

LISTENER = 3
"""The file descriptor on which the supervisor finds its listening socket."""
_ROOM = 1 << 30
"""Bytes. Less shared memory than this (a container has 64 MiB by default) fills up under a database."""
_LONGEST = 60
"""Bytes of a temporary directory's path: a socket's whole path has at most 104."""
_NAME_BYTES = 8
_PASSAGE = 0o711 if os.geteuid() == 0 else 0o700
"""Root's servers that refuse to run as root pass through as another account; they can list nothing."""


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
        self.containers = path / "containers.json"
        self.kept = path / "kept.json"

    @classmethod
    def make(cls, path: Path) -> SupervisorDirectory:
        """Make the directory with those in it; nothing makes it again once it was removed."""
        make_directory(path, _PASSAGE)
        make_directory(path / "logs")
        make_directory(path / "tls")
        make_directory(path / "state", _PASSAGE)
        make_directory(path / "parts")
        return cls(path)

    def log(self, service: str) -> Path:
        """Return the log of a service's process."""
        return self.path / "logs" / f"{service.replace(':', '-')}.log"

    def state(self, service: str, attempt: int) -> Path:
        """Make and return an empty directory for a service's files."""
        suffix = f"-{attempt}" if attempt else ""
        path = self.path / "state" / f"{service.replace(':', '-')}{suffix}"
        make_directory(path)
        return path

    def part(self, service: str, worker: str) -> Path:
        """Return the file that stands for a worker's part of a service."""
        directory = self.path / "parts" / service
        with contextlib.suppress(FileExistsError):
            make_directory(directory)
        return directory / worker

    def parts(self) -> list[str]:
        """Return the services of which a worker still has a part."""
        return sorted({path.parent.name for path in (self.path / "parts").glob("*/*")})

    def tester(self, name: str) -> Path:
        """Return the file that holds the identity of a process that runs tests."""
        directory = self.path / "testing"
        with contextlib.suppress(FileExistsError):
            make_directory(directory)
        return directory / f"{name}.json"

    def testing(self) -> dict[str, Path]:
        """Return these files, by name."""
        return {path.stem: path for path in (self.path / "testing").glob("*.json")}

    @classmethod
    def create(cls) -> SupervisorDirectory:
        """Create a fresh directory below the first base that is ours alone.

        Raises:
            UsageError: no base is: another user made it, say.
        """
        problems = []
        for base in bases():
            try:
                with contextlib.suppress(FileExistsError):
                    make_directory(base, _PASSAGE)
                problem = why_not_private(base)
                if not problem:
                    return cls.make(base / secrets.token_hex(_NAME_BYTES))
            except OSError as error:
                problem = f"{base} cannot be written to: {error.strerror}"
            problems.append(problem)
        how = "Have it removed, or let TMPDIR name a short directory of your own"
        raise UsageError(f"services can be started nowhere: {'; '.join(dict.fromkeys(problems))}", how)


def bases() -> Iterator[Path]:
    """Yield the directories above those of runs, best first: in memory a database's files are copied fastest.

    Memory that has no room is the last: runs that began when it had some are still there.
    """
    memory = Path("/dev/shm")  # noqa: S108  the directory inside is checked to be ours
    places = [Path(tempfile.gettempdir()).resolve(), Path("/tmp").resolve()]  # noqa: S108  also
    if os.access(memory, os.W_OK | os.X_OK):
        room = os.statvfs(memory)
        places.insert(0 if room.f_bavail * room.f_frsize >= _ROOM else len(places), memory)
    for directory in dict.fromkeys(places):
        if len(os.fsencode(directory)) <= _LONGEST:
            yield directory / f"envmatrix-{os.geteuid()}"


def is_run_name(name: str) -> bool:
    """Return whether `create` names directories so."""
    return bool(re.fullmatch(f"[0-9a-f]{{{2 * _NAME_BYTES}}}", name))


def cache_dir(run: SupervisorDirectory) -> Path:
    """Make and return the directory that is kept between runs; beside the runs where the one at home is not ours."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111  never raises
    for path in ((Path(home) / "envmatrix").resolve(), run.path.parent / "cache"):
        try:
            path.parent.mkdir(0o700, parents=True, exist_ok=True)
            path.mkdir(0o700, exist_ok=True)
        except OSError:
            continue
        if os.access(path, os.W_OK | os.X_OK) and not why_not_private(path):
            return path
    return run.state("cache", 0)
