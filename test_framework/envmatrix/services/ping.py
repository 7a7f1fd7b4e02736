"""A ping: the result of one probe of an endpoint."""

from __future__ import annotations

import enum

from pydantic import BaseModel, ConfigDict, Field


class PingStatus(enum.StrEnum):
    """What one look at an endpoint saw."""

    UP = "up"
    DEGRADED = "degraded"
    """It answers, and says that something it depends on does not; or it answers as somebody else."""
    DOWN = "down"
    ABSENT = "absent"


class Ping(BaseModel):
    """One look at an endpoint. Never holds a secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: str
    status: PingStatus
    latency: float = 0.0
    """Seconds."""
    version: str = ""
    """What the server says it is: `PostgreSQL 18.4`."""
    identity: dict[str, str] = Field(default_factory=dict)
    """What it claims to be: service, environment, version, commit."""
    detail: str = ""
    """Why it is not up, in one line: `timeout after 2.0 s`, `connection refused`."""
    dependencies: dict[str, str] = Field(default_factory=dict)
    """What it says of those it leans on: `up`, `down`, `absent`, or its own word where that is none of them."""
    looks: int = 1
    """How often it was looked at for this answer."""
    failed_looks: int = 0
    """How many of these it failed; where it failed some, the majority is its status."""

    @property
    def is_up(self) -> bool:
        """Return whether the service can be used."""
        return self.status is PingStatus.UP

    @property
    def is_flapping(self) -> bool:
        """Return whether it answered some looks and failed others."""
        return 0 < self.failed_looks < self.looks
