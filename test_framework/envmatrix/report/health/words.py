"""What the formats say of a service, beside its status."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from envmatrix.report.text import seconds
from envmatrix.services.health import Change, Check, EnvironmentHealth, HealthStatus, ServiceHealth


def in_order(environment: EnvironmentHealth) -> Iterator[tuple[int, ServiceHealth]]:
    """Yield each service with its depth: 1 for one that fails only with the service before it, else 0."""
    for root in environment.roots:
        yield 0, root
        yield from ((1, each) for each in environment.caused_by(root.service))


def source(each: ServiceHealth) -> str:
    """Return where a service comes from: `remote`, `embedded, optional`."""
    is_optional = not each.required and each.status is not HealthStatus.ABSENT
    return f"{each.source}, optional" if is_optional else each.source


def latency(each: ServiceHealth) -> str:
    """Return how long the probe took; empty where none was taken."""
    return seconds(each.latency) if each.latency else ""


def identity(each: ServiceHealth) -> str:
    """Return version and commit: `backend 1.0 at 9fd9ade`."""
    commit = each.identity.get("commit", "")[:7]
    return " at ".join(filter(None, (each.version, commit)))


def result(check: Check) -> str:
    """Return how a check ended, in a word."""
    return "not tried" if check.status is HealthStatus.ABSENT else check.status.value


def remarks(each: ServiceHealth) -> str:
    """Return why a service is not ok; of one that is, what it says of those that it needs, its certificate and clock."""
    needs = ", ".join(f"{name} {state}" for name, state in each.dependencies.items())
    days = each.certificate_days
    parts = (
        f"needs {needs}" if needs else "",
        f"certificate {days:.0f} days" if days is not None else "",
        f"clock {each.skew:+d} s" if each.skew else "",
    )
    return each.reason or "; ".join(filter(None, parts))


def moment(at: float) -> str:
    """Return a time in seconds since 1970 as text: `2026-12-01T09:30:00Z`."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def change_text(change: Change) -> str:
    """Return a change as one line: `shop redis: ok → down: connection refused; with it: backend`."""
    what = " ".join(filter(None, (change.environment, change.service, change.check)))
    states = f"{change.before} → {change.after}" if change.before else change.after
    reason = f": {change.reason}" if change.reason else ""
    others = f"; with it: {', '.join(change.others)}" if change.others else ""
    return f"{what}: {states}{reason}{others}"
