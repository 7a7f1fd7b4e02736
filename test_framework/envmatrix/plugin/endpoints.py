"""The endpoints that fixtures of any scope may ask for: `matrix_endpoints`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from envmatrix.environments import Source
from envmatrix.plugin.isolation import Isolation
from envmatrix.plugin.session import EnvironmentSession
from envmatrix.services import Endpoint


class Endpoints(Mapping[str, Endpoint]):
    """Service → its endpoint: of a database, say, this worker's own. A service is started when it is first read.

    A service that is absent, or optional and not up, is not in it.
    """

    def __init__(self, session: EnvironmentSession, isolation: Isolation) -> None:
        self._session = session
        self._isolation = isolation
        self.used: set[str] = set()
        """The services that were read."""

    def __getitem__(self, service: str) -> Endpoint:
        """Return the endpoint of a service.

        Raises:
            KeyError: it is not declared, or absent, or optional and not up.
            ServiceError: it is required, and not up.
        """
        if service not in self._declared():
            raise KeyError(service)
        self.used.add(service)
        self._session.demand_required(frozenset({service}))
        if service not in self._session.endpoints:
            raise KeyError(service)
        return self._isolation.of(service).endpoint

    def __iter__(self) -> Iterator[str]:
        return (service for service in self._declared() if service in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<endpoints of {self._session.environment.label}>"

    def _declared(self) -> list[str]:
        services = self._session.environment.services.items()
        return [name for name, spec in services if spec.source is not Source.ABSENT]
