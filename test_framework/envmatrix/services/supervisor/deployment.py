"""A run's environment as it is deployed: its stack and, where a twin stands in, the twin's stack before it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from envmatrix.environments import ServiceSpec, Twin, fill, load_environment, load_file, process_variables
from envmatrix.exceptions import DependencyError, NotReadyError, UnknownReferenceError, UnreachableError, nearest
from envmatrix.runs.events import Fingerprint
from envmatrix.runs.ping import Ping
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.fingerprint import take_fingerprint
from envmatrix.services.probes.access import Access, ask_protected
from envmatrix.services.supervisor.pings import ping_all
from envmatrix.services.supervisor.run_context import RunContext
from envmatrix.services.supervisor.service_state import ServiceState, ServiceStatus, StartReply
from envmatrix.services.supervisor.stack import Stack

_RECOVERY = 30.0
"""Seconds that services get to recover from a fault that is over."""
_PAUSE = 0.05
"""Seconds between two looks at whether they have."""
_TWIN = "twin:"
"""The prefix of the names of a twin's own services."""


class Deployment:
    """The services of one supervisor. Safe to use from several threads."""

    def __init__(
        self, environment: str, directory: Path, env_file: Path | None, overrides: Sequence[str], context: RunContext
    ) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._process_variables = context.variables = process_variables(env_file)
        self._declared = load_environment(
            environment, directory, variables=self._process_variables, overrides=overrides
        )
        self._stack: Stack | None = None
        self._twin: Stack | None = None
        if self._declared.twin is None:
            self._stack = Stack(self._declared, context)
        self._degraded_as = ""

    def start(self, names: Iterable[str]) -> StartReply:
        """Start services with all that they reference; wait until each is up or has failed."""
        wanted = frozenset(names)
        unknown = wanted - {*self._declared.services}
        if unknown:
            name = min(unknown)
            what = f"no service {name!r} in environment {self._declared.name!r}"
            raise UnknownReferenceError(self._declared.file, what, 0, nearest(name, self._declared.services))
        twin_states = self._deploy_twin(self._declared.twin) if self._declared.twin and wanted else {}
        if self._stack is None:
            return StartReply(states={**twin_states, **_undeployed(wanted, twin_states)})
        if self._declared.variant is not None:
            self.degrade(self._degraded_as or self._declared.name)
        begun = self._stack.begin(wanted)
        self._stack.wait(begun)
        states = {**twin_states, **self._stack.states(wanted | begun)}
        return StartReply(states=states, environment=self._stack.environment if self._twin else None)

    def degrade(self, name: str) -> None:
        """Degrade a variant's services as it says, or as another variant of the environment does.

        All of them are started before, and what was degraded until now has recovered.

        Raises:
            NotReadyError: one has not recovered in time.
        """
        with self._lock:
            if self._stack is None or name == self._degraded_as:
                return
            environment = load_environment(
                name,
                self._declared.file.parent,
                variables=self._process_variables,
                overrides=self._declared.overrides,
            )
            self._stack.wait(self._stack.begin(environment.services))
            if self._degraded_as:
                self._stack.degrade({})
                self._await_recovery()
            self._stack.degrade(environment.variant.services if environment.variant else {})
            self._degraded_as = name

    def _await_recovery(self) -> None:
        """Wait until every service that came up answers again."""
        deadline = time.monotonic() + _RECOVERY
        services = self._up()
        while down := [name for name, ping in ping_all(services, 1).items() if not ping.is_up]:
            if time.monotonic() > deadline:
                raise NotReadyError(min(down), f"has not recovered {_RECOVERY:g} s after the fault before")
            time.sleep(_PAUSE)

    def restart(self, name: str) -> StartReply:
        """Start a service of ours again, from the code as it is now; wait until it is up or has failed."""
        stack = self._twin if name.startswith(_TWIN) else self._stack
        if stack is None or name not in stack.states():
            what = f"no service {name!r} was started"
            raise UnknownReferenceError(self._declared.file, what, 0, nearest(name, self.states()))
        stack.restart(name.removeprefix(_TWIN))
        return StartReply(states=self.states())

    def states(self) -> dict[str, ServiceState]:
        """Return the states of all services that were begun."""
        stacks = [stack for stack in (self._twin, self._stack) if stack]
        return {name: state for stack in stacks for name, state in stack.states().items()}

    def drop_parts(self, services: Iterable[str], run: str) -> None:
        """Drop the parts that a run's workers left of remote services; a twin's have ended with it."""
        if self._stack is not None and self._twin is None:
            self._stack.drop_parts(services, run)

    def ping(self, names: Iterable[str], number: int) -> dict[str, Ping]:
        """Ping services that came up, `number` times each."""
        pings = ping_all({name: self._reached(name) for name in names}, number)
        return {name: self._stack.explained(name, ping) if self._stack else ping for name, ping in pings.items()}

    def fingerprint(self) -> Fingerprint:
        """Take the fingerprint of the services that are up; what a twin is made of is none of them."""
        return take_fingerprint(self._up())

    def ask_protected(self, name: str, headers: Mapping[str, str]) -> Access:
        """Request a service's protected path once."""
        return ask_protected(*self._reached(name), headers)

    def _up(self) -> dict[str, tuple[ServiceSpec, Endpoint]]:
        """Return the services that came up."""
        states = self._stack.states() if self._stack else {}
        return {name: self._reached(name) for name, state in states.items() if state.is_up}

    def _reached(self, name: str) -> tuple[ServiceSpec, Endpoint]:
        state = self._stack.states([name])[name] if self._stack else None
        if self._stack is None or state is None or state.endpoint is None:
            raise UnreachableError(name, "has no endpoint")
        return self._stack.environment.services[name], state.endpoint

    def _deploy_twin(self, twin: Twin) -> dict[str, ServiceState]:
        """Start the twin's services, then resolve the declaration with their endpoints."""
        with self._lock:
            if self._twin is None:
                file = self._declared.file.parent / twin.environment
                self._twin = Stack(load_file(file, self._process_variables), self._context, _TWIN)
            everything = self._twin.environment.services
            self._twin.wait(self._twin.begin(everything))
            states = self._twin.states(everything)
            required = (name for name, spec in everything.items() if spec.is_required)
            if self._stack is None and all(states[_TWIN + name].is_up for name in required):
                variables = {name: self._value(text, states) for name, text in twin.variables.items()}
                variables = {**self._process_variables, **variables}
                resolved = load_file(self._declared.file, variables, self._declared.overrides)
                self._stack = Stack(resolved, self._context)
            return states

    def _value(self, text: str, states: dict[str, ServiceState]) -> str:
        """Return the value of a variable, its blanks filled with the twin's endpoints."""

        def lookup(name: str, field: str) -> str:
            known = {each.removeprefix(_TWIN) for each in states}
            if not field or name not in known:
                what = f"{{{name}.{field}}} in twin.variables names no service of the twin"
                raise UnknownReferenceError(self._declared.file, what, 0, nearest(name, known))
            endpoint = states[_TWIN + name].endpoint
            return endpoint.field(field) if endpoint else ""

        return fill(text, lookup)


def _undeployed(names: Iterable[str], twin_states: Mapping[str, ServiceState]) -> dict[str, ServiceState]:
    """Return the states of services whose twin failed to start; what failed for another's failure is not named."""
    dependent = DependencyError.__name__
    failed = [each for each in twin_states.values() if each.status is ServiceStatus.FAILED and each.error != dependent]
    why = "; ".join(f"{state.service} {state.reason}" for state in failed)
    return {
        name: ServiceState(
            service=name,
            status=ServiceStatus.FAILED,
            reason=f"was not reached: its deployment failed to start: {why}",
            error=DependencyError.__name__,
            log_tail="\n".join(state.log_tail for state in failed if state.log_tail),
        )
        for name in names
    }
