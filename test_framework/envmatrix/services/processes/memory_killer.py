"""What the kernel's memory killer does to the processes of our control group, or of the machine where only that is counted."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from pathlib import Path

_RECENT = 1.0
"""Seconds in which a parent ends for the want of a child that was killed."""
_KILLS = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


class MemoryKiller:
    """Notices when the kernel kills a process of ours for want of memory: it tells how many, and not which."""

    def __init__(self, proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> None:
        self._counters = tuple(_counters(proc, groups))
        self._kills = self._count()
        self._struck = -math.inf

    def was_at_work(self) -> bool:
        """Return whether it struck within the last second; ask often."""
        now, kills = time.monotonic(), self._count()
        if kills > self._kills:
            self._kills, self._struck = kills, now
        return now - self._struck < _RECENT

    def _count(self) -> int:
        return next((int(kills[1]) for file in self._counters if (kills := _KILLS.search(_text(file)))), 0)


def _counters(proc: Path, groups: Path) -> Iterator[Path]:
    """Yield the files that may count, the nearest first; a container's own group is mounted at the top."""
    for line in _text(proc / "self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        top, name = (groups / "memory", "memory.oom_control") if controllers else (groups, "memory.events")
        if controllers in {"", "memory"}:
            yield from (top / path.lstrip("/") / name, top / name)
    yield proc / "vmstat"


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
