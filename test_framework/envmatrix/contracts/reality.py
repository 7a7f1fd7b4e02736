"""What a fixture's values are held against, and which service each field speaks of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from envmatrix.environments import Environment, Source
from envmatrix.runs.ping import Ping
from envmatrix.services import Endpoint


@dataclass(frozen=True, slots=True)
class Reality:
    """What a fixture's values are held against."""

    environment: Environment
    endpoints: Mapping[str, Endpoint]
    """The services that are up."""
    pings: Mapping[str, Ping]
    """What a look at each declared service saw."""

    def available(self, service: str) -> bool:
        """Return whether a ping saw the service up; an undeclared one is not."""
        ping = self.pings.get(service)
        return ping is not None and ping.is_up

    def required(self, service: str) -> bool:
        """Return whether the declaration demands the service."""
        spec = self.environment.services.get(service)
        return spec is not None and spec.is_required

    def url(self, field: str) -> str | None:
        """Return what a URL field must be: `None` where its service is absent or not up."""
        service = service_of(field)
        endpoint = self.endpoints.get(service) if service else None
        if endpoint is None:
            return None
        base = endpoint.url.get_secret_value().rstrip("/")
        spec = self.environment.services[endpoint.service]
        if field == "api_url":
            return base + spec.api
        if field == "websocket_url":
            return "ws" + base.removeprefix("http") + spec.websocket if spec.websocket else None
        return base

    @property
    def api(self) -> Endpoint | None:
        """Return what clients talk to: the backend, or else the service that makes users; `None` where neither is up."""
        users = self.environment.users
        return self.endpoints.get("backend") or (self.endpoints.get(users.service) if users else None)

    def absent(self, service: str) -> bool:
        """Return whether the environment has no such service, by declaration."""
        spec = self.environment.services.get(service)
        return spec is None or spec.source is Source.ABSENT


_FIXED = {
    "api_url": "backend",
    "websocket_url": "backend",
    "http_client": "backend",
    "http_client_sync": "backend",
    "test_jwt_token": "auth",
    "test_api_key": "auth",
    "users": "auth",
    "provider": "llm",
    "model": "llm",
    "base_url": "llm",
    "client": "llm",
    "async_client": "llm",
    "is_real": "llm",
}
"""Fields whose service their name does not tell."""


def service_of(field: str) -> str | None:
    """Return the service that a field speaks of, by its name; `None` for `environment`, `config` and their like."""
    if field in _FIXED:
        return _FIXED[field]
    if field in {"environment", "config", "health_endpoints", "contract_version", "api_key_configured"}:
        return None
    return field.removesuffix("_url").removesuffix("_available").removesuffix("_required")


def services_behind(fields: Iterable[str], environment: Environment) -> frozenset[str]:
    """Return the services that a test uses by reading these fields; flags say something without using it.

    Clients and users talk to the backend, and where there is none to the service that makes users.
    """
    signup = environment.users.service if environment.users else ""
    backend = environment.services.get("backend")
    api = "backend" if backend is not None and backend.source is not Source.ABSENT else signup
    behind: set[str] = set()
    for field in fields:
        if field in {"http_client", "http_client_sync"}:
            behind.add(api)
        elif field in {"users", "test_jwt_token", "test_api_key"}:
            behind |= {api, signup}
        elif not field.endswith(("_available", "_required")):
            behind.add(service_of(field) or "")
    return frozenset(behind & environment.services.keys())
