"""What every kind of service is made of: the endpoint, and the Protocol that a kind implements."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from envmatrix.environments import ServiceSpec, Source
from envmatrix.runs.ping import Ping


class Endpoint(BaseModel):
    """A service that is up: where it is and how to get in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: str
    kind: str
    source: Source
    url: SecretStr
    """Complete, with credentials: secret."""
    host: str
    port: int
    user: str = ""
    password: SecretStr = SecretStr("")
    database: str = ""
    """The database's name (postgres, clickhouse) or number (redis)."""
    prefix: str = ""
    """What every key or table must begin with, where the server offers no stronger wall."""
    cert_file: str = ""
    key_file: str = ""
    ca_file: str = ""
    """PEM file to verify the server with; empty: the system's authorities."""

    def field(self, name: str) -> str:
        """Return what `{service.NAME}` stands for, in the clear."""
        value = getattr(self, name)
        return value.get_secret_value() if isinstance(value, SecretStr) else str(value)

    def dump(self) -> dict[str, Any]:
        """Return plain values, secrets in the clear: only for the socket between our own processes."""
        return {name: self.field(name) if name != "port" else self.port for name in type(self).model_fields}


MOST = 1000
"""Rows of a table, or keys, are counted up to here: that it is too much is known by then."""


@dataclass(frozen=True, slots=True)
class Left:
    """Things of one kind that a test left in one place."""

    kind: str
    """In the singular: `row`, `key`, `socket`. Empty where a kind of service gives only a text."""
    count: int = 1
    place: str = ""
    """Where they are, or their names, as it follows the number: ` in table users`, `: a, b`."""

    def __str__(self) -> str:
        if not self.kind:
            return self.place
        number = f"at least {MOST}" if self.count >= MOST else str(self.count)
        return f"{number} {self.kind}{'s'[: self.count != 1]}{self.place}"


class StartContext(BaseModel):
    """What a kind needs to start an embedded server: a place of its own and a port that was free a moment ago."""

    model_config = ConfigDict(frozen=True)

    state_dir: Path
    """Exists, empty, owned by us, removed after the run."""
    cache_dir: Path
    """Kept between runs: templates, copies. May be shared by concurrent runs: write with rename."""
    host: str = "127.0.0.1"
    port: int
    password: SecretStr
    """Fresh for this start."""


class Launch(BaseModel):
    """The process that gives an endpoint, not yet started."""

    model_config = ConfigDict(frozen=True)

    endpoint: Endpoint
    command: tuple[str, ...]
    env: Mapping[str, str] = Field(default_factory=dict)
    """Complete: nothing is inherited."""
    cwd: Path | None = None
    user: str | None = None
    """The account to run as, where the server refuses root."""
    stop_signal: int = 15
    preload: tuple[str, ...] = ()
    """Modules to import in the warm parent that forks it; empty: a fresh process."""


@runtime_checkable
class Kind(Protocol):
    """A driver: one per kind of service. All calls are synchronous and end by the deadline they are given.

    `ping` never raises: whatever goes wrong is a `down` with its reason.
    """

    name: str

    def launch(self, spec: ServiceSpec, context: StartContext) -> Launch:
        """Return the process for `source = "embedded"`; fill the state directory first.

        Raises:
            MissingExtraError: the server's wheel is not installed.
            StartError: the kind cannot be embedded, or its files cannot be prepared.
        """
        ...

    def address(self, spec: ServiceSpec, host: str, port: int, *, tls: bool) -> str:
        """Return the URL at which a command serves once it listens there; `connect` understands it."""
        ...

    def connect(self, spec: ServiceSpec, url: str) -> Endpoint:
        """Return the endpoint at a URL: a remote service's, or the one a command was told to serve.

        Raises:
            UsageError: the URL is not one that this kind can speak to.
            MissingExtraError: the client library that speaks to it is not installed.
        """
        ...

    def ping(self, spec: ServiceSpec, endpoint: Endpoint, deadline: float) -> Ping:
        """Look once, for at most `deadline` seconds; also check the identity that the declaration demands."""
        ...

    def isolate(self, spec: ServiceSpec, endpoint: Endpoint, worker: str) -> AbstractContextManager[Isolated]:
        """Give a worker a part of the service that no other worker sees; the exit removes it."""
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
