"""The identity of a process: its id with its start time."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from envmatrix.safety.output_files import replacing
from envmatrix.safety.private import write_private

if TYPE_CHECKING:
    import psutil  # a run that only connects to services does without it

_START_FIELD = 19
"""proc_pid_stat(5): the start time is field 22, and the text after the command's name begins with field 3."""


@dataclass(frozen=True)
class ProcessIdentity:
    """The id and start time of a process: the id alone may have been given to another since."""

    pid: int
    started: int
    """Clock ticks from the machine's boot to the process's start, which no change of the wall clock moves."""

    @classmethod
    def mine(cls) -> ProcessIdentity:
        """Return the identity of this process."""
        return cls.just_started(os.getpid())

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """Return the identity of a running process; None where it has ended."""
        started = _start_of(pid)
        return None if started is None else cls(pid, started)

    @classmethod
    def just_started(cls, pid: int) -> ProcessIdentity:
        """Return the identity of a process that may have ended already: then one that no process has."""
        return cls.of(pid) or cls(pid, -1)

    @property
    def is_running(self) -> bool:
        """Return whether the process still runs and is the same one."""
        if sys.platform != "linux":
            return self.process() is not None
        fields = _stat_of(self.pid)
        return bool(fields) and int(fields[_START_FIELD]) == self.started and fields[0] != b"Z"

    def process(self) -> psutil.Process | None:
        """Return the process if it still runs and is the same one."""
        import psutil

        try:
            process = psutil.Process(self.pid)
            same = _start_of(self.pid) == self.started
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None

    def write(self, path: Path) -> None:
        """Write it to a file, whole or not at all."""
        with replacing(path) as fresh:
            write_private(fresh, json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> ProcessIdentity | None:
        """Read an identity from a file; None where there is none."""
        try:
            return cls.parse(path.read_text(encoding="utf-8"))
        except OSError:
            return None

    @classmethod
    def parse(cls, text: str) -> ProcessIdentity | None:
        """Return the identity in a JSON object; None where the text is none, or cut off."""
        try:
            data = json.loads(text)
            return cls(int(data["pid"]), int(data["started"]))
        except (ValueError, KeyError, TypeError):
            return None


def _start_of(pid: int) -> int | None:
    """Return when a process started, in ticks; None where it has ended."""
    if sys.platform != "linux":  # elsewhere the kernel keeps the time of the start as it was then
        import psutil

        try:
            return int(psutil.Process(pid).create_time() * 1000)
        except psutil.NoSuchProcess:
            return None
    fields = _stat_of(pid)
    return int(fields[_START_FIELD]) if fields else None


def _stat_of(pid: int) -> list[bytes]:
    """Return what Linux says of a process, from its state on; nothing where it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return []
    return fields if len(fields) > _START_FIELD else []
