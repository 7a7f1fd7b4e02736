"""One process's view of the selected environment: start it, look at it, build the fixtures' values from it."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest
from msgspec import structs

from envmatrix.contracts import Contract, Reality, contract_classes, services_behind
from envmatrix.environments import Environment, ServiceSpec, Source, load_file
from envmatrix.exceptions import EnvmatrixError, IdentityError, UnreachableError, UserError
from envmatrix.masking import MASKER
from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.services import Endpoint, get_kind
from envmatrix.services.kinds.base import Isolated, Left
from envmatrix.services.probes.access import Access, ask_protected
from envmatrix.services.probes.look import wrong_identity
from envmatrix.services.supervisor import RelayedClient, SupervisorClient
from envmatrix.services.supervisor.states import ServiceState
from envmatrix.services.users import Target, User, Users

if TYPE_CHECKING:
    from envmatrix.plugin.selection import Selection

_TOKEN_MARGIN = 30.0
"""Seconds. A token with less left than this is renewed before the next test gets it."""

_QUICK = 0.25
"""Seconds. A look that took less is repeated whenever its answer would fail a test."""

_LOOKS_AT_WHAT_FAILS = 3
"""k of n, as load balancers and Kubernetes' failureThreshold count: one failed look is no outage."""

_STARTED = frozenset({Source.PROCESS, Source.STUB, Source.EMBEDDED})

_PATIENCE = 10.0
"""A service that hung is left alone for ten times as long as the look took: it must not cost every later test its whole
deadline again."""


