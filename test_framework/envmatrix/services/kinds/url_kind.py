"""What kinds share whose servers are reached by a URL, started by a command at most, and not divided."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

from envmatrix.environments import ServiceSpec
from envmatrix.exceptions import StartError
from envmatrix.services.endpoint import Endpoint, endpoint_at
from envmatrix.services.kinds.base import Isolated, StartContext
from envmatrix.services.kinds.isolation import WholeService
from envmatrix.services.processes.launch import Launch


class UrlKind:
    """All of a kind but its `ping`, for those that say no more than their schemes."""

    name: ClassVar[str]
    schemes: ClassVar[Mapping[str, int]]
    """Each scheme and its default port: the one without TLS first, the one with TLS second."""

    def launch(self, spec: ServiceSpec, context: StartContext) -> Launch:
        """Refuse: no wheel ships such a server."""
        del context
        what = f'of kind {self.name!r} cannot be embedded: use source = "process" with a command'
        raise StartError(spec.name, what)

    def address(self, host: str, port: int, *, tls: bool) -> str:
        """Return the root URL."""
        return f"{list(self.schemes)[tls]}://{host}:{port}"

    def connect(self, spec: ServiceSpec, url: str) -> Endpoint:
        """Return the endpoint at a URL of one of the schemes."""
        return endpoint_at(spec, url, schemes=self.schemes)

    def isolate(self, spec: ServiceSpec, endpoint: Endpoint, worker: str) -> AbstractContextManager[Isolated]:
        """Return the whole service: it keeps no state that we know of, or its users keep two workers apart."""
        del spec, worker
        return nullcontext(WholeService(endpoint))
