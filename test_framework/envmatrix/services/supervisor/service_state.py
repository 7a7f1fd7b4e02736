"""What became of a service: the answer that the supervisor gives and every worker reads."""

from __future__ import annotations

import enum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from envmatrix.exceptions import ServiceError, StartError
from envmatrix.services.endpoint import Endpoint


class ServiceStatus(enum.StrEnum):
    """Where a service stands with its supervisor; whether it answers right now is for a ping to say."""

    STARTING = "starting"
    UP = "up"
    FAILED = "failed"
    """It never came up, or its process has ended since."""
    ABSENT = "absent"
    STOPPED = "stopped"
    """We stopped it, at the end of the run."""


class ServiceState(BaseModel):
    """One service, as its supervisor knows it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: str
    """The declaration's name; a twin's own service as `twin:NAME`."""
    status: ServiceStatus
    endpoint: Endpoint | None = None
    reason: str = ""
    """Why it is not up, in one line."""
    error: str = ""
    """The name of the error in `envmatrix.exceptions`, where one stopped it."""
    exit_code: int | None = None
    """Of its process, if that ended: negative is the signal that ended it."""
    pid: int | None = None
    start_seconds: float = 0.0
    """From being asked for to being up."""
    log_tail: str = ""
    """The end of what its process wrote, masked, where it is not up."""

    @property
    def is_up(self) -> bool:
        """Return whether it came up and, as far as the supervisor knows, still is."""
        return self.status is ServiceStatus.UP

    def as_error(self) -> ServiceError:
        """Return the error that kept it from being up, to be raised in the worker that needed it."""
        known: dict[str, type[ServiceError]] = {each.__name__: each for each in ServiceError.__subclasses__()}
        kind = known.get(self.error, StartError)
        return kind(self.service, self.reason or f"is {self.status}", self.log_tail)

    def dump(self) -> dict[str, Any]:
        """Return plain values, secrets in the clear: only for the socket between our own processes."""
        values = self.model_dump(mode="json", exclude={"endpoint"})
        return {**values, "endpoint": self.endpoint.dump() if self.endpoint else None}


class StartReply(BaseModel):
    """The answer to a start: every service asked for, with all that it references."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    states: dict[str, ServiceState] = Field(default_factory=dict)
    variables: dict[str, str] = Field(default_factory=dict, repr=False)
    """What the twin set, in the clear: with these the declaration reads as the supervisor read it."""

    def dump(self) -> dict[str, Any]:
        """Return plain values, secrets in the clear: only for the socket between our own processes."""
        return {"states": {name: state.dump() for name, state in self.states.items()}, "variables": self.variables}
