"""The processes that this one has started: which of them a test left, and what holds each."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Any

from envmatrix.safety.unpatched import REAL

_LIBRARIES = frozenset({"subprocess", "multiprocessing", "asyncio", "envmatrix"})
"""Whose objects stand for a process, and have its id."""

_IDS = ("pid", "_pid", "_forkserver_pid")

_BLOCK = 1 << 12
"""Bytes of a file below /proc that are read."""


def child_processes() -> Iterator[int]:
    """Yield the id of each child of this process; none where the system has no list of them."""
    with suppress(OSError):
        for thread in REAL.listdir("/proc/self/task"):
            yield from map(int, _read(f"/proc/self/task/{thread}/children").split())


def runs(process: int) -> bool:
    """Return whether a process still runs; one that has ended and waits for its parent does not."""
    state = _read(f"/proc/{process}/stat").rpartition(") ")[2]
    return bool(state) and not state.startswith(("Z", "X"))


def command_of(process: int) -> str:
    """Return a process's command line."""
    return _read(f"/proc/{process}/cmdline").replace("\0", " ").strip()


def holders_of(processes: Collection[int]) -> dict[int, list[Any]]:
    """Return what stands for each process among all objects."""
    holders: dict[int, list[Any]] = {process: [] for process in processes}
    if not processes:
        return holders
    for each in gc.get_objects():
        if any(base.__module__.partition(".")[0] in _LIBRARIES for base in type(each).__mro__):
            for name in _IDS:
                with suppress(Exception):  # a property of somebody's own
                    if (process := vars(each).get(name)) in holders:
                        holders[process].append(each)
    return holders


def registers() -> list[object]:
    """Return the lists of all children that libraries keep for themselves: being there is no reason to live."""
    kept = (("subprocess", "_active"), ("multiprocessing.process", "_children"))
    return [vars(sys.modules[module])[name] for module, name in kept if name in vars(sys.modules.get(module, os))]


def _read(path: str) -> str:
    with suppress(OSError):
        descriptor = REAL.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return REAL.read(descriptor, _BLOCK).decode(errors="replace")
        finally:
            REAL.close(descriptor)
    return ""
