"""What the probes of an environment mean: a status for each service, and one cause for all that fail with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from envmatrix.environments import Environment, ServiceSpec
from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.services.health.status import Check, EnvironmentHealth, HealthStatus, ServiceHealth
from envmatrix.services.probes.access import clock_difference

_DAY = 24 * 3600
_SOON = 14.0
"""Days until a certificate's end from which it is worth a word: most are renewed a month before."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of one environment."""

    environment: Environment
    """As a twin's endpoints resolved it."""
    label: str
    pings: Mapping[str, Ping] = field(default_factory=dict)
    """Of each service that is not absent, except those of `unseen`."""
    unseen: Mapping[str, str] = field(default_factory=dict)
    """Service → why it could not be looked at."""
    failure: str = ""
    """Why nothing could be looked at."""
    checks: tuple[Check, ...] = ()
    """What was tried, where more was asked for than a look."""


def judge(look: Look, now: float) -> EnvironmentHealth:
    """Return the health of an environment, seen at a moment in seconds since 1970."""
    maintenance = _maintenance(look.environment, datetime.fromtimestamp(now, UTC))
    if look.failure:
        return EnvironmentHealth(look.environment.name, look.label, (), look.failure, maintenance=maintenance)
    services = look.environment.services
    failing = {name for name in services if name in look.unseen or (name in look.pings and not look.pings[name].is_up)}
    below = {name: _below(services[name], look) & failing - {name} for name in failing}
    healths = (_judge(spec, look, now, _roots(name, below)) for name, spec in services.items())
    return EnvironmentHealth(
        look.environment.name, look.label, tuple(healths), checks=look.checks, maintenance=maintenance
    )


def _maintenance(environment: Environment, now: datetime) -> str:
    ends = [(end, each.reason) for each in environment.maintenance if (end := each.end_at(now))]
    if not ends:
        return ""
    end, reason = max(ends)
    return f"in maintenance until {end.astimezone(UTC):%Y-%m-%d %H:%M} UTC" + (f": {reason}" if reason else "")


def _judge(spec: ServiceSpec, look: Look, now: float, causes: tuple[str, ...]) -> ServiceHealth:
    ping = look.pings.get(spec.name) or Ping(service=spec.name, status=PingStatus.ABSENT)
    days = (ping.certificate.expires - now) / _DAY if ping.certificate else None
    status, reason = _status(ping, days)
    if spec.name in look.unseen:
        status, reason = HealthStatus.UNKNOWN, look.unseen[spec.name]
    return ServiceHealth(
        service=spec.name,
        kind=spec.kind,
        source=spec.shown_source,
        required=spec.is_required,
        status=status,
        reason=reason,
        latency=ping.latency,
        version=ping.version,
        identity=ping.identity,
        dependencies=ping.dependencies,
        skew=ping.skew,
        certificate_days=days,
        causes=causes,
    )


def _status(ping: Ping, certificate_days: float | None) -> tuple[HealthStatus, str]:
    """Return the status of a service by its ping, and why it is not ok."""
    if ping.status is PingStatus.ABSENT:
        return HealthStatus.ABSENT, ""
    if ping.status is PingStatus.DOWN or ping.wrong_identity or ping.refused:
        return HealthStatus.DOWN, ping.detail
    if not ping.is_up or ping.is_flapping:
        return HealthStatus.DEGRADED, ping.detail
    if difference := clock_difference(ping.skew):
        return HealthStatus.DEGRADED, f"its clock is {difference}"
    if certificate_days is not None and certificate_days < _SOON:
        return HealthStatus.DEGRADED, f"its certificate expires in {certificate_days:.1f} days"
    return HealthStatus.OK, ""


def _below(spec: ServiceSpec, look: Look) -> frozenset[str]:
    """Return the services that may be why one fails: those that it says are down, or else those that it references."""
    ping = look.pings.get(spec.name)
    if ping is None or ping.wrong_identity or ping.refused:
        return frozenset()
    lost = (name for name, state in ping.dependencies.items() if state not in {PingStatus.UP, PingStatus.ABSENT})
    return frozenset(look.environment.providers.get(name, name) for name in lost) or spec.references


def _roots(name: str, below: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """Return the failing services at the bottom of what one stands on; none for one of them, or within a cycle."""
    found: set[str] = set()
    waiting = list(below.get(name, ()))
    while waiting:
        if (each := waiting.pop()) not in found:
            found.add(each)
            waiting.extend(below[each])
    return tuple(sorted(each for each in found if not below[each]))
