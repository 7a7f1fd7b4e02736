"""What one look at a service saw: made by a service's kind, recorded in run files, read by the matrix."""

from __future__ import annotations

import enum

from msgspec import Struct


class PingStatus(enum.StrEnum):
    """What one look at an endpoint saw."""

    UP = "up"
    DEGRADED = "degraded"
    """It answers, and says that something it depends on does not; or it answers as somebody else."""
    DOWN = "down"
    ABSENT = "absent"


class Certificate(Struct, frozen=True):
    """A certificate that was verified, and the protocol that protects the connection."""

    expires: float
    """Seconds since 1970."""
    issuer: str
    """The authority that issued it, by its organization or common name."""
    protocol: str
    """`TLSv1.3`."""


class Ping(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One look at an endpoint. Never holds a secret."""

    service: str
    status: PingStatus
    latency: float = 0.0
    """Seconds."""
    version: str = ""
    """What the server says it is: `PostgreSQL 18.4`."""
    identity: dict[str, str] = {}
    """What it claims to be: service, environment, version, commit, image."""
    wrong_identity: bool = False
    """Whether it claims to be another service, environment or commit than the declaration demands."""
    refused: bool = False
    """Whether it answers and refuses what is declared: the login or the database; or its certificate does not verify."""
    detail: str = ""
    """Why it is not up, in one line: `timeout after 2.0 s`, `connection refused`."""
    dependencies: dict[str, str] = {}
    """What it says of those it leans on: `up`, `down`, `absent`, or its own word where that is none of them."""
    skew: int = 0
    """Seconds that its clock is ahead of ours, as far as whole seconds tell."""
    certificate: Certificate | None = None
    """None without TLS, and where no certificate was verified."""
    looks: int = 1
    """How often it was looked at for this answer."""
    failed_looks: int = 0
    """How many of these it failed; where it failed some, the majority is its status."""
    age: float = 0.0
    """Seconds between this look and the start of the test that it is told about; 0 for a look after a failure."""

    @property
    def is_up(self) -> bool:
        """Return whether the service can be used."""
        return self.status == PingStatus.UP

    @property
    def is_flapping(self) -> bool:
        """Return whether it answered some looks and failed others."""
        return 0 < self.failed_looks < self.looks
