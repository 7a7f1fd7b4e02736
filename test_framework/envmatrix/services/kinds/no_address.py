"""What kinds share that serve nothing: a program that runs to its end, or behind the others."""

from __future__ import annotations

from typing import ClassVar

from pydantic import SecretStr

from envmatrix.environments import ServiceSpec
from envmatrix.exceptions import UsageError
from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.kinds.url_kind import UrlKind


class NoAddressKind(UrlKind):
    """A kind without an address: whether it is up, only its supervisor knows."""

    schemes: ClassVar = {}
    version: ClassVar[str]
    """What a ping of it tells."""

    def address(self, host: str, port: int, *, tls: bool) -> str:
        """Return a URL that says only that there is none."""
        del host, port, tls
        return f"{self.name}:"

    def connect(self, spec: ServiceSpec, url: str) -> Endpoint:
        """Return an endpoint without an address.

        Raises:
            UsageError: the URL is not that of a service that we run.
        """
        if url != f"{self.name}:":
            what = f"service {spec.name!r} is of kind {self.name!r}, which has no url"
            raise UsageError(what, "It is run by us, for what needs it")
        return Endpoint(service=spec.name, kind=self.name, source=spec.source, url=SecretStr(url), host="", port=0)

    def ping(self, spec: ServiceSpec, endpoint: Endpoint, deadline: float) -> Ping:
        """Return that it is up: it had to be, for there to be an endpoint; its supervisor corrects what has changed since."""
        del endpoint, deadline
        return Ping(service=spec.name, status=PingStatus.UP, version=self.version)
