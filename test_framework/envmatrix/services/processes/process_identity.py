"""The identity of a process: its id with its start time."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from envmatrix.private import write_private

_SAME_START = 2.0
"""Seconds. psutil derives a start time from the boot time, which moves by a second when the clock is corrected."""


@dataclass(frozen=True)
class ProcessIdentity:
    """The id and start time of a process: the id alone may have been given to another since."""

    pid: int
    created: float
    """Seconds since the epoch."""

    @classmethod
    def mine(cls) -> ProcessIdentity:
        """Return the identity of this process."""
        return cls(os.getpid(), psutil.Process().create_time())

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """Return the identity of a running process; None where it has ended."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return None

    def process(self) -> psutil.Process | None:
        """Return the process if it still runs and is the same one."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < _SAME_START
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None

    def write(self, path: Path) -> None:
        """Write it to a file, whole or not at all."""
        fresh = path.with_suffix(".new")
        write_private(fresh, json.dumps(asdict(self)))
        fresh.replace(path)

    @classmethod
    def read(cls, path: Path) -> ProcessIdentity | None:
        """Read an identity from a file; None where there is none."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return cls(int(data["pid"]), float(data["created"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
