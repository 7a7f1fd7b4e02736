"""One process's view of the selected environment: start it, look at it, build the fixtures' values from it."""

from __future__ import annotations

import base64
import binascii
import json
import os
import secrets
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from test_framework.contracts import CONTRACT_VERSION, Contract, Reality, contract_classes, service_of, services_behind
from test_framework.environments import Environment, Source, load_file, read_env_file
from test_framework.exceptions import StartError, UnreachableError
from test_framework.masking import MASKER
from test_framework.services import Endpoint, Ping, PingStatus, get_kind
from test_framework.services.base import Isolated
from test_framework.services.http import new_async_client, new_client
from test_framework.services.openai_client import new_openai_clients
from test_framework.services.states import ServiceState
from test_framework.services.supervisor import SupervisorClient
from test_framework.users import Target, User, Users

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

    from test_framework.plugin.setup import Selection

_TOKEN_MARGIN = 30.0
"""Seconds. A token with less left than this is renewed before the next test gets it."""

_QUICK = 0.25
"""Seconds. A look that took less is repeated whenever its answer would fail a test."""

_PATIENCE = 10.0
"""A service that hung is left alone for ten times as long as the look took: it must not cost every later test its whole
deadline again."""


class EnvironmentSession:
    """The selected environment, as one process (the only one, or an xdist worker) uses it.

    Nothing is started, connected to or asked before the first test that needs it.
    """

    def __init__(self, config: pytest.Config, selection: Selection, run_dir: Path, worker: str) -> None:
        self.config = config
        self.environment: Environment = selection.environment
        self.label = selection.environment.label
        self.worker = worker
        self.selection = selection
        self.contracts = contract_classes(selection.project)
        self._client = SupervisorClient(run_dir, self.environment.name, selection.directory, selection.env_file)
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
            variables = {**read_env_file(self.selection.env_file), **os.environ, **started.variables}
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

    def ping(self, names: Iterable[str], *, fresh: bool = False) -> dict[str, Ping]:
        """Look at services, all at once. What was up is asked again only with `fresh`: after a failure.

        What was down is asked again before the next test: a blip must not outlive itself.
        """
        wanted = sorted(names)
        unknown = [name for name in wanted if fresh or self._is_stale(name)]
        if unknown:
            began = time.monotonic()
            with ThreadPoolExecutor(max_workers=len(unknown)) as pool:
                self._pings.update(zip(unknown, pool.map(self._ping, unknown), strict=True))
            ended = time.monotonic()
            took = ended - began
            wait = _PATIENCE * took if took > _QUICK else 0.0
            self._ask_again_at.update(dict.fromkeys(unknown, ended + wait))
        return {name: self._pings[name] for name in wanted}

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

    def demand_required(self, names: frozenset[str]) -> None:
        """Make sure that each required service among some is up.

        Raises:
            StartError: one did not start.
            UnreachableError: one is down.
        """
        self.start(names)
        for name, ping in self.ping(names).items():
            if not self.environment.services[name].is_required or ping.is_up:
                continue
            state = self._states.get(name)
            if state is not None and state.endpoint is None:
                raise StartError(name, f"did not start: {state.reason}", state.log_tail)
            raise UnreachableError(name, f"is {ping.status}: {ping.detail}")

    # What the fixtures hand out

    def build(self, fixture: str, contract: type[Contract], scope: ExitStack) -> Contract:
        """Build a contract fixture's value; what must be closed after the test goes into `scope`.

        Raises:
            ServiceError: a required service is not up.
            UserError: the environment refused to make a user.
        """
        if fixture == "real_llm":
            return self._build_llm(contract, scope)
        self.demand_required(frozenset(self.environment.services))
        reality = self.reality()
        values = self._services_values(scope)
        for added in self.config.hook.pytest_envmatrix_contract_fields(
            environment=self.environment, endpoints=self.endpoints
        ):
            values.update(added)
        for field in contract.model_fields.keys() - values.keys():
            values[field] = self._value_by_name(field, reality)
        return contract.model_construct(**{field: values[field] for field in contract.model_fields})

    def _services_values(self, scope: ExitStack) -> dict[str, Any]:
        target = self.target()
        headers = {}
        if (user := self._default_user()) is not None:
            headers = user.headers
        base = target.api if target else self.endpoints.get("backend")
        client = new_async_client(base, headers=headers)
        return {
            "environment": self.environment.name,
            "config": self.environment.masked(),
            "http_client": client,
            "http_client_sync": scope.enter_context(new_client(base, headers=headers)),
            "test_jwt_token": user.token if user else None,
            "test_api_key": self._default_api_key(),
            "health_endpoints": self._health_endpoints(),
            "users": self.users(),
            "contract_version": CONTRACT_VERSION,
        }

    def _value_by_name(self, field: str, reality: Reality) -> Any:
        service = service_of(field) or field
        if field.endswith("_available"):
            return reality.available(service)
        if field.endswith("_required"):
            return reality.required(service)
        if field.endswith("_url"):
            return reality.url(field)
        isolated = self._isolate(service)
        return isolated.endpoint if isolated else None

    def _build_llm(self, contract: type[Contract], scope: ExitStack) -> Contract:
        self.demand_required(self.environment.closure(frozenset({"llm"} & self.environment.services.keys())))
        spec = self.environment.services.get("llm")
        endpoint = self.endpoints.get("llm")
        ping = self.ping(["llm"])["llm"] if spec else None
        available = ping is not None and ping.is_up
        client: OpenAI | None = None
        async_client: AsyncOpenAI | None = None
        if spec is not None and endpoint is not None:
            client, async_client = new_openai_clients(spec, endpoint)
            scope.callback(client.close)
        identity = ping.identity if ping else {}
        values: dict[str, Any] = {
            "environment": self.environment.name,
            "llm_available": available,
            "provider": identity.get("provider", spec.kind if spec else ""),
            "model": (spec.model if spec else None) or identity.get("model", ""),
            "base_url": endpoint.field("url") if endpoint else None,
            "api_key_configured": spec is not None and spec.api_key is not None,
            "client": client,
            "async_client": async_client,
            "is_real": available
            and spec is not None
            and spec.source is not Source.STUB
            and identity.get("scripted", "false").lower() != "true",
        }
        return contract.model_construct(**values)

    def _health_endpoints(self) -> dict[str, str]:
        """Return where each service says who it is: a language model only if it does, for most have no such path."""
        speaking = {
            name: spec
            for name, spec in self.environment.services.items()
            if name in self.endpoints
            and (spec.kind == "http" or (spec.kind == "openai" and self.ping([name])[name].identity))
        }
        bases = {name: self.endpoints[name].field("url").rstrip("/") for name in speaking}
        return {name: bases[name].removesuffix("/v1") + spec.health for name, spec in speaking.items()}

    def _isolate(self, service: str) -> Isolated | None:
        """Return this worker's own part of a service; made at the first call, removed when the process ends."""
        endpoint = self.endpoints.get(service)
        if endpoint is None or not self.ping([service])[service].is_up:
            return None
        if service not in self._isolated:
            spec = self.environment.services[service]
            part = get_kind(spec.kind, service).isolate(spec, endpoint, self.worker)
            self._isolated[service] = self._stack.enter_context(part)
        return self._isolated[service]

    def reset(self, fields: Iterable[str]) -> None:
        """Empty this worker's part of the services behind the fields that a test read."""
        for service in services_behind(fields, self.environment):
            if (isolated := self._isolated.get(service)) is not None:
                isolated.reset()

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

    def _default_user(self) -> User | None:
        users = self.users()
        if users is None:
            return None
        if self._user is None:
            self._user = users("default")
        elif _seconds_left(self._user.token) < _TOKEN_MARGIN:
            self._user = replace(self._user, token=users.token_for(self._user))
        return self._user

    def _default_api_key(self) -> str | None:
        if self._api_key is None and self._users is not None and self._user is not None:
            self._api_key = self._users.api_key_for(self._user)
        return self._api_key

    def close(self) -> None:
        """Give back what this process took: its databases, keys and users."""
        self._stack.close()


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
