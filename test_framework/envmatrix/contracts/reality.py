"""What the environment really is, for comparison with the values of a fixture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from envmatrix.contracts.meaning import Meaning, Role
from envmatrix.environments import Environment, Source
from envmatrix.runs.ping import Ping
from envmatrix.services import Endpoint
from envmatrix.services.endpoint import websocket_url


@dataclass(frozen=True, slots=True)
class Reality:
    """An environment as declared and as a ping saw it."""

    environment: Environment
    endpoints: Mapping[str, Endpoint]
    """The services that are up."""
    pings: Mapping[str, Ping]
    """The last ping of each declared service."""

    def available(self, service: str) -> bool:
        """Return whether a ping saw the service up; an undeclared one is not."""
        ping = self.pings.get(self.environment.service_named(service))
        return ping is not None and ping.is_up

    def required(self, service: str) -> bool:
        """Return whether the declaration requires the service."""
        spec = self.environment.services.get(self.environment.service_named(service))
        return spec is not None and spec.is_required

    def stands_in(self, service: str) -> bool:
        """Return whether a service is declared as a stand-in, or says itself that it follows a script."""
        spec, ping = self.environment.services.get(service), self.pings.get(service)
        scripted = ping.identity.get("scripted", "") if ping else ""
        return (spec is not None and spec.source is Source.STUB) or scripted.lower() == "true"

    def real(self, service: str) -> bool:
        """Return whether a service is up and no stand-in."""
        return self.available(service) and not self.stands_in(service)

    def url(self, role: Role, service: str) -> str | None:
        """Return the URL of a service, as a field of this role has it; `None` where the service is absent or not up."""
        endpoint = self.endpoints.get(self.environment.service_named(service))
        if endpoint is None:
            return None
        base = endpoint.url.get_secret_value().rstrip("/")
        spec = self.environment.services[endpoint.service]
        if role is Role.API_URL:
            return base + spec.api
        if role is Role.WEBSOCKET_URL:
            return websocket_url(spec, endpoint)
        return base

    @property
    def api(self) -> Endpoint | None:
        """Return the endpoint for clients: the declared service's, else that of the service that makes users; `None` if neither is up."""
        users = self.environment.users
        return self.endpoints.get(self.environment.api) or (self.endpoints.get(users.service) if users else None)

    def absent(self, service: str) -> bool:
        """Return whether the service is undeclared, or declared absent."""
        spec = self.environment.services.get(self.environment.service_named(service))
        return spec is None or spec.source is Source.ABSENT


def services_behind(meanings: Iterable[Meaning], environment: Environment) -> frozenset[str]:
    """Return the services that a test uses by reading fields of these meanings; flags tell without using any.

    Clients and users talk to the service that is declared for it, and where there is none to the one that makes users.
    """
    signup = environment.users.service if environment.users else ""
    spec = environment.services.get(environment.api)
    api = environment.api if spec is not None and spec.source is not Source.ABSENT else signup
    behind: set[str] = set()
    for meaning in meanings:
        if meaning.role is Role.CLIENT:
            behind.add(api)
        elif meaning.role is Role.USER:
            behind |= {api, signup}
        elif not meaning.role.is_flag:
            behind.add(environment.service_named(meaning.service))
    return frozenset(behind & environment.services.keys())
