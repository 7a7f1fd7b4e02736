"""The Protocol that every kind of service implements, and what its methods take and return."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, SecretStr

from envmatrix.environments import ServiceSpec
from envmatrix.runs.ping import Ping
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.kinds.left import Left
from envmatrix.services.processes.launch import Launch


class StartContext(BaseModel):
    """A private directory, a port that was free a moment ago and a password, to start an embedded server with."""

    model_config = ConfigDict(frozen=True)

    state_dir: Path
    """Exists, empty, owned by us, removed after the run."""
    cache_dir: Path
    """Kept between runs: templates, copies. May be shared by concurrent runs: write with rename."""
    host: str = "127.0.0.1"
    port: int
    password: SecretStr
    """Fresh for this start."""


@runtime_checkable
class Kind(Protocol):
    """A driver: one per kind of service. All calls are synchronous and end by the deadline they are given."""

    name: str

    def launch(self, spec: ServiceSpec, context: StartContext) -> Launch:
        """Return the process for `source = "embedded"`, its state directory filled.

        Raises:
            MissingExtraError: the server's wheel is not installed.
            StartError: the kind cannot be embedded, or its files cannot be prepared.
        """
        ...

    def address(self, host: str, port: int, *, tls: bool) -> str:
        """Return the URL of a command that listens at an address; `connect` reads it."""
        ...

    def connect(self, spec: ServiceSpec, url: str) -> Endpoint:
        """Return the endpoint at a URL, a remote service's or one from `address`.

        Raises:
            UsageError: the URL is not one that this kind can speak to.
            MissingExtraError: the client library that speaks to it is not installed.
        """
        ...

    def ping(self, spec: ServiceSpec, endpoint: Endpoint, deadline: float) -> Ping:
        """Probe once, for at most `deadline` seconds, and check the declared identity.

        Never raises: an error is a ping with the status `down` and the reason.
        """
        ...

    def isolate(self, spec: ServiceSpec, endpoint: Endpoint, worker: str) -> AbstractContextManager[Isolated]:
        """Create a part of the service that only this worker sees; remove it at the exit."""
        ...


class Isolated(Protocol):
    """A worker's own part of a service."""

    @property
    def endpoint(self) -> Endpoint:
        """Return the endpoint of that part alone."""
        ...

    def reset(self) -> tuple[Left, ...] | None:
        """Empty it, between two tests, and return what the test had left in it; `None` where the kind does not look."""
        ...
