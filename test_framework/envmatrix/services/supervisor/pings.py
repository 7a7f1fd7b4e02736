"""Pings services, several times where one ping fails: the majority counts, not the last answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from msgspec import structs

from envmatrix.environments import ServiceSpec
from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.safety.unpatched import REAL
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.kinds.registry import kind_of

QUICK = 0.25
"""Seconds. A ping that took less is repeated whenever its answer would fail a test."""

_PINGS_AFTER_A_FAILURE = 3
"""k of n, as load balancers and Kubernetes' failureThreshold count: one failed ping is no outage."""


def ping_all(services: Mapping[str, tuple[ServiceSpec, Endpoint]], number: int) -> dict[str, Ping]:
    """Ping services, all at once: each `number` times, at least three if one fails."""
    if not services:
        return {}
    with ThreadPoolExecutor(max_workers=len(services)) as pool:
        pings = {name: pool.submit(_repeated, *service, number) for name, service in services.items()}
        return {name: ping.result() for name, ping in pings.items()}


def _repeated(spec: ServiceSpec, endpoint: Endpoint, number: int) -> Ping:
    """Ping `number` times, at least three if one fails; stop after a slow one."""
    kind = kind_of(spec)
    pings: list[Ping] = []
    while len(pings) < number:
        began = REAL.clock()
        pings.append(kind.ping(spec, endpoint, spec.ping_deadline))
        if REAL.clock() - began > QUICK or pings[-1].status is PingStatus.ABSENT:
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
