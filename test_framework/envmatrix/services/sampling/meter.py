"""What processes use, by psutil; on Linux a look at a dozen costs two milliseconds."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from envmatrix.runs.samples import Metric
from envmatrix.safety.unpatched import REAL


def tree(pid: int) -> Iterator[psutil.Process]:
    """Yield a process and all below it, as far as they live."""
    waiting = [pid]
    while waiting:
        with suppress(psutil.Error, OSError):
            process = psutil.Process(waiting.pop())
            yield process
            waiting += _children(process)


def _children(process: psutil.Process) -> list[int]:
    if sys.platform != "linux":
        return [child.pid for child in process.children()]
    # psutil reads the whole process table for this, which takes longer than all the rest.
    threads = Path(f"/proc/{process.pid}/task").iterdir()
    return [int(child) for thread in threads for child in (thread / "children").read_text().split()]


class Meter:
    """Measures processes; processor time is what they took since the look before."""

    def __init__(self) -> None:
        self._cpu: dict[psutil.Process, float] = {}
        self._looked = 0.0

    def look(self, groups: dict[str, Iterable[psutil.Process]]) -> dict[str, dict[str, float]]:
        """Return what each group of processes uses together; nothing of a group that we may not look at."""
        before, self._cpu = self._cpu, {}
        now = REAL.clock()
        elapsed, self._looked = now - self._looked, now
        used = {}
        for name, processes in groups.items():
            measured = [each for process in processes for each in self._measured(process, before, elapsed)]
            if measured:
                used[name] = {metric: sum(each[metric] for each, _ in measured) for metric in measured[0][0]}
                used[name][Metric.RSS] += max(shared for _, shared in measured)
        return used

    def _measured(
        self, process: psutil.Process, before: dict[psutil.Process, float], elapsed: float
    ) -> Iterator[tuple[dict[str, float], float]]:
        """Yield what one process uses, if it still lives, and how many of its resident bytes others may share.

        Of a group the largest of these counts once: a server's processes share the same.
        """
        with suppress(psutil.Error, OSError), process.oneshot():
            times, memory = process.cpu_times(), process.memory_info()
            shared = getattr(memory, "shared", 0)
            self._cpu[process] = times.user + times.system
            used: dict[str, float] = {
                Metric.RSS: float(memory.rss - shared),
                Metric.DESCRIPTORS: float(process.num_fds()),
                Metric.SOCKETS: float(_sockets(process)),
                Metric.THREADS: float(process.num_threads()),
            }
            if before:
                used[Metric.CPU] = (self._cpu[process] - before.get(process, 0.0)) / elapsed
            yield used, shared


def _sockets(process: psutil.Process) -> int:
    if sys.platform != "linux":
        return len(process.net_connections())
    # psutil would also look up the other end of each, fifty times as long.
    return sum(map(_leads_to_socket, Path(f"/proc/{process.pid}/fd").iterdir()))


def _leads_to_socket(link: Path) -> bool:
    try:
        return str(link.readlink()).startswith("socket:")
    except OSError:  # closed this moment
        return False
