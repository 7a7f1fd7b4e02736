"""The kind `http`: services with a health path; and the one place that makes httpx clients."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

from envmatrix.environments import ServiceSpec
from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.kinds.url_kind import UrlKind
from envmatrix.services.probes import exchanges
from envmatrix.services.probes.http import HttpAnswer, HttpProbe
from envmatrix.services.probes.probe import IDENTITY_KEYS, Observation, WrongIdentityError, probe, wrong_identity
from envmatrix.services.probes.reason import NoAnswerError
from envmatrix.services.probes.tls import client_context

if TYPE_CHECKING:
    import httpx

_IDLE = 1.0
"""Seconds that an idle connection is kept: servers close theirs after 2 (gunicorn) or 5 (uvicorn, Node), maybe as we send."""


def new_client(endpoint: Endpoint | None, *, timeout: float = 10.0, **options: Any) -> httpx.Client:
    """Return a client of one endpoint, or of none in particular, that ignores proxies and follows no redirects."""
    import httpx  # here, since the supervisor needs the kind and no client

    additions = {"limits": httpx.Limits(keepalive_expiry=_IDLE), "event_hooks": exchanges.hooks()}
    return httpx.Client(**{**_client_options(endpoint, timeout), **additions, **options})


def new_async_client(endpoint: Endpoint | None, *, timeout: float = 10.0, **options: Any) -> httpx.AsyncClient:
    """Return an asynchronous client of one endpoint.

    It keeps no idle connection: a socket belongs to the event loop that opened it, and one kept past its loop could
    neither be used nor closed by the next.
    """
    import httpx

    limits = httpx.Limits(max_keepalive_connections=0)
    additions = {"limits": limits, "event_hooks": exchanges.hooks(asynchronous=True)}
    return httpx.AsyncClient(**{**_client_options(endpoint, timeout), **additions, **options})


def _client_options(endpoint: Endpoint | None, timeout: float) -> dict[str, Any]:
    return {
        "base_url": endpoint.url.get_secret_value() if endpoint else "",
        "verify": client_context(endpoint),
        "timeout": timeout,
        "trust_env": False,
        "follow_redirects": False,
    }


def read_identity(spec: ServiceSpec, answer: HttpAnswer, where: str, more_keys: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the identity in a health answer, as texts.

    Raises:
        NoAnswerError: an identity is demanded, and the answer is no JSON object.
        WrongIdentityError: it is the identity of another service than the declared one.
    """
    body = answer.json_object()
    if body is None:
        if any(spec.identity.values()):
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
    """Return the status of each dependency in a readiness answer: `{"dependencies": {"redis": "down"}}`.

    Others write `checks` or `components`, and `{"redis": {"status": "down"}}`.
    """
    tables = [(body or {}).get(key) for key in ("dependencies", "checks", "components")]
    table: dict[str, Any] = next((table for table in tables if isinstance(table, dict)), {})
    states = {name: state.get("status") if isinstance(state, dict) else state for name, state in table.items()}
    return {name: _MEANINGS.get(_text(state).lower(), _text(state)) for name, state in states.items()}


class HttpKind(UrlKind):
    """`kind = "http"`: a health path tells its identity, a ready path the status of its dependencies."""

    name = "http"
    schemes: ClassVar = {"http": 80, "https": 443}

    def ping(self, spec: ServiceSpec, endpoint: Endpoint, deadline: float) -> Ping:
        """Request the ready path for its status, and the health path for its identity."""

        def observe() -> Observation:
            base = endpoint.url.get_secret_value()
            with HttpProbe(endpoint, deadline) as http:
                ready = http.request(base + spec.ready) if spec.ready else None
                if ready is not None and ready.status not in {200, 503}:
                    raise NoAnswerError(f"GET {spec.ready} answers {ready.status}")
                health = http.request(base + spec.health)
            if health.status != HTTPStatus.OK:
                raise NoAnswerError(f"GET {spec.health} answers {health.status}")
            identity = read_identity(spec, health, f"GET {spec.health}")
            version = " ".join(filter(None, (identity.get("service"), identity.get("version"))))
            dependencies = read_dependencies((ready or health).json_object())
            status, detail = PingStatus.UP, ""
            if ready is not None and ready.status != HTTPStatus.OK:
                lost = [name for name, state in dependencies.items() if state not in {"up", "absent"}]
                broken = ", ".join(lost) or "something it does not name"
                status, detail = PingStatus.DEGRADED, f"not ready: {broken} is down"
            return Observation(
                version,
                identity,
                status,
                detail,
                dependencies,
                skew=health.whole_skew,
                certificate=http.certificate,
            )

        return probe(spec, deadline, observe)


KIND = HttpKind()
