"""One probe of a service, bounded in time: every kind's `ping` is made with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice

from envmatrix.environments import ServiceSpec
from envmatrix.masking import one_line
from envmatrix.runs.ping import Certificate, Ping, PingStatus
from envmatrix.services.probes.reason import NoAnswerError, is_refusal, reason_of, timeout_reason

_MAX_DEPENDENCIES = 50
_MAX_WORD = 60
"""Characters of a dependency's name or state."""

IDENTITY_KEYS = ("service", "environment", "version", "commit", "image")


@dataclass(frozen=True)
class Observation:
    """The answer of a service to a probe."""

    version: str = ""
    identity: Mapping[str, str] = field(default_factory=dict)
    status: PingStatus = PingStatus.UP
    detail: str = ""
    dependencies: Mapping[str, str] = field(default_factory=dict)
    wrong_identity: bool = False
    """Whether the service that answers is not the declared one."""
    refused: bool = False
    """Whether it refuses what is declared: the login or the database; or its certificate does not verify."""
    skew: int = 0
    certificate: Certificate | None = None


class WrongIdentityError(NoAnswerError):
    """The service is not the declared one; `identity` is what it claims to be."""

    def __init__(self, reason: str, identity: Mapping[str, str]) -> None:
        super().__init__(reason)
        self.identity = identity


def probe(spec: ServiceSpec, deadline: float, observe: Callable[[], Observation]) -> Ping:
    """Run `observe` for at most `deadline` seconds and return the ping.

    The clients' own timeouts bound one read each, so a server that sends a byte a second holds them for ever, and
    nothing bounds a name look-up: hence a thread that is not waited for. It ends by its client's timeouts.
    """
    began = time.monotonic()
    pings: list[Ping] = []

    def run() -> None:
        try:
            observation = observe()
        except WrongIdentityError as error:
            observation = Observation("", error.identity, PingStatus.DEGRADED, str(error), wrong_identity=True)
        except Exception as error:  # noqa: BLE001  a ping never raises: an error is its answer
            refused = is_refusal(error)
            status = PingStatus.DEGRADED if refused else PingStatus.DOWN
            observation = Observation(status=status, detail=reason_of(error, deadline), refused=refused)
        pings.append(_ping(spec, observation, time.monotonic() - began))

    thread = threading.Thread(target=run, name=f"ping {spec.name}", daemon=True)
    thread.start()
    thread.join(deadline)
    if pings:
        return pings[0]
    timeout = Observation(status=PingStatus.DOWN, detail=timeout_reason(deadline))
    return _ping(spec, timeout, time.monotonic() - began)


def _ping(spec: ServiceSpec, observation: Observation, latency: float) -> Ping:
    return Ping(
        service=spec.name,
        status=observation.status,
        latency=latency,
        version=one_line(observation.version),
        identity={key: one_line(value) for key, value in observation.identity.items()},
        wrong_identity=observation.wrong_identity,
        refused=observation.refused,
        detail=one_line(observation.detail),
        dependencies={
            one_line(name)[:_MAX_WORD]: one_line(state)[:_MAX_WORD]
            for name, state in islice(observation.dependencies.items(), _MAX_DEPENDENCIES)
        },
        skew=observation.skew,
        certificate=observation.certificate,
    )


def wrong_identity(spec: ServiceSpec, identity: Mapping[str, str]) -> str:
    """Return how an identity differs from the declared one; empty where it does not.

    An empty text demands nothing: `commit = "${STAGING_COMMIT:-}"` holds only where the variable is set.
    """
    demanded = {key: value for key, value in spec.identity.items() if value}
    if all(identity.get(key) == value for key, value in demanded.items()):
        return ""
    claimed = "/".join(identity.get(key, "?") for key in demanded)
    return f"answers as {claimed}, expected {'/'.join(demanded.values())}"
