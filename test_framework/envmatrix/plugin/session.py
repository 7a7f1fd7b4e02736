"""The selected environment as one process uses it: its services, started, connected to and pinged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cached_property

from envmatrix.contracts import Reality, contract_classes
from envmatrix.environments import Environment, ServiceSpec, Source
from envmatrix.exceptions import (
    AccessRefusedError,
    DependencyError,
    EnvmatrixError,
    IdentityError,
    ServiceError,
    SupervisorError,
    UnreachableError,
)
from envmatrix.masking import MASKER
from envmatrix.plugin.pings import Pings
from envmatrix.plugin.selection import Selection
from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.services import Endpoint, kind_of
from envmatrix.services.probes.access import Access
from envmatrix.services.probes.probe import wrong_identity
from envmatrix.services.processes.process_identity import ProcessIdentity
from envmatrix.services.supervisor import RelayedClient, SupervisorClient
from envmatrix.services.supervisor.service_state import Crash, ServiceState

_STARTED = frozenset({Source.PROCESS, Source.STUB, Source.EMBEDDED})


class EnvironmentSession:
    """The selected environment, as one process (the only one, or an xdist worker) uses it.

    Nothing is started, connected to or pinged before the first test that needs it.
    """

    def __init__(self, selection: Selection, client: SupervisorClient | RelayedClient) -> None:
        self.environment: Environment = selection.environment
        self.contracts = contract_classes(selection.project)
        self._client = client
        self._states: dict[str, ServiceState] = {}
        self._pings = Pings(self._ping_all, self.environment.is_degraded)

    def want(self, names: frozenset[str]) -> None:
        """Have services started in the background; where the supervisor has ended, the first test that needs one says so."""
        with suppress(SupervisorError):
            self._client.want(sorted(self.environment.closure(names)))

    def start(self, names: frozenset[str]) -> None:
        """Start or connect to services, and all they reference; returns when each is up or has failed."""
        missing = self.environment.closure(names) - self._states.keys()
        if not missing:
            return
        reply = self._client.start(sorted(missing))
        if reply.environment is not None:
            ours = {name: getattr(self.environment, name) for name in ("alias", "bases", "overrides")}
            self.environment = reply.environment.model_copy(update=ours)
        self._states.update(reply.states)

    @property
    def endpoints(self) -> dict[str, Endpoint]:
        """Return the endpoints of the declared services that came up; what a twin is made of is none of them."""
        return {
            name: state.endpoint
            for name, state in self._states.items()
            if state.endpoint is not None and name in self.environment.services
        }

    def ping(self, names: Iterable[str], *, fresh: bool = False, looks: int = 1) -> dict[str, Ping]:
        """Ping services, each `looks` times; one that was up is pinged again only with `fresh`."""
        return self._pings.take(names, fresh=fresh, number=looks)

    def last_pings(self, names: Iterable[str]) -> dict[str, Ping]:
        """Return the last ping of each service among some that was ever pinged."""
        return self._pings.last(names)

    def pings_before(self, names: Iterable[str], moment: float) -> dict[str, Ping]:
        """Return the last ping of each service among some before a moment of the monotonic clock, with its age."""
        return self._pings.before(names, moment)

    def seen_up_since(self, names: Iterable[str], moment: float) -> frozenset[str]:
        """Return the services among some that a ping saw up after a moment of the monotonic clock."""
        return self._pings.seen_up_since(names, moment)

    def _ping_all(self, names: list[str], number: int) -> dict[str, Ping]:
        """Ping services that came up; what keeps the others from being pinged is known already."""
        services, endpoints = self.environment.services, self.endpoints
        reachable = {name: (services[name], endpoints[name]) for name in names if self._is_reachable(name)}
        known = {name: self._why_not_pinged(name) for name in names if name not in reachable}
        return known | self._client.ping(reachable, number)

    def _is_reachable(self, name: str) -> bool:
        return name in self.endpoints and self.environment.services[name].source is not Source.ABSENT

    def _why_not_pinged(self, name: str) -> Ping:
        spec = self.environment.services[name]
        if spec.source is Source.ABSENT:
            return Ping(service=name, status=PingStatus.ABSENT, detail=f"absent by {self.environment.file.name}")
        state = self._states.get(name)
        reason = state.reason if state else "not started: no test needs it"
        return Ping(service=name, status=PingStatus.DOWN, detail=MASKER.mask(reason))

    def ask_protected(self, name: str, headers: Mapping[str, str]) -> Access:
        """Request a service's protected path once."""
        return self._client.ask_protected(self.environment.services[name], self.endpoints[name], headers)

    def reality(self) -> Reality:
        """Return what the fixtures' values are compared with: every declared service, started and pinged."""
        names = frozenset(self.environment.services)
        self.start(names)
        return Reality(self.environment, self.endpoints, self.ping(names))

    def attest(self, *, fresh: bool = False) -> dict[str, Ping]:
        """Return the identity and state of each service in use; pinged again with `fresh`.

        An absent one that is declared with a URL is pinged once: tests go by the declaration, an attestation does not.
        """
        used = [name for name in self.environment.services if name in self._states or self._pings.last([name])]
        return {**(self.ping(used, fresh=True) if fresh else self.last_pings(used)), **self._absent_with_url}

    @cached_property
    def _absent_with_url(self) -> dict[str, Ping]:
        declared = self.environment.services.items()
        return {name: ping_absent(spec) for name, spec in declared if spec.source is Source.ABSENT and _url(spec)}

    def log_tails(self, names: Iterable[str]) -> dict[str, str]:
        """Return the masked end of the log of each service among some that we started; empty ones are left out."""
        started = [name for name in sorted(names) if self.environment.services[name].source in _STARTED]
        return {name: tail for name, tail in self._client.log_tails(started).items() if tail}

    def crashes_since(self, names: Iterable[str], moment: float) -> dict[str, Crash]:
        """Return the last crash of each service among some that was down for it since a moment; wait until it is up.

        In a twin any service may stand behind another: all of them count.
        """
        commands = self._commands(names)
        if not all(map(self._still_runs, commands.values())):  # before each test: a request would cost a millisecond
            with suppress(SupervisorError):
                self._states.update(self._client.start(sorted(commands)).states)
        crashes = {name: crash for name, key in commands.items() for crash in self._states[key].crashes[-1:]}
        return {name: each for name, each in crashes.items() if each.up_again is None or each.up_again >= moment}

    def _commands(self, names: Iterable[str]) -> dict[str, str]:
        """Map services that can be started again to the names of their states: some that we run, or all of a twin's."""
        services = self.environment.services
        twin = {_address(state.endpoint): key for key, state in self._states.items() if key not in services}
        if twin:
            return {name: twin[_address(each)] for name, each in self.endpoints.items() if _address(each) in twin}
        return {name: name for name in names if name in self._states and services[name].source is Source.PROCESS}

    def _still_runs(self, name: str) -> bool:
        """Return whether the process of a service, as last told, has not ended; one on another machine is not looked at."""
        pid = self._states[name].pid
        identity = ProcessIdentity.of(pid) if pid is not None else None
        return pid is None or (identity is not None and identity.is_running)

    def demand_required(self, names: frozenset[str]) -> None:
        """Make sure that each required service among some is up.

        Raises:
            ServiceError: one did not start, is down, refuses what is declared, or is not what was declared.
        """
        self.start(names)
        pings = self.ping(names)
        failed = {name for name, ping in pings.items() if self.environment.demands(name) and not ping.is_up}
        # What failed for want of another that failed is no news beside it.
        roots = [name for name in sorted(failed) if not (self.environment.closure(frozenset({name})) - {name}) & failed]
        if roots:
            raise self._error(pings[roots[0]])

    def demand_endpoints(self, names: frozenset[str]) -> None:
        """Start services; make sure that each required one has an address, also where a remote one does not answer.

        Raises:
            ServiceError: one did not start; the first of a chain of failures is told.
        """
        self.start(names)
        states = [self._states[name] for name in sorted(names) if self.environment.demands(name)]
        if failed := [state for state in states if self.address(state.service) is None]:
            raise min(failed, key=lambda state: state.error == DependencyError.__name__).as_error()

    def address(self, name: str) -> Endpoint | None:
        """Return the endpoint of a service, of a remote one also while it is down; `None` where there is none."""
        spec = self.environment.services[name]
        if name in self.endpoints or spec.source is not Source.REMOTE:
            return self.endpoints.get(name)
        return kind_of(spec).connect(spec, _url(spec))

    def _error(self, ping: Ping) -> ServiceError:
        """Return why a service that is not up is not."""
        name, state = ping.service, self._states.get(ping.service)
        if state is not None and state.endpoint is None:
            return state.as_error()
        if wrong := wrong_identity(self.environment.services[name], ping.identity) if ping.identity else "":
            return IdentityError(name, f"is not what was declared: {wrong}")
        if ping.refused:
            return AccessRefusedError(name, f"refuses what is declared: {ping.detail}")
        return UnreachableError(name, f"is {ping.status}: {ping.detail}")


def ping_absent(spec: ServiceSpec) -> Ping:
    """Ping the URL of a service that is declared absent; one that cannot be pinged is absent indeed."""
    try:
        kind = kind_of(spec)
        return kind.ping(spec, kind.connect(spec, _url(spec)), spec.ping_deadline)
    except EnvmatrixError as error:
        return Ping(service=spec.name, status=PingStatus.ABSENT, detail=MASKER.mask(str(error)))


def _address(endpoint: Endpoint | None) -> tuple[str, int] | None:
    return (endpoint.host, endpoint.port) if endpoint is not None else None


def _url(spec: ServiceSpec) -> str:
    return spec.url.get_secret_value() if spec.url else ""
