"""The health of services and environments: frozen values, and the worst of several."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


class HealthStatus(enum.StrEnum):
    """How well a service or an environment is."""

    OK = "ok"
    """It answers as declared."""
    DEGRADED = "degraded"
    """It answers, and something is wrong: it is not ready, an optional service is down, a certificate is about to expire."""
    DOWN = "down"
    """It does not answer, refuses what is declared, or is somebody else; of an environment: a required service is down."""
    UNKNOWN = "unknown"
    """It could not be looked at: this machine has lost its network, or lacks the client."""
    ABSENT = "absent"
    """The declaration says that there is none, which is no fault."""

    @property
    def exit_code(self) -> int:
        """Return the exit code of `envmatrix health`, which is that of monitoring plug-ins."""
        return {HealthStatus.DEGRADED: 1, HealthStatus.DOWN: 2, HealthStatus.UNKNOWN: 3}.get(self, 0)


_WORST_FIRST = (HealthStatus.DOWN, HealthStatus.UNKNOWN, HealthStatus.DEGRADED, HealthStatus.OK)


def worst(statuses: Iterable[HealthStatus]) -> HealthStatus:
    """Return the worst status; unknown where there is none, since nothing was looked at."""
    present = set(statuses)
    return next((each for each in _WORST_FIRST if each in present), HealthStatus.UNKNOWN)


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """The health of one service."""

    service: str
    kind: str
    source: str
    """Where it comes from: `embedded`, `process`, `remote`, `stub`, `absent`; `remote, unverified` where any certificate is taken."""
    required: bool
    status: HealthStatus
    reason: str = ""
    """Why it is not ok, in one line."""
    latency: float = 0.0
    """Seconds that the probe took."""
    version: str = ""
    identity: Mapping[str, str] = field(default_factory=dict)
    """What it says it is: service, environment, version, commit."""
    dependencies: Mapping[str, str] = field(default_factory=dict)
    """What it says of the services that it needs: name → `up`, `down`, `absent` or its own word."""
    skew: int = 0
    """Seconds that its clock is ahead of ours."""
    certificate_days: float | None = None
    """Days until its certificate expires; None where it has none, or none that could be verified."""
    causes: tuple[str, ...] = ()
    """The services whose failure explains this one's; empty where it is its own."""

    @property
    def is_ill(self) -> bool:
        """Return whether something is wrong with it."""
        return self.status not in {HealthStatus.OK, HealthStatus.ABSENT}


@dataclass(frozen=True, slots=True)
class Check:
    """One attempt to use a service."""

    service: str
    name: str
    status: HealthStatus
    """`absent` where there is nothing to try."""
    detail: str = ""
    """What was seen, or what was wrong."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class EnvironmentHealth:
    """The health of one environment."""

    environment: str
    label: str
    """Its column in the matrix: `staging (twin)`."""
    services: tuple[ServiceHealth, ...]
    """In the order of the declaration."""
    failure: str = ""
    """Why no service could be looked at, in one line."""
    checks: tuple[Check, ...] = ()
    """What was tried, where more was asked for than a look."""
    maintenance: str = ""
    """Until when it is worked on, and why; empty where it is not."""

    @property
    def status(self) -> HealthStatus:
        """Return the worst status of its services and checks, where an optional service that is down only degrades it."""
        unknown = {each.service for each in self.services if each.status is HealthStatus.UNKNOWN}
        states = [
            (each.service, HealthStatus.UNKNOWN if unknown.intersection(each.causes) else each.status)
            for each in self.services
        ]
        states += [(each.service, each.status) for each in self.checks]
        optional = {each.service for each in self.services if not each.required}
        return worst(
            HealthStatus.DEGRADED if status is HealthStatus.DOWN and service in optional else status
            for service, status in states
        )

    def caused_by(self, service: str) -> tuple[ServiceHealth, ...]:
        """Return the services to show under another one: it is the first of their causes."""
        return tuple(each for each in self.services if each.causes[:1] == (service,))

    @property
    def roots(self) -> tuple[ServiceHealth, ...]:
        """Return the services whose state is their own."""
        return tuple(each for each in self.services if not each.causes)