class EnvironmentSession:
    """The selected environment, as one process (the only one, or an xdist worker) uses it.

    Nothing is started, connected to or asked before the first test that needs it.
    """

    def __init__(
        self, config: pytest.Config, selection: Selection, client: SupervisorClient | RelayedClient, worker: str
    ) -> None:
        self.config = config
        self.environment: Environment = selection.environment
        self.label = selection.environment.label
        self.worker = worker
        self.selection = selection
        self.contracts = contract_classes(selection.project)
        self._client = client
        self._states: dict[str, ServiceState] = {}
        self._pings: dict[str, Ping] = {}
        self._ask_again_at: dict[str, float] = {}
        self._stack = ExitStack()
        self._isolated: dict[str, Isolated] = {}
        self._users: Users | None = None
        self._user: User | None = None
        self._api_key: str | None = None

    # What is there

    def want(self, names: frozenset[str]) -> None:
        """Have services started in the background."""
        if closure := self.environment.closure(names):
            self._client.want(sorted(closure))

    def start(self, names: frozenset[str]) -> None:
        """Start or connect to services, and all they reference; returns when each is up or has failed."""
        missing = self.environment.closure(names) - self._states.keys()
        if not missing:
            return
        started = self._client.start(sorted(missing))
        if started.variables and self.environment.twin is not None:
            MASKER.add_all(_passwords(started.variables.values()))
            variables = {**self.selection.variables, **started.variables}
            self.environment = load_file(self.environment.file, variables)
        for state in started.states.values():
            if state.endpoint is not None:
                MASKER.add(state.endpoint.field("password"))
        self._states.update(started.states)

    @property
    def endpoints(self) -> dict[str, Endpoint]:
        """Return the endpoints of the declared services that came up; what a twin is made of is none of them."""
        return {
            name: state.endpoint
            for name, state in self._states.items()
            if state.endpoint is not None and name in self.environment.services
        }

    def ping(self, names: Iterable[str], *, fresh: bool = False, looks: int = 1) -> dict[str, Ping]:
        """Look at services, all at once. What was up is asked again only with `fresh`: after a failure.

        What was down is asked again before the next test: a blip must not outlive itself. Each is looked at `looks`
        times, and three times where a look fails: the majority tells, not the last answer.
        """
        wanted = sorted(names)
        unknown = [name for name in wanted if fresh or self._is_stale(name)]
        if unknown:
            began = time.monotonic()
            with ThreadPoolExecutor(max_workers=len(unknown)) as pool:
                self._pings.update(zip(unknown, pool.map(partial(self._looks, looks), unknown), strict=True))
            ended = time.monotonic()
            took = ended - began
            wait = _PATIENCE * took if took > _QUICK else 0.0
            self._ask_again_at.update(dict.fromkeys(unknown, ended + wait))
        return {name: self._pings[name] for name in wanted}

    def last_pings(self, names: Iterable[str]) -> dict[str, Ping]:
        """Return what services said when they were last looked at; nothing of those that never were."""
        return {name: self._pings[name] for name in sorted(names) if name in self._pings}

    def _looks(self, number: int, name: str) -> Ping:
        """Look so many times, three times where a look fails; a look that took its time is not repeated."""
        seen: list[Ping] = []
        while len(seen) < number:
            began = time.monotonic()
            seen.append(self._ping(name))
            if time.monotonic() - began > _QUICK or seen[-1].status is PingStatus.ABSENT:
                break
            if not seen[-1].is_up:
                number = max(number, _LOOKS_AT_WHAT_FAILS)
        return majority(seen)

    def _is_stale(self, name: str) -> bool:
        ping = self._pings.get(name)
        if ping is None:
            return True
        settled = ping.is_up or ping.status is PingStatus.ABSENT
        return not settled and time.monotonic() >= self._ask_again_at[name]

    def _ping(self, name: str) -> Ping:
        spec = self.environment.services[name]
        if spec.source is Source.ABSENT:
            return Ping(service=name, status=PingStatus.ABSENT, detail=f"absent by {self.environment.file.name}")
        state = self._states.get(name)
        if state is None or state.endpoint is None:
            reason = state.reason if state else "not started: no test needs it"
            return Ping(service=name, status=PingStatus.DOWN, detail=MASKER.mask(reason))
        return get_kind(spec.kind, name).ping(spec, state.endpoint, spec.ping_deadline)

    def reality(self) -> Reality:
        """Return what the fixtures' values are held against: every declared service, started and looked at."""
        names = frozenset(self.environment.services)
        self.start(names)
        return Reality(self.environment, self.endpoints, self.ping(names))

    def access(self, names: Iterable[str], foreign: str | None = None) -> tuple[Access, ...]:
        """Ask the protected path of each service among some that has one and is up, with the fixture's token.

        A health path is the service's own word; this is a look at its work. A refused token is renewed, once; but not
        one that is `foreign`, of a fixture that is not ours.
        """
        found = [name for name in sorted(names) if self._may_be_asked(name)]
        if not found:
            return ()
        user = self._user
        token = foreign or (user.token if user else None)
        headers = {"Authorization": f"Bearer {str.__str__(token)}"} if token else {}
        asked = tuple(ask_protected(self.environment.services[name], self.endpoints[name], headers) for name in found)
        if user is not None and token == user.token and any(access.is_refused for access in asked):
            self._user = replace(user, token=self._user_token(user))
        return asked

    def renewed_access(self, names: Iterable[str]) -> tuple[Access, ...]:
        """Ask like `access`; where the token was refused, once more with the renewed one."""
        if any(map(self._may_be_asked, names)):
            self.default_user()
        asked = self.access(names)
        return self.access(names) if any(access.is_refused for access in asked) else asked

    def _user_token(self, user: User) -> str:
        users = self.users()
        try:
            return users.token_for(user) if users else user.token
        except (UserError, httpx.TransportError):
            return user.token  # it stays refused, and the next look says so

    def _may_be_asked(self, name: str) -> bool:
        spec = self.environment.services[name]
        ping = self._pings.get(name)
        return bool(spec.protected) and name in self.endpoints and ping is not None and ping.is_up

    def attest(self, *, fresh: bool = False) -> dict[str, Ping]:
        """Return what each service that is in use said it is; asked anew with `fresh`.

        An absent one that is declared with a URL is looked at once: tests go by the declaration, an attestation does not.
        """
        used = [name for name in self.environment.services if name in self._states or name in self._pings]
        return {**(self.ping(used, fresh=True) if fresh else self.last_pings(used)), **self._not_so_absent}

    @cached_property
    def _not_so_absent(self) -> dict[str, Ping]:
        declared = self.environment.services.items()
        return {name: _look_there(spec) for name, spec in declared if spec.source is Source.ABSENT and _url(spec)}

    def log_tails(self, names: Iterable[str]) -> dict[str, str]:
        """Return the end of the log of each service among some that we started, masked; empty ones are left out."""
        started = [name for name in sorted(names) if self.environment.services[name].source in _STARTED]
        return {name: tail for name, tail in self._client.log_tails(started).items() if tail}

    def demand_required(self, names: frozenset[str]) -> None:
        """Make sure that each required service among some is up.

        Raises:
            ServiceError: one did not start, is down, or is not what was declared.
        """
        self.start(names)
        for name, ping in self.ping(names).items():
            if not self.environment.services[name].is_required or ping.is_up:
                continue
            state = self._states.get(name)
            if state is not None and state.endpoint is None:
                raise state.as_error()
            if wrong := wrong_identity(self.environment.services[name], ping.identity) if ping.identity else "":
                raise IdentityError(name, f"is not what was declared: {wrong}")
            raise UnreachableError(name, f"is {ping.status}: {ping.detail}")

    # What the fixtures hand out

    def build(self, fixture: str, contract: type[Contract], scope: ExitStack) -> Contract:
        """Build a contract fixture's value; what must be closed after the test goes into `scope`.

        Raises:
            ServiceError: a required service is not up.
            UserError: the environment refused to make a user.
        """
        from envmatrix.plugin.values import llm_values, services_values

        if fixture == "real_llm":
            self.demand_required(self.environment.closure(frozenset({"llm"} & self.environment.services.keys())))
            return contract.model_construct(**llm_values(self, scope))
        self.demand_required(frozenset(self.environment.services))
        values = services_values(self, contract, scope)
        return contract.model_construct(**{field: values[field] for field in contract.model_fields})

    def isolated(self, service: str) -> Isolated | None:
        """Return this worker's own part of a service; made at the first call, removed when the process ends."""
        endpoint = self.endpoints.get(service)
        if endpoint is None or not self.ping([service])[service].is_up:
            return None
        if service not in self._isolated:
            spec = self.environment.services[service]
            part = get_kind(spec.kind, service).isolate(spec, endpoint, self.worker)
            self._isolated[service] = self._stack.enter_context(part)
        return self._isolated[service]

    def reset(self, fields: Iterable[str]) -> tuple[Left, ...]:
        """Empty this worker's part of the services behind the fields that a test read; return what was left in them."""
        left: list[Left] = []
        for service in sorted(services_behind(fields, self.environment)):
            if (isolated := self._isolated.get(service)) is not None:
                found = isolated.reset()  # somebody else's kind may return nothing, or texts of its own
                for each in found if isinstance(found, tuple) else ():
                    thing = each if isinstance(each, Left) else Left("", place=str(each))
                    left.append(replace(thing, place=f"{MASKER.mask(thing.place)[:300]} of {service}"))
        return tuple(left)

    # Users

    def target(self) -> Target | None:
        """Return where users come from; `None` where the environment makes none."""
        routes = self.environment.users
        if routes is None or routes.service not in self.endpoints:
            return None
        signup = self.endpoints[routes.service]
        reality = Reality(self.environment, self.endpoints, {})
        return Target(routes, signup, self.endpoints.get("backend", signup), reality.url("websocket_url"))

    def users(self) -> Users | None:
        """Return this process's maker of users."""
        target = self.target()
        if self._users is None and target is not None:
            users = Users(target, f"{secrets.token_hex(3)}-{self.worker}")
            remote = self.environment.services[target.routes.service].source is Source.REMOTE
            self._stack.callback(self._close_users, users, delete=remote)
            self._users = users
        return self._users

    def _close_users(self, users: Users, *, delete: bool) -> None:
        left = users.close(delete=delete)
        if delete and left:
            sys.stderr.write(
                f"envmatrix: {left} of our users may still be in {self.label}: deleting them was refused\n"
            )

    def default_user(self) -> User | None:
        """Return the user whose token the fixture hands out, the token renewed before it expires."""
        users = self.users()
        if users is None:
            return None
        if self._user is None:
            self._user = users("default")
        elif _seconds_left(self._user.token) < _TOKEN_MARGIN:
            self._user = replace(self._user, token=users.token_for(self._user))
        return self._user

    def default_api_key(self) -> str | None:
        """Return that user's API key; `None` where the environment has no keys."""
        if self._api_key is None and self._users is not None and self._user is not None:
            self._api_key = self._users.api_key_for(self._user)
        return self._api_key

    def close(self) -> None:
        """Give back what this process took: its databases, keys and users."""
        self._stack.close()


