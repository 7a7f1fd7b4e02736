"""The pings that one process took: which to take again, and the last of each service."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from msgspec import structs

from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.safety.unpatched import REAL
from envmatrix.services.supervisor.pings import QUICK

_MOST = 16
"""Looks at one service that are remembered: enough to find the last one before a test began."""

_PATIENCE = 10.0
"""A service that hung is left alone for ten times as long as its ping took: it must not cost every later test its whole
deadline again."""


class Pings:
    """The last ping of each service, and when one that failed is due again."""

    def __init__(
        self, ping: Callable[[list[str], int], dict[str, Ping]], is_degraded: Callable[[str], bool] = lambda _: False
    ) -> None:
        """`ping` pings the services of some names, so many times each; no blip is expected of a degraded one."""
        self._ping = ping
        self._is_degraded = is_degraded
        self._last: dict[str, Ping] = {}
        self._due_at: dict[str, float] = {}
        self._history: dict[str, deque[tuple[float, Ping]]] = {}
        """The last pings of each service, each with the moment when it ended."""

    def take(self, names: Iterable[str], *, fresh: bool = False, number: int = 1) -> dict[str, Ping]:
        """Ping services, all at once; one that was up is pinged again only with `fresh`.

        One that was down is pinged again: a blip must not outlive itself.
        """
        wanted = sorted(names)
        due = [name for name in wanted if fresh or self._is_due(name)]
        if due:
            began = REAL.clock()
            self._last.update(self._ping(due, number))
            ended = REAL.clock()
            for name in due:
                self._history.setdefault(name, deque(maxlen=_MOST)).append((ended, self._last[name]))
            took = ended - began
            wait = _PATIENCE * took
            self._due_at.update(
                {name: ended + (wait if took > QUICK or self._is_degraded(name) else 0.0) for name in due}
            )
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
        return not is_settled and REAL.clock() >= self._due_at[name]
