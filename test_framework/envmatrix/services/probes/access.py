"""Access to a service: its protected path, requested with a user's token, shows whether it works."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from envmatrix.environments import ServiceSpec
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.probes.auth import ask
from envmatrix.services.probes.exchanges import GATEWAY_ERRORS, REFUSALS
from envmatrix.services.probes.http import HttpAnswer, HttpProbe
from envmatrix.services.probes.probe import Observation, probe

_SKEW = 5.0
"""Seconds. Tokens are checked with about as much leeway, and a Date is a second and a request's time off."""


@dataclass(frozen=True, slots=True)
class Access:
    """The answer of a service's protected path."""

    service: str
    path: str
    status: int
    """0 where there was no answer; `detail` says why."""
    detail: str = ""
    with_token: bool = True
    skew: float = 0.0
    """Seconds that the service's clock is ahead of ours."""

    @property
    def is_refused(self) -> bool:
        """Return whether the token was refused."""
        return self.with_token and self.status in REFUSALS

    @property
    def wrong_clock(self) -> str:
        """Return how the service's clock differs from ours; empty where it does not by more than a request may take."""
        difference = clock_difference(self.skew)
        return f"the clock of {self.service} is {difference}" if difference else ""

    @property
    def is_broken(self) -> bool:
        """Return whether the service cannot do its work."""
        return self.status == 0 or self.status in GATEWAY_ERRORS

    def __str__(self) -> str:
        outcome = f"answers {self.status}" if self.status else f"gets no answer: {self.detail}"
        return f"GET {self.path} of {self.service} {outcome}"


def clock_difference(skew: float) -> str:
    """Return by how much a clock that is some seconds ahead of ours is wrong; empty where a request may take that long."""
    if abs(skew) < _SKEW:
        return ""
    return f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} ours"


def ask_protected(spec: ServiceSpec, endpoint: Endpoint, headers: Mapping[str, str] | None) -> Access:
    """Request a service's protected path once, within its ping's deadline; never raises.

    The declared `auth` is sent too, where `headers` are not `None`: then nothing proves who asks.
    """
    if headers is None:
        endpoint = endpoint.model_copy(update={"auth": None})
    path = spec.protected or ""
    answer: HttpAnswer | None = None

    def observe() -> Observation:
        nonlocal answer
        with HttpProbe(endpoint, spec.ping_deadline) as http:
            answer = ask(http, endpoint, endpoint.url.get_secret_value() + path, headers)
        return Observation()

    ping = probe(spec, spec.ping_deadline, observe)
    status, skew = (answer.status, answer.skew) if answer and ping.is_up else (0, 0.0)
    return Access(spec.name, path, status, ping.detail, with_token=bool(headers or endpoint.auth), skew=skew)
