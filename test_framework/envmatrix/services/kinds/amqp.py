"""The kind `amqp`: brokers that speak AMQP 0-9-1, RabbitMQ above all, through py-amqp."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

from pydantic import SecretStr

from envmatrix.environments import ServiceSpec
from envmatrix.exceptions import ServiceError, UnreachableError
from envmatrix.masking import MASKER
from envmatrix.runs.ping import Ping
from envmatrix.services.endpoint import Endpoint, at_database, endpoint_at
from envmatrix.services.kinds.amqp_client import observed, session
from envmatrix.services.kinds.base import Isolated
from envmatrix.services.kinds.http import new_client
from envmatrix.services.kinds.isolation import removing
from envmatrix.services.kinds.left import Left, messages_left
from envmatrix.services.kinds.part_names import part_name, stale
from envmatrix.services.kinds.url_kind import UrlKind
from envmatrix.services.probes.probe import probe
from envmatrix.services.probes.reason import reason_of
from envmatrix.services.processes.wheels import need

if TYPE_CHECKING:
    import amqp
    import httpx

_GUEST = "guest"
"""User and password of a URL that names none: by AMQP's own custom, on this machine alone."""
_EVERYTHING = {"configure": ".*", "write": ".*", "read": ".*"}
_NO_ADMINISTRATOR = frozenset({401, 403})


class AmqpKind(UrlKind):
    """`kind = "amqp"`. A worker gets a virtual host of its own where `management` is declared, else a prefix."""

    name = "amqp"
    schemes: ClassVar = {"amqp": 5672, "amqps": 5671}

    def connect(self, spec: ServiceSpec, url: str) -> Endpoint:
        """Return the endpoint at an amqp or amqps URL; its path is the virtual host, by default `/`."""
        need("amqp", "amqp")
        endpoint = endpoint_at(spec, url, schemes=self.schemes, user=_GUEST, database="/")
        if endpoint.user == _GUEST and not endpoint.field("password"):
            return endpoint.model_copy(update={"password": SecretStr(_GUEST)})
        return endpoint

    def ping(self, spec: ServiceSpec, endpoint: Endpoint, deadline: float) -> Ping:
        """Log in; the broker's product, version and cluster come with its greeting."""
        return probe(spec, deadline, lambda: observed(spec, endpoint, deadline))

    @contextmanager
    def isolate(self, spec: ServiceSpec, endpoint: Endpoint, worker: str) -> Iterator[Isolated]:
        """Create a virtual host, and delete it at the end with its queues; a prefix is a promise that tests keep."""
        name = part_name(worker)
        if not spec.management:
            yield _Prefix(endpoint.model_copy(update={"prefix": f"{name}."}))
            return
        if spec.outlives_run:
            self.drop_parts(spec, endpoint, stale)
        with _management(spec, endpoint) as api:
            api.put(f"/api/vhosts/{name}")
        try:
            with _management(spec, endpoint) as api:
                api.put(f"/api/permissions/{name}/{quote(endpoint.user, safe='')}", json=_EVERYTHING)
            yield _VirtualHost(spec, at_database(endpoint, name))
        finally:
            with removing(spec, f"the virtual host {name}"), _management(spec, endpoint) as api:
                api.delete(f"/api/vhosts/{name}")

    def drop_parts(self, spec: ServiceSpec, endpoint: Endpoint, choose: Callable[[Iterable[str]], list[str]]) -> None:
        """Delete the chosen virtual hosts."""
        if not spec.management:
            return
        with _management(spec, endpoint) as api:
            for name in choose(each["name"] for each in api.get("/api/vhosts?columns=name").json()):
                with suppress(UnreachableError):  # another run is deleting it
                    api.delete(f"/api/vhosts/{name}")


@dataclass(frozen=True)
class _Prefix:
    """A worker's part of a broker that we may not divide: the names that begin so."""

    endpoint: Endpoint

    def reset(self) -> None:
        """Do nothing: without management nobody tells which queues there are."""


class _VirtualHost:
    """A worker's own virtual host."""

    def __init__(self, spec: ServiceSpec, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._spec = spec

    def reset(self) -> tuple[Left, ...]:
        """Purge each queue; return how many messages were waiting in it."""
        with _management(self._spec, self.endpoint) as api:
            queues = api.get(f"/api/queues/{self.endpoint.database}?columns=name,exclusive,type").json()
        names = [each["name"] for each in queues if not each.get("exclusive") and each.get("type") != "stream"]
        if not names:
            return ()
        with session(self._spec, self.endpoint) as connection:
            return messages_left((name, purge(connection, name)) for name in names)


def purge(connection: amqp.Connection, queue: str) -> int:
    """Purge a queue; return the number of its messages."""
    from amqp import NotFound

    with connection.channel() as channel, suppress(NotFound):  # it went with its last consumer
        return int(channel.queue_purge(queue))
    return 0


@contextmanager
def _management(spec: ServiceSpec, endpoint: Endpoint) -> Iterator[httpx.Client]:
    """Give a client of the management API for a few requests, and turn its errors into ours.

    Raises:
        ServiceError: its user is no administrator.
        UnreachableError: it does not answer, or refuses a request.
    """
    import httpx

    def check(response: httpx.Response) -> None:
        response.raise_for_status()

    options = {"auth": (endpoint.user, endpoint.field("password")), "timeout": spec.ping_deadline}
    try:
        with new_client(endpoint, base_url=spec.management, event_hooks={"response": [check]}, **options) as client:
            yield client
    except httpx.HTTPStatusError as error:
        status, path = error.response.status_code, error.request.url.path
        if status in _NO_ADMINISTRATOR:
            what = f"cannot be divided: {spec.management} answers {status}; its user needs the tag administrator"
            raise ServiceError(spec.name, what) from None
        raise UnreachableError(spec.name, f"its management answers {status} to {path}") from error
    except httpx.HTTPError as error:
        reason = MASKER.mask(reason_of(error, spec.ping_deadline))
        raise UnreachableError(spec.name, f"its management does not answer: {reason}") from error


KIND = AmqpKind()
