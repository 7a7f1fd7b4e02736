"""What the last look saw, for Prometheus: how to smooth it is the alert's to say (`for: 2m`)."""

from __future__ import annotations

import urllib.parse
from collections.abc import Sequence

from envmatrix.exceptions import MissingExtraError, UsageError
from envmatrix.services.health import Change, EnvironmentHealth, HealthStatus

_SERVICE = ("environment", "service")
_DAY = 24 * 3600


class Metrics:
    """Serves metrics on `HOST:PORT` until the process ends."""

    def __init__(self, address: str) -> None:
        """Listen.

        Raises:
            UsageError: it is no address, or none that we can have.
            MissingExtraError: prometheus-client is not installed.
        """
        try:
            from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server
        except ImportError:
            raise MissingExtraError("prometheus_client", "watch") from None
        registry = CollectorRegistry()

        def gauge(name: str, text: str, labels: Sequence[str] = _SERVICE) -> Gauge:
            return Gauge(f"envmatrix_health_{name}", text, labels, registry=registry)

        self._status = gauge("status", "0 ok, 1 degraded, 2 down, 3 unknown", (*_SERVICE, "check"))
        self._environment = gauge("environment_status", "The worst of an environment", ("environment",))
        self._maintenance = gauge("maintenance", "1 in a declared window of maintenance", ("environment",))
        self._looked = gauge("last_look_timestamp_seconds", "When all was last looked at", ())
        self._latency = gauge("latency_seconds", "Time that the probe took")
        self._skew = gauge("clock_skew_seconds", "Seconds that the service's clock is ahead of ours")
        self._certificate = gauge("certificate_remaining_seconds", "Time until the certificate expires")
        self._changes = Counter(
            "envmatrix_health_changes_total", "Changes of state", (*_SERVICE, "check", "after"), registry=registry
        )
        host, port = _host_and_port(address)
        try:
            start_http_server(port, host, registry)
        except OSError as error:
            raise UsageError(f"--metrics cannot listen on {address}: {error.strerror}") from None

    def update(self, healths: Sequence[EnvironmentHealth], changes: Sequence[Change], now: float) -> None:
        """Show a look at all environments, and what it changed."""
        for health in healths:
            name = health.label
            self._environment.labels(name).set(health.status.exit_code)
            self._maintenance.labels(name).set(bool(health.maintenance))
            for each in health.services:
                if each.status is HealthStatus.ABSENT:
                    continue
                self._status.labels(name, each.service, "").set(each.status.exit_code)
                self._latency.labels(name, each.service).set(each.latency)
                self._skew.labels(name, each.service).set(each.skew)
                if each.certificate_days is not None:
                    self._certificate.labels(name, each.service).set(each.certificate_days * _DAY)
            for check in health.checks:
                self._status.labels(name, check.service, check.name).set(check.status.exit_code)
        for change in changes:
            self._changes.labels(change.environment, change.service, change.check, change.after).inc()
        self._looked.set(now)


def _host_and_port(address: str) -> tuple[str, int]:
    try:
        parts = urllib.parse.urlsplit(f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port is None:
        raise UsageError(f"--metrics takes HOST:PORT, not {address!r}")
    return host, port
