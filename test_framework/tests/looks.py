"""Checks whether a service is up through its client library, independently of our own ping code."""

from __future__ import annotations

import json
import ssl
import urllib.request
from collections.abc import Callable

import pytest

from envmatrix.contracts import Reality
from envmatrix.services import Endpoint
from envmatrix.services.clients import SECONDS, clickhouse, postgres, redis_client


def answers(service: str, reality: Reality) -> bool:
    """Return whether a service works; False where it has no endpoint.

    Any exception of the client counts as False: the ping reports the reason.
    """
    endpoint, variant = reality.endpoints.get(service), reality.environment.variant
    if endpoint is None:
        return False
    if variant is not None and service in variant.services and not variant.services[service].is_outage:
        pytest.skip(f"whether {service} works in {reality.environment.name} is a question of patience")
    look = _LOOKS.get(endpoint.kind)
    if look is None:
        pytest.skip(f"no second opinion on a service of kind {endpoint.kind!r}")
    try:
        return look(endpoint)
    except Exception:  # noqa: BLE001  each library has its own classes, and any of them means the same
        return False


def _postgres_answers(endpoint: Endpoint) -> bool:
    with postgres(endpoint) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


def _redis_answers(endpoint: Endpoint) -> bool:
    with redis_client(endpoint) as client:
        return client.echo("envmatrix") == "envmatrix"


def _clickhouse_answers(endpoint: Endpoint) -> bool:
    with clickhouse(endpoint) as client:
        return bool(client.command("SELECT 1") == 1)


def _openai_answers(endpoint: Endpoint) -> bool:
    request = urllib.request.Request(f"{endpoint.url.get_secret_value()}/models")  # noqa: S310  the declared URL
    if key := endpoint.password.get_secret_value():
        request.add_header("Authorization", f"Bearer {key}")
    tls = ssl.create_default_context(cafile=endpoint.ca_file or None)
    if not endpoint.verify:
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls))
    with opener.open(request, timeout=SECONDS) as response:
        return isinstance(json.load(response).get("data"), list)


_LOOKS: dict[str, Callable[[Endpoint], bool]] = {
    "postgres": _postgres_answers,
    "redis": _redis_answers,
    "clickhouse": _clickhouse_answers,
    "openai": _openai_answers,
}
