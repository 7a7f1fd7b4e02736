"""Ports on this machine: find free ones, check whether one answers, and which process listens."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import psutil

HOST = "127.0.0.1"


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as candidate:
        candidate.bind((HOST, 0))
        return int(candidate.getsockname()[1])


def answers(host: str, port: int, deadline: float = 0.2) -> bool:
    """Return whether a server accepts connections there. Cheap enough to ask every millisecond."""
    try:
        with socket.create_connection((host, port), timeout=deadline) as connection:
            # On loopback a client can be given the very port it calls, and then talks to itself.
            return bool(connection.getsockname() != connection.getpeername())
    except OSError:
        return False


def is_free(port: int) -> bool:
    """Return whether a server could listen on a port now."""
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of the past are in no one's way
        try:
            candidate.bind((HOST, port))
        except OSError:
            return False
    return True


def is_listener(pid: int, port: int) -> bool:
    """Return whether a process, or one below it, listens on a port."""
    return any(_listens(process, port) for process in _tree(pid))


def _tree(pid: int) -> Iterator[psutil.Process]:
    try:
        leader = psutil.Process(pid)
        yield leader
        yield from leader.children(recursive=True)
    except psutil.NoSuchProcess:
        return


def _listens(process: psutil.Process, port: int) -> bool:
    try:
        connections = process.net_connections(kind="tcp")
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
    return any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in connections)
