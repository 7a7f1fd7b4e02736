"""Is it the observer that is cut off? A machine without network or DNS sees every environment down."""

from __future__ import annotations

import enum
import errno
import socket
import threading
import time
from collections.abc import Iterable

_DEADLINE = 2.0
"""Seconds for all look-ups; a resolver that takes longer answers nothing."""
_ANY_PORT = 9
_UNROUTED = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN})


class Blindness(enum.StrEnum):
    """Why this machine can see nothing of other machines."""

    NO_RESOLVER = "its resolver knows none of the declared hosts"
    NO_ROUTE = "it has no route to any of the declared hosts"


def blindness(hosts: Iterable[str]) -> Blindness | None:
    """Return why this machine can reach none of some hosts; None where one could be reached. Sends nothing to them."""
    faults: dict[str, Blindness | None] = dict.fromkeys(hosts, Blindness.NO_RESOLVER)

    def look(host: str) -> None:
        faults[host] = _fault(host)

    threads = [threading.Thread(target=look, args=(host,), daemon=True) for host in faults]
    for thread in threads:
        thread.start()
    until = time.monotonic() + _DEADLINE
    for thread in threads:  # nothing bounds a look-up, so that no thread is waited for beyond the deadline
        thread.join(max(until - time.monotonic(), 0))
    found = set(faults.values())
    if None in found or not found:
        return None
    return Blindness.NO_ROUTE if Blindness.NO_ROUTE in found else Blindness.NO_RESOLVER


def _fault(host: str) -> Blindness | None:
    try:
        addresses = socket.getaddrinfo(host, _ANY_PORT, type=socket.SOCK_DGRAM)
    except OSError:
        return Blindness.NO_RESOLVER
    for family, kind, _, _, address in addresses:
        with socket.socket(family, kind) as datagrams:
            try:
                datagrams.connect(address)  # asks the kernel for a route, and sends nothing
            except OSError as error:
                if error.errno not in _UNROUTED:
                    return None
            else:
                return None
    return Blindness.NO_ROUTE
