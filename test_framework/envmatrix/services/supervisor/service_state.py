"""The state of a service: the answer that the supervisor gives and every worker reads."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from envmatrix.environments import Environment
from envmatrix.exceptions import DependencyError, ServiceError, StartError
from envmatrix.masking import MASKER
from envmatrix.services.endpoint import Endpoint


class ServiceStatus(enum.StrEnum):
    """How far a service has come; only a ping tells whether it answers right now."""

    STARTING = "starting"
    UP = "up"
    FAILED = "failed"
    """It never came up, or its process has ended since."""
    ABSENT = "absent"
    STOPPED = "stopped"
    """We stopped it, at the end of the run."""


class Crash(BaseModel):
    """The end of a declared command by itself, while its service was up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    exit_code: int
    """Negative: the signal that ended it."""
    ended: float
    """When its end was noticed, on this machine's monotonic clock."""
    log_tail: str = ""
    """The end of its log, masked."""
    up_again: float | None = None
    """When it was up again; None where it was not, or not yet."""
    out_of_memory: bool = False
    """Whether the kernel had just killed a process of ours for want of memory: this one, or a child of it."""


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
    """The exit code of its process, if that ended; negative: the signal that ended it."""
    pid: int | None = None
    began: float = 0.0
    """When its last start began, on this machine's monotonic clock."""
    start_seconds: float = 0.0
    """From the request to up or failed."""
    log_tail: str = ""
    """The end of its process's log, masked, where it is not up."""
    crashes: tuple[Crash, ...] = ()
    """Oldest first; after each but the last of too many it was started again."""

    @property
    def is_up(self) -> bool:
        """Return whether it came up and, as far as the supervisor knows, still is."""
        return self.status is ServiceStatus.UP

    def as_error(self) -> ServiceError:
        """Return the error to raise in a worker that needs the service."""
        known: dict[str, type[ServiceError]] = {each.__name__: each for each in ServiceError.__subclasses__()}
        kind = known.get(self.error, StartError)
        return kind(self.service, self.reason or f"is {self.status}", self.log_tail)


class StartReply(BaseModel):
    """The answer to a start: every service asked for, with all that it references."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    states: dict[str, ServiceState] = Field(default_factory=dict)
    environment: Environment | None = None
    """The environment as a twin's endpoints resolved it; None where no twin stands in, or the twin failed to start."""

    def demand_required(self, environment: Environment) -> None:
        """Make sure that each required service of an environment is up.

        Raises:
            ServiceError: one is not; the first of a chain of failures is told.
        """
        required = (self.states[name] for name, spec in environment.services.items() if spec.is_required)
        if failed := [state for state in required if not state.is_up]:
            raise min(failed, key=lambda state: state.error == DependencyError.__name__).as_error()

    def dump(self) -> dict[str, Any]:
        """Return plain values, secrets in the clear: only for the socket between our own processes."""
        values = self.model_dump(exclude_unset=True)  # an environment tells what is declared from what is not
        if self.environment is not None:
            written = {"written": self.environment.written, "written_args": self.environment.written_args}
            values["environment"].update(written)
        return dict(json.loads(json.dumps(values, default=_plain)))

    @classmethod
    def load(cls, values: Mapping[str, Any]) -> StartReply:
        """Return the reply that `dump` gave, every secret in it registered for masking."""
        reply = cls.model_validate(values)
        if reply.environment is not None:
            MASKER.add_all(reply.environment.secrets())
        for state in reply.states.values():
            if state.endpoint is not None:
                MASKER.add(state.endpoint.field("password"))
        return reply


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
