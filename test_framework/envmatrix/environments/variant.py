"""What a `[variants.NAME]` table may say: which services are degraded and how, and what must work all the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from envmatrix.environments.tables import Seconds, Table

Status = Annotated[int, Field(ge=500, le=599)]
Share = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1)]

_PARAMETERS = {
    "latency": {"latency"},
    "http_error": {"status", "first", "share"},
    "slow_drip": {"rate"},
    "flap": {"interval"},
}
"""Fault → its own keys."""


class Fault(Table):
    """What becomes of the traffic to one service: `services.NAME` of a variant."""

    fault: Literal["down", "latency", "reset", "blackhole", "http_error", "slow_drip", "flap"]
    """`down` refuses connections, `reset` takes and resets them, `blackhole` takes them and never answers."""
    latency: Seconds = 1.0
    """`latency`: seconds by which each answer is late."""
    status: Status = 503
    """`http_error`: the status that is answered in the service's place."""
    first: Count | None = None
    """`http_error`: only so many requests fail, the first ones; pings are not counted."""
    share: Share = 1.0
    """`http_error`: the share of requests that fail, evenly spread: 0.25 is each fourth; pings are not counted."""
    rate: Count = 1000
    """`slow_drip`: bytes of an answer that get through each second."""
    interval: Seconds = 1.0
    """`flap`: seconds that it is down, and then as long up, again and again."""

    @model_validator(mode="after")
    def _keys_are_the_faults_own(self) -> Self:
        if others := self.model_fields_set - _PARAMETERS.get(self.fault, set()) - {"fault"}:
            raise ValueError(f"{min(others)!r} does nothing for fault = {self.fault!r}")
        return self

    @property
    def only_delays(self) -> bool:
        """Return whether everything gets through in the end."""
        return self.fault in {"latency", "slow_drip"}

    @property
    def is_outage(self) -> bool:
        """Return whether nothing of the service gets through, so that a test that needs it cannot pass."""
        is_partial = self.first is not None or self.share < 1
        return self.fault in {"down", "reset", "blackhole"} or (self.fault == "http_error" and not is_partial)


class Variant(Table):
    """The `[variants.NAME]` table: the environment with some services degraded, as a column of its own, `ENV+NAME`."""

    services: Mapping[str, Fault] = Field(min_length=1)
    """Service → what becomes of the traffic to it: `services.redis.fault = "down"`."""
    survives: tuple[str, ...] = ()
    """Capabilities that must work all the same, among those that stand on a degraded service. The others must anyway."""
