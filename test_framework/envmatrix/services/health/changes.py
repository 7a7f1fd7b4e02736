"""Changes of state: what several looks agree on, not the last answer. Nothing is asked here."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from envmatrix.services.health.status import EnvironmentHealth, HealthStatus, worst

LOOKS = 4
ENOUGH = 3
"""A state changes once 3 of the last 4 looks saw another: neither one odd look does it, nor every second one."""


@dataclass(frozen=True, slots=True)
class Change:
    """A service, or one check of it, has another state than before."""

    at: float
    """Seconds since 1970."""
    environment: str
    """The label of its column: `staging (twin)`."""
    service: str
    """Empty where nothing of the environment could be looked at."""
    check: str
    """The name of the check that changed; empty for the service itself."""
    before: HealthStatus | None
    """None at the first look."""
    after: HealthStatus
    reason: str = ""
    """Why it is not ok."""
    others: tuple[str, ...] = ()
    """The services that fail with it."""

    @property
    def is_news(self) -> bool:
        """Return whether somebody is to be told: who is well at the first look is none."""
        return self.before is not None or self.after is not HealthStatus.OK


def settled(state: HealthStatus, looks: Sequence[HealthStatus]) -> HealthStatus:
    """Return the state after some looks: where enough saw another one, what most of these saw, the worst at a tie."""
    others = [each for each in looks if each is not state]
    if len(others) < ENOUGH:
        return state
    most = max(map(others.count, others))
    return worst(each for each in others if others.count(each) == most)


class Changes:
    """The state of each service, by the looks so far: as many are kept as decide."""

    def __init__(self) -> None:
        self._states: dict[tuple[str, str, str], HealthStatus] = {}
        self._looks: dict[tuple[str, str, str], deque[tuple[HealthStatus, str]]] = {}

    def after(self, health: EnvironmentHealth, at: float) -> Iterator[Change]:
        """Yield what one more look changes; in maintenance nothing.

        A service that fails only with another one keeps its state: it is told with that one.
        """
        for service, check, status, reason in () if health.maintenance else _seen(health):
            key = health.label, service, check
            looks = self._looks.setdefault(key, deque(maxlen=LOOKS))
            looks.append((status, reason))
            before = self._states.get(key)
            after = status if before is None else settled(before, [each for each, _ in looks])
            if after is not before:
                self._states[key] = after
                why = next(reason for status, reason in reversed(looks) if status is after)
                others = tuple(each.service for each in health.caused_by(service))
                yield Change(at, *key, before, after, why, others)


def _seen(health: EnvironmentHealth) -> Iterator[tuple[str, str, HealthStatus, str]]:
    """Yield each service and each check whose state is its own: service, check, status, and why it is not ok."""
    if health.failure:
        yield "", "", HealthStatus.UNKNOWN, health.failure
    for each in health.roots:
        if each.status is not HealthStatus.ABSENT:
            yield each.service, "", each.status, each.reason
    for check in health.checks:
        if check.status is not HealthStatus.ABSENT:
            yield check.service, check.name, check.status, "" if check.status is HealthStatus.OK else check.detail
