"""Injures the services of a case, from within its tests; copied into each case's project.

The process to hurt is found by the port it listens on, so that it is the server itself, whoever started it.
"""

import os
import signal
import time
from pathlib import Path
from urllib.parse import urlsplit

import psutil

_GONE = 5.0
"""Seconds until a killed process must be gone."""

PAUSED: list[int] = []
"""Ids of processes that were stopped, to be woken when the suite is over."""


def faults(service: str, *words: str) -> None:
    """Have a service show these faults from its next request on, and no others."""
    fresh = Path(f"{service}.new")
    fresh.write_text(" ".join(words))
    fresh.replace(f"{service}.faults")


def crash_once() -> None:
    """Have the backend crash at its next request for orders, unless it has done so already."""
    mark = Path("crashed-once")
    if not mark.exists():
        mark.touch()
        faults("backend", "orders-crash-once")


def kill(service: str) -> None:
    """Kill one of our own HTTP services; return once it is gone."""
    _kill(int(Path(f"{service}.pid").read_text()))


def kill_listener(url_or_port: str | int) -> None:
    """Kill the server that listens at a URL or port, with the processes below it; return once it is gone."""
    _kill(_listener(url_or_port))


def pause_listener(url_or_port: str | int) -> None:
    """Stop the server that listens there: it accepts, through the kernel, and never answers."""
    pid = _listener(url_or_port)
    os.kill(pid, signal.SIGSTOP)
    PAUSED.append(pid)


def wake() -> None:
    """Resume the paused processes, so that they can end in order."""
    for pid in PAUSED:
        os.kill(pid, signal.SIGCONT)
    PAUSED.clear()


def _listener(url_or_port: str | int) -> int:
    port = url_or_port if isinstance(url_or_port, int) else urlsplit(url_or_port).port
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and getattr(connection.laddr, "port", 0) == port and connection.pid:
            return connection.pid
    raise LookupError(f"nobody listens on port {port}")


def _kill(pid: int) -> None:
    try:
        process = psutil.Process(pid)
        every = [process, *process.children(recursive=True)]
        for each in every:
            each.kill()
    except psutil.NoSuchProcess:  # another worker was faster
        return
    end = time.monotonic() + _GONE
    while time.monotonic() < end and any(_runs(each) for each in every):
        time.sleep(0.005)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
