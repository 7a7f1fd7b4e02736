"""The pings that one process took: which to take again, how many of one service, and which of them counts."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from msgspec import structs

from envmatrix.runs.ping import Ping, PingStatus

_QUICK = 0.25
"""Seconds. A ping that took less is repeated whenever its answer would fail a test."""

_PINGS_AFTER_A_FAILURE = 3
"""k of n, as load balancers and Kubernetes' failureThreshold count: one failed ping is no outage."""

_MOST = 16
"""Looks at one service that are remembered: enough to find the last one before a test began."""

_PATIENCE = 10.0
"""A service that hung is left alone for ten times as long as its ping took: it must not cost every later test its whole
deadline again."""


class Pings:
    """The last ping of each service, and when one that failed is due again."""

    def __init__(self, ping: Callable[[str], Ping]) -> None:
        """`ping` pings the service of a name, once."""
        self._ping = ping
        self._last: dict[str, Ping] = {}
        self._due_at: dict[str, float] = {}
        self._history: dict[str, deque[tuple[float, Ping]]] = {}
        """The last pings of each service, each with the moment when it ended."""

    def take(self, names: Iterable[str], *, fresh: bool = False, number: int = 1) -> dict[str, Ping]:
        """Ping services, all at once; one that was up is pinged again only with `fresh`.

        One that was down is pinged again: a blip must not outlive itself. Each is pinged `number` times, at least three
        if one fails: the majority counts, not the last answer.
        """
        wanted = sorted(names)
        due = [name for name in wanted if fresh or self._is_due(name)]
        if due:
            began = time.monotonic()
            with ThreadPoolExecutor(max_workers=len(due)) as pool:
                self._last.update(zip(due, pool.map(partial(self._repeated, number), due), strict=True))
            ended = time.monotonic()
            for name in due:
                self._history.setdefault(name, deque(maxlen=_MOST)).append((ended, self._last[name]))
            took = ended - began
            wait = _PATIENCE * took if took > _QUICK else 0.0
            self._due_at.update(dict.fromkeys(due, ended + wait))
        return {name: self._last[name] for name in wanted}

    def last(self, names: Iterable[str]) -> dict[str, Ping]:
        """Return the last ping of each service among some that was ever pinged."""
        return {name: self._last[name] for name in sorted(names) if name in self._last}

    def before(self, names: Iterable[str], moment: float) -> dict[str, Ping]:
        """Return the last ping of each service among some that ended before a moment of the monotonic clock, with its age."""
        found: dict[str, Ping] = {}
        for name in sorted(names):
            earlier = [(at, ping) for at, ping in self._history.get(name, ()) if at <= moment]
            if earlier:
                at, ping = earlier[-1]
                found[name] = structs.replace(ping, age=moment - at)
        return found

    def seen_up_since(self, names: Iterable[str], moment: float) -> frozenset[str]:
        """Return the services among some that a ping saw up after a moment of the monotonic clock."""
        return frozenset(
            name for name in names if any(at > moment and ping.is_up for at, ping in self._history.get(name, ()))
        )

    def _is_due(self, name: str) -> bool:
        ping = self._last.get(name)
        if ping is None:
            return True
        is_settled = ping.is_up or ping.status is PingStatus.ABSENT
        return not is_settled and time.monotonic() >= self._due_at[name]

    def _repeated(self, number: int, name: str) -> Ping:
        """Ping `number` times, at least three if one fails; stop after a slow one."""
        pings: list[Ping] = []
        while len(pings) < number:
            began = time.monotonic()
            pings.append(self._ping(name))
            if time.monotonic() - began > _QUICK or pings[-1].status is PingStatus.ABSENT:
                break
            if not pings[-1].is_up:
                number = max(number, _PINGS_AFTER_A_FAILURE)
        return majority(pings)


def majority(pings: Sequence[Ping]) -> Ping:
    """Return the ping that stands for several of one service, with how many of them failed."""
    failed = [ping for ping in pings if not ping.is_up]
    up = [ping for ping in pings if ping.is_up]
    ping = (up if len(up) > len(failed) else failed)[-1]
    if up and failed:
        ping = structs.replace(ping, detail=f"answered {len(up)} of {len(pings)} looks: {failed[-1].detail}")
    return structs.replace(ping, looks=len(pings), failed_looks=len(failed))
