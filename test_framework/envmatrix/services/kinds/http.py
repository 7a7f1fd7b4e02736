"""The kind `http`: services with a health path; and the one place that makes httpx clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from envmatrix.environments import ServiceSpec
from envmatrix.runs.ping import Ping
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.kinds.http_health import look
from envmatrix.services.kinds.url_kind import UrlKind
from envmatrix.services.probes import exchanges
from envmatrix.services.probes.probe import probe
from envmatrix.services.probes.tls import client_context

if TYPE_CHECKING:
    import httpx

_IDLE = 1.0
"""Seconds that an idle connection is kept: servers close theirs after 2 (gunicorn) or 5 (uvicorn, Node), maybe as we send."""


def new_client(endpoint: Endpoint | None, **options: Any) -> httpx.Client:
    """Return a client of one endpoint, or of none in particular, that ignores proxies and follows no redirects.

    It carries what the service declares, its `auth` too; `auth=None` leaves that out.
    """
    import httpx  # here, since the supervisor needs the kind and no client

    additions = {"limits": httpx.Limits(keepalive_expiry=_IDLE), "event_hooks": exchanges.hooks()}
    return httpx.Client(**{**additions, **_client_options(endpoint, options)})


def new_async_client(endpoint: Endpoint | None, **options: Any) -> httpx.AsyncClient:
    """Return an asynchronous client of one endpoint.

    It keeps no idle connection: a socket belongs to the event loop that opened it, and one kept past its loop could
    neither be used nor closed by the next.
    """
    import httpx

    limits = httpx.Limits(max_keepalive_connections=0)
    additions = {"limits": limits, "event_hooks": exchanges.hooks(asynchronous=True)}
    return httpx.AsyncClient(**{**additions, **_client_options(endpoint, options)})


def _client_options(endpoint: Endpoint | None, options: dict[str, Any]) -> dict[str, Any]:
    ours: dict[str, Any] = {"verify": client_context(endpoint), "trust_env": False, "follow_redirects": False}
    ours["timeout"] = endpoint.timeout if endpoint else 10.0
    if endpoint is None:
        return {**ours, **options}
    ours["base_url"] = endpoint.url.get_secret_value()
    if endpoint.auth is not None:
        from envmatrix.services.kinds.client_auth import ClientAuth

        ours["auth"] = ClientAuth(endpoint)
    declared = {name: value.get_secret_value() for name, value in endpoint.headers.items()}
    return {**ours, **options, "headers": {**declared, **(options.get("headers") or {})}}


class HttpKind(UrlKind):
    """`kind = "http"`: a health path tells its identity, a ready path the status of its dependencies."""

    name = "http"
    schemes: ClassVar = {"http": 80, "https": 443}

    def ping(self, spec: ServiceSpec, endpoint: Endpoint, deadline: float) -> Ping:
        """Look once: the ready path for its status, the health path or command for whether it lives and who it is."""
        return probe(spec, deadline, lambda: look(spec, endpoint, deadline))


KIND = HttpKind()
