"""What a declaration, the probes of a run and its tests say about each capability."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from envmatrix.environments import Environment
from envmatrix.runs.cells import Cell, Run
from envmatrix.runs.ping import Ping, PingStatus

KINDS = {
    "auth": "http",
    "backend": "http",
    "clickhouse": "clickhouse",
    "database": "postgres",
    "llm": "openai",
    "redis": "redis",
}
"""Services that tests require by these names: a dependency of such a name is one even if it is not declared."""


class Declared(enum.StrEnum):
    """What the declaration says of a capability."""

    REQUIRED = "required"
    """It must be there."""
    OPTIONAL = "optional"
    """It may be there."""
    ABSENT = "absent"
    """The environment has none."""
    UNDECLARED = "undeclared"
    """Nothing."""


@dataclass(frozen=True, slots=True)
class Capability:
    """One capability as declared, observed and exercised."""

    name: str
    service: str
    """The service that provides it; for a service, itself."""
    declared: Declared
    source: str
    """The source of its service, `embedded` or `remote`; empty if it is not declared."""
    observed: str
    """The status of its service: `up`, `degraded`, `down`, `absent`; empty if it was never pinged."""
    detail: str = ""
    """What the ping saw: why the service is not up, or its version."""
    said_by: tuple[str, ...] = ()
    """Services that depend on it and say that it is up."""
    passed: tuple[str, ...] = ()
    """Tests that exercised it and passed."""
    failed: tuple[str, ...] = ()
    """Tests that exercised it and failed."""

    @property
    def is_service(self) -> bool:
        """Return whether it is a service itself, rather than something that one provides."""
        return self.name == self.service

    @property
    def is_promised(self) -> bool:
        """Return whether the declaration says that it is there, or may be."""
        return self.declared in {Declared.REQUIRED, Declared.OPTIONAL}

    @property
    def is_up(self) -> bool:
        """Return whether a ping saw it up."""
        return self.observed == "up"


@dataclass(frozen=True)
class Observations:
    """A run beside the declaration that it was made by."""

    run: Run
    environment: Environment

    @cached_property
    def pings(self) -> Mapping[str, Ping]:
        """Return the ping of each service that says most: the first that did not see it up, else the last."""
        pings: dict[str, Ping] = {}
        for attestation in self.run.attestations:
            for service, ping in attestation.services.items():
                if service not in pings or pings[service].status in {PingStatus.UP, PingStatus.ABSENT}:
                    pings[service] = ping
        return pings

    @cached_property
    def dependencies(self) -> Mapping[str, Mapping[str, str]]:
        """Return what other services say about each service: service → speaker → `up`, `down`, `absent` or another word."""
        states: dict[str, dict[str, str]] = {}
        for attestation in self.run.attestations:
            for speaker, ping in attestation.services.items():
                for name, state in ping.dependencies.items():
                    service = self.environment.providers.get(name, name)
                    if service != speaker:
                        states.setdefault(service, {})[speaker] = state
        return states

    def speakers(self, service: str, state: str) -> tuple[str, ...]:
        """Return the services that say that another one is in some state."""
        return tuple(speaker for speaker, said in self.dependencies.get(service, {}).items() if said == state)

    @cached_property
    def capabilities(self) -> tuple[Capability, ...]:
        """Return every capability that is declared, and the services that are there although undeclared."""
        undeclared = [name for name in KINDS if name not in self.environment.providers and self.speakers(name, "up")]
        providers = {**self.environment.providers, **{name: name for name in undeclared}}
        return tuple(self._capability(name, service) for name, service in providers.items())

    def _capability(self, name: str, service: str) -> Capability:
        spec = self.environment.services.get(service)
        ping = self.pings.get(service)
        exercised = [cell for cell in self.run.cells.values() if _exercises(cell, name)]
        declared = Declared.UNDECLARED
        if spec is not None and spec.source.value == "absent":
            declared = Declared.ABSENT
        elif spec is not None:
            declared = Declared.REQUIRED if spec.required else Declared.OPTIONAL
        return Capability(
            name=name,
            service=service,
            declared=declared,
            source=spec.source.value if spec else "",
            observed=ping.status.value if ping else "",
            detail=ping.detail or ping.version if ping else "",
            said_by=self.speakers(service, "up"),
            passed=tuple(cell.test for cell in exercised if cell.outcome.reached_end),
            failed=tuple(cell.test for cell in exercised if cell.outcome.broke),
        )


def _exercises(cell: Cell, capability: str) -> bool:
    return any(capability in attempt.capabilities for attempt in cell.attempts)
