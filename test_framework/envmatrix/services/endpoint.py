"""An endpoint: where a service that is up can be reached, and the credentials to get in."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from envmatrix.environments import ServiceSpec, Source
from envmatrix.environments.auth import Auth
from envmatrix.exceptions import UsageError
from envmatrix.masking import MASKER
from envmatrix.safety.loopback import is_loopback


class Endpoint(BaseModel):
    """A service that is up: its URL and its credentials."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: str
    kind: str
    source: Source
    url: SecretStr
    """Complete, with credentials: secret."""
    host: str
    port: int
    user: str = ""
    password: SecretStr = SecretStr("")
    database: str = ""
    """The database's name (postgres, clickhouse) or number (redis)."""
    prefix: str = ""
    """What every key or table must begin with, where the server offers no stronger wall."""
    cert_file: str = ""
    key_file: str = ""
    ca_file: str = ""
    """PEM file to verify the server with; empty: the system's authorities."""
    client_cert: str = ""
    """PEM file of the certificate to show to the server; empty: none."""
    client_key: str = ""
    auth: Auth | None = None
    """How requests prove who asks."""
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    """Sent with each request."""
    timeout: float = 10.0
    """Seconds that a client waits, where nothing else is said."""
    verify: bool = True
    """Whether the server's certificate is verified; always, but on this machine where the declaration says not to."""

    def field(self, name: str) -> str:
        """Return the value that `{service.NAME}` stands for, in the clear."""
        value = getattr(self, name)
        return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def endpoint_at(
    spec: ServiceSpec, url: str, *, schemes: Mapping[str, int], user: str = "", database: str | None = None
) -> Endpoint:
    """Return the endpoint at a URL.

    `schemes` maps each scheme that the kind speaks to its default port. The path names a database, by default
    `database`, unless that is None.

    Raises:
        UsageError: the URL has another scheme, no host, or a port that is no number.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname or "", parts.port or schemes.get(parts.scheme, 0)
    except ValueError:
        parts, host, port = urllib.parse.SplitResult("", "", "", "", ""), "", 0
    if parts.scheme not in schemes or not host:
        spellings = " or ".join(f"{scheme}://HOST:PORT" for scheme in schemes)
        raise UsageError(f"service {spec.name!r}: its url is none that {spec.kind!r} can speak to", f"Use {spellings}")
    password = urllib.parse.unquote(parts.password or "")
    api_key = spec.api_key.get_secret_value() if spec.api_key else ""
    MASKER.add_all([password, api_key])
    return Endpoint(
        service=spec.name,
        kind=spec.kind,
        source=spec.source,
        url=SecretStr(url.rstrip("/")),
        host=host,
        port=port,
        user=urllib.parse.unquote(parts.username or "") or user,
        password=SecretStr(password or api_key),
        database="" if database is None else urllib.parse.unquote(parts.path.strip("/")) or database,
        ca_file=spec.ca_file or "",
        client_cert=spec.client_cert or "",
        client_key=spec.client_key or "",
        auth=spec.auth,
        headers=spec.headers,
        timeout=spec.timeout,
        verify=spec.verify,
    )


def websocket_url(spec: ServiceSpec, endpoint: Endpoint) -> str | None:
    """Return the URL of a service's WebSocket; `None` where it declares none."""
    base = endpoint.url.get_secret_value()
    return "ws" + base.removeprefix("http") + spec.websocket if spec.websocket else None


def at_port(endpoint: Endpoint, port: int) -> Endpoint:
    """Return the endpoint of another port that leads to the same server."""
    parts = urllib.parse.urlsplit(endpoint.url.get_secret_value())
    url = parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{port}").geturl()
    return endpoint.model_copy(update={"url": SecretStr(url), "port": port})


_PORTS = {"http": 80, "https": 443}


def at_url(endpoint: Endpoint, url: str) -> Endpoint | None:
    """Return where an HTTP service sends its client; `None` where it is no http(s) URL.

    At its own address that is the endpoint itself, elsewhere one without anything that proves who asks.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    if not host or parts.scheme not in _PORTS:
        return None
    if (host, port) == (endpoint.host, endpoint.port) and endpoint.field("url").startswith(f"{parts.scheme}:"):
        return endpoint
    return Endpoint(
        service=endpoint.service,
        kind=endpoint.kind,
        source=endpoint.source,
        url=SecretStr(url),
        host=host,
        port=port,
        ca_file=endpoint.ca_file,
        verify=endpoint.verify or not is_loopback(host),
    )


def at_database(endpoint: Endpoint, database: str, *, query: Mapping[str, str] | None = None) -> Endpoint:
    """Return the endpoint of another database of the same server."""
    parts = urllib.parse.urlsplit(endpoint.url.get_secret_value())
    options = dict(urllib.parse.parse_qsl(parts.query)) | dict(query or {})
    text = urllib.parse.urlencode(options, quote_via=urllib.parse.quote)
    url = parts._replace(path=f"/{urllib.parse.quote(database, safe='')}", query=text).geturl()
    return endpoint.model_copy(update={"url": SecretStr(url), "database": database})
