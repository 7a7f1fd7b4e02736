"""The kind `job`: a command that runs to its end, as a migration does, before what needs it is started."""

from __future__ import annotations

from typing import ClassVar

from pydantic import SecretStr

from envmatrix.environments import ServiceSpec
from envmatrix.exceptions import UsageError
from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.kinds.url_kind import UrlKind

_NOWHERE = "job:"


class JobKind(UrlKind):
    """`kind = "job"`: up once its command has ended with 0. It has no address; that it came up is all there is to know."""

    name = "job"
    schemes: ClassVar = {}

    def address(self, host: str, port: int, *, tls: bool) -> str:
        """Return a URL that says only that there is none."""
        del host, port, tls
        return _NOWHERE

    def connect(self, spec: ServiceSpec, url: str) -> Endpoint:
        """Return an endpoint without an address.

        Raises:
            UsageError: the URL is not that of a job that we run.
        """
        if url != _NOWHERE:
            raise UsageError(
                f"service {spec.name!r} is a job, which has no url", "A job is run by us, before what needs it"
            )
        return Endpoint(service=spec.name, kind=self.name, source=spec.source, url=SecretStr(url), host="", port=0)

    def ping(self, spec: ServiceSpec, endpoint: Endpoint, deadline: float) -> Ping:
        """Return that it is up: only a job that has ended well has an endpoint to be pinged at."""
        del endpoint, deadline
        return Ping(service=spec.name, status=PingStatus.UP, version="exit code 0")


KIND = JobKind()
