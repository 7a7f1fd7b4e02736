"""Services that speak HTTP and say on a health path who they are; and httpx clients, made here alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from envmatrix.environments import ServiceSpec
from envmatrix.exceptions import StartError
from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.services.kinds.base import Endpoint, Isolated, Launch, StartContext
from envmatrix.services.probes import exchanges
from envmatrix.services.probes.look import (
    IDENTITY_KEYS,
    NoAnswerError,
    Sight,
    Whole,
    WrongIdentityError,
    client_context,
    endpoint_at,
    look,
    wrong_identity,
)
from envmatrix.services.probes.visit import Answer, Visit

if TYPE_CHECKING:
    import httpx

__all__ = ["KIND", "client_context", "new_async_client", "new_client"]

SCHEMES = {"http": 80, "https": 443}


def new_client(endpoint: Endpoint | None, *, timeout: float = 10.0, **options: Any) -> httpx.Client:
    """Return a client of one endpoint, or of none in particular, that ignores proxies and follows no redirects."""
    import httpx  # here, since the supervisor needs the kind and no client

    return httpx.Client(**{**_client_options(endpoint, timeout), "event_hooks": exchanges.hooks(), **options})


def new_async_client(endpoint: Endpoint | None, *, timeout: float = 10.0, **options: Any) -> httpx.AsyncClient:
    """Return an asynchronous client of one endpoint.

    It keeps no idle connection: a socket belongs to the event loop that opened it, and one kept past its loop could
    neither be used nor closed by the next.
    """
    import httpx

    limits = httpx.Limits(max_keepalive_connections=0)
    noted = {"limits": limits, "event_hooks": exchanges.hooks(asynchronous=True)}
    return httpx.AsyncClient(**{**_client_options(endpoint, timeout), **noted, **options})


def _client_options(endpoint: Endpoint | None, timeout: float) -> dict[str, Any]:
    return {
        "base_url": endpoint.url.get_secret_value() if endpoint else "",
        "verify": client_context(endpoint.ca_file if endpoint else ""),
        "timeout": timeout,
        "trust_env": False,
        "follow_redirects": False,
    }


def read_identity(spec: ServiceSpec, answer: Answer, where: str, more_keys: tuple[str, ...] = ()) -> dict[str, str]:
    """Return what a health answer claims to be, as texts.

    Raises:
        NoAnswerError: it should be JSON and is not.
        WrongIdentityError: it claims to be another service than the declared one.
    """
    body = answer.json_object()
    if body is None:
        if answer.is_json or spec.identity:
            raise NoAnswerError(f"{where} answers {answer.status} without a JSON object: {answer.excerpt!r}")
        return {}
    keys = {*IDENTITY_KEYS, *more_keys, *spec.identity}
    identity = {key: _text(body[key]) for key in sorted(keys & body.keys()) if not isinstance(body[key], dict | list)}
    if wrong := wrong_identity(spec, identity):
        raise WrongIdentityError(wrong, identity)
    return identity


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


_MEANINGS = {
    **dict.fromkeys(("up", "ok", "pass", "passing", "healthy", "ready", "true"), "up"),
    **dict.fromkeys(("down", "fail", "failed", "failing", "error", "critical", "unhealthy", "false"), "down"),
    **dict.fromkeys(("absent", "disabled"), "absent"),
}
"""Words that health answers use, and what they mean."""


def read_dependencies(body: Mapping[str, Any] | None) -> dict[str, str]:
    """Return what a readiness answer says of each dependency: `{"dependencies": {"redis": "down"}}`.

    Others write `checks` or `components`, and `{"redis": {"status": "down"}}`.
    """
    tables = [(body or {}).get(key) for key in ("dependencies", "checks", "components")]
    table: dict[str, Any] = next((table for table in tables if isinstance(table, dict)), {})
    states = {name: state.get("status") if isinstance(state, dict) else state for name, state in table.items()}
    return {name: _MEANINGS.get(_text(state).lower(), _text(state)) for name, state in states.items()}


class HttpKind:
    """`kind = "http"`: a health path for who it is, a ready path for how its dependencies are."""

    name = "http"

    def launch(self, spec: ServiceSpec, context: StartContext) -> Launch:
        """Refuse: no HTTP service comes out of a wheel."""
        del context
        raise StartError(spec.name, "of kind 'http' cannot be embedded: use source = \"process\" with a command")

    def address(self, spec: ServiceSpec, host: str, port: int, *, tls: bool) -> str:
        """Return the root URL."""
        del spec
        return f"{'https' if tls else 'http'}://{host}:{port}"

    def connect(self, spec: ServiceSpec, url: str) -> Endpoint:
        """Return the endpoint at an http(s) URL."""
        return endpoint_at(spec, url, schemes=SCHEMES)

    def ping(self, spec: ServiceSpec, endpoint: Endpoint, deadline: float) -> Ping:
        """Ask the ready path whether it can work, and the health path who it is."""

        def see() -> Sight:
            base = endpoint.url.get_secret_value()
            with Visit(endpoint, deadline) as visit:
                ready = visit.ask(base + spec.ready) if spec.ready else None
                if ready is not None and ready.status not in {200, 503}:
                    raise NoAnswerError(f"GET {spec.ready} answers {ready.status}")
                health = visit.ask(base + spec.health)
            if health.status != HTTPStatus.OK:
                raise NoAnswerError(f"GET {spec.health} answers {health.status}")
            identity = read_identity(spec, health, f"GET {spec.health}")
            version = " ".join(filter(None, (identity.get("service"), identity.get("version"))))
            said = read_dependencies((ready or health).json_object())
            if ready is None or ready.status == HTTPStatus.OK:
                return Sight(version, identity, dependencies=said)
            lost = [name for name, state in said.items() if state not in {"up", "absent"}]
            broken = ", ".join(lost) or "something it does not name"
            return Sight(version, identity, PingStatus.DEGRADED, f"not ready: {broken} is down", said)

        return look(spec, deadline, see)

    def isolate(self, spec: ServiceSpec, endpoint: Endpoint, worker: str) -> AbstractContextManager[Isolated]:
        """Give the whole service: its users are what keeps two workers apart."""
        del spec, worker
        return nullcontext(Whole(endpoint))


KIND = HttpKind()