def majority(seen: Sequence[Ping]) -> Ping:
    """Return what most of some looks at one service saw, and how many failed."""
    failed = [ping for ping in seen if not ping.is_up]
    up = [ping for ping in seen if ping.is_up]
    ping = (up if len(up) > len(failed) else failed)[-1]
    if up and failed:
        ping = structs.replace(ping, detail=f"answered {len(up)} of {len(seen)} looks: {failed[-1].detail}")
    return structs.replace(ping, looks=len(seen), failed_looks=len(failed))


def _url(spec: ServiceSpec) -> str:
    return spec.url.get_secret_value() if spec.url else ""


def _look_there(spec: ServiceSpec) -> Ping:
    """Look where an absent service would be; what cannot be looked at was not seen."""
    try:
        kind = get_kind(spec.kind, spec.name)
        return kind.ping(spec, kind.connect(spec, _url(spec)), spec.ping_deadline)
    except EnvmatrixError as error:
        return Ping(service=spec.name, status=PingStatus.ABSENT, detail=MASKER.mask(str(error)))


def _passwords(urls: Iterable[str]) -> Iterable[str | None]:
    return (urlsplit(url).password for url in urls if "://" in url)


def _seconds_left(token: str) -> float:
    """Return the seconds until a JWT expires; unlimited where it does not tell. Nothing is verified here."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"]) - time.time()
    except (IndexError, KeyError, ValueError, TypeError, binascii.Error):
        return float("inf")
