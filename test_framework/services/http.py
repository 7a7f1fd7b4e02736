"""Services that speak HTTP and say on a health path who they are. The only module that imports httpx."""

from __future__ import annotations

import ipaddress
import json
import socket
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from test_framework.environments import ServiceSpec
from test_framework.exceptions import StartError
from test_framework.services.base import Endpoint, Isolated, Launch, Ping, PingStatus, StartContext
from test_framework.services.look import (
    IDENTITY_KEYS,
    NoAnswerError,
    Sight,
    Whole,
    client_context,
    endpoint_at,
    look,
    wrong_identity,
)

__all__ = ["KIND", "Visit", "client_context", "new_async_client", "new_client"]

SCHEMES = {"http": 80, "https": 443}

_MAX_BODY = 1 << 16
"""Bytes. A health answer is a few lines; a page of megabytes is some other thing."""

_METADATA = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200")))
"""Cloud metadata services outside the link-local ranges: they hand out credentials to whoever asks."""


def new_client(endpoint: Endpoint | None, *, timeout: float = 10.0, **options: Any) -> httpx.Client:
    """Return a client of one endpoint, or of none in particular, that ignores proxies and follows no redirects."""
    return httpx.Client(**_client_options(endpoint, timeout), **options)


def new_async_client(endpoint: Endpoint | None, *, timeout: float = 10.0, **options: Any) -> httpx.AsyncClient:
    """Return an asynchronous client of one endpoint.

    It keeps no idle connection: a socket belongs to the event loop that opened it, and one kept past its loop could
    neither be used nor closed by the next.
    """
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncClient(**_client_options(endpoint, timeout), **{"limits": limits, **options})


def _client_options(endpoint: Endpoint | None, timeout: float) -> dict[str, Any]:
    return {
        "base_url": endpoint.url.get_secret_value() if endpoint else "",
        "verify": client_context(endpoint.ca_file if endpoint else ""),
        "timeout": timeout,
        "trust_env": False,
        "follow_redirects": False,
    }


@dataclass(frozen=True)
class Answer:
    """One response, read to its end."""

    status: int
    text: str
    is_json: bool
    """Whether it says that it is JSON; it may be none."""

    @property
    def excerpt(self) -> str:
        """Return its beginning, for a message."""
        return f"{self.text[:60]}…" if len(self.text) > 60 else self.text  # noqa: PLR2004

    def json_object(self) -> dict[str, Any] | None:
        """Return the JSON object that it is, if it is one."""
        try:
            value = json.loads(self.text)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None


class Visit:
    """A short conversation with one server for a ping: every address checked, every read under one deadline."""

    ERRORS = (httpx.HTTPError, httpx.InvalidURL)
    """What `ask` raises beside `NoAnswerError` and `OSError`."""

    def __init__(self, endpoint: Endpoint, deadline: float) -> None:
        """Resolve the host; `deadline` is in seconds from now.

        Raises:
            NoAnswerError: the host's address is one that is never asked.
        """
        self._endpoint = endpoint
        self._until = time.monotonic() + deadline
        self._deadline = deadline
        self._addresses = allowed_addresses(endpoint.host, endpoint.port)
        self._client = httpx.Client(
            verify=client_context(endpoint.ca_file), timeout=deadline, trust_env=False, follow_redirects=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def ask(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, content: bytes = b""
    ) -> Answer:
        """Request a URL of the server; raises what httpx and the socket raise, and `NoAnswerError`."""
        refused: httpx.ConnectError | None = None
        for address in self._addresses:
            try:
                return self._ask(url, address, method, headers or {}, content)
            except httpx.ConnectError as error:
                refused = error
        raise refused or NoAnswerError("the host name has no address")

    def _ask(self, url: str, address: str, method: str, headers: Mapping[str, str], content: bytes) -> Answer:
        # To the very address that was checked: a second look-up of the name could give another.
        target = httpx.URL(url)
        with self._client.stream(
            method,
            target.copy_with(host=address, userinfo=b""),
            headers={"Host": target.netloc.decode("ascii"), **headers},
            content=content,
            timeout=max(self._until - time.monotonic(), 0.001),
            extensions={"sni_hostname": self._endpoint.host},
        ) as response:
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > _MAX_BODY:
                    raise NoAnswerError(f"answers with more than {_MAX_BODY >> 10} KiB")
                if time.monotonic() > self._until:
                    raise TimeoutError
        is_json = "json" in response.headers.get("content-type", "")
        return Answer(response.status_code, body.decode(errors="replace"), is_json)


def allowed_addresses(host: str, port: int) -> tuple[str, ...]:
    """Return the addresses of a host.

    Raises:
        NoAnswerError: one of them is link-local or a cloud's metadata service.
        OSError: the name cannot be resolved.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    for text in addresses:
        address = ipaddress.ip_address(text)
        plain = getattr(address, "ipv4_mapped", None) or address
        if plain.is_link_local or plain in _METADATA:
            raise NoAnswerError(f"refused: {host} is the link-local or metadata address {plain}")
    return addresses


def read_identity(spec: ServiceSpec, answer: Answer, where: str, more_keys: tuple[str, ...] = ()) -> dict[str, str]:
    """Return what a health answer claims to be, as texts.

    Raises:
        NoAnswerError: it should be JSON and is not, or claims to be another service than the declared one.
    """
    body = answer.json_object()
    if body is None:
        if answer.is_json or spec.identity:
            raise NoAnswerError(f"{where} answers {answer.status} without a JSON object: {answer.excerpt!r}")
        return {}
    keys = {*IDENTITY_KEYS, *more_keys, *spec.identity}
    identity = {key: _text(body[key]) for key in sorted(keys & body.keys()) if not isinstance(body[key], dict | list)}
    if wrong := wrong_identity(spec, identity):
        raise NoAnswerError(wrong)
    return identity


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _dependencies_down(body: Mapping[str, Any] | None) -> list[str]:
    """Name what a readiness answer says is down: `{"dependencies": {"redis": "down"}}`, or `{"redis": {"status": …}}`."""
    tables = [(body or {}).get(key) for key in ("dependencies", "checks", "components")]
    table: dict[str, Any] = next((table for table in tables if isinstance(table, dict)), {})
    states = {name: state.get("status") if isinstance(state, dict) else state for name, state in table.items()}
    fine = {"up", "ok", "pass", "passing", "healthy", "ready", "absent", "true"}
    return [name for name, state in states.items() if _text(state).lower() not in fine]


class HttpKind:
    """`kind = "http"`: a health path for who it is, a ready path for how its dependencies are."""

    name = "http"

    def launch(self, spec: ServiceSpec, context: StartContext) -> Launch:
        """Refuse: no HTTP service comes out of a wheel."""
        del context
        raise StartError(spec.name, "of kind 'http' cannot be embedded: use source = \"process\" with a command")

    def address(self, spec: ServiceSpec, host: str, port: int, *, tls: bool) -> str:
        """Return the root URL."""
        del spec
        return f"{'https' if tls else 'http'}://{host}:{port}"

    def connect(self, spec: ServiceSpec, url: str) -> Endpoint:
        """Return the endpoint at an http(s) URL."""
        return endpoint_at(spec, url, schemes=SCHEMES)

    def ping(self, spec: ServiceSpec, endpoint: Endpoint, deadline: float) -> Ping:
        """Ask the ready path whether it can work, and the health path who it is."""

        def see() -> Sight:
            base = endpoint.url.get_secret_value()
            with Visit(endpoint, deadline) as visit:
                ready = visit.ask(base + spec.ready) if spec.ready else None
                if ready is not None and ready.status not in {200, 503}:
                    raise NoAnswerError(f"GET {spec.ready} answers {ready.status}")
                health = visit.ask(base + spec.health)
            if health.status != httpx.codes.OK:
                raise NoAnswerError(f"GET {spec.health} answers {health.status}")
            identity = read_identity(spec, health, f"GET {spec.health}")
            version = " ".join(filter(None, (identity.get("service"), identity.get("version"))))
            if ready is None or ready.status == httpx.codes.OK:
                return Sight(version, identity)
            broken = ", ".join(_dependencies_down(ready.json_object())) or "something it does not name"
            return Sight(version, identity, PingStatus.DEGRADED, f"not ready: {broken} is down")

        return look(spec, deadline, see)

    def isolate(self, spec: ServiceSpec, endpoint: Endpoint, worker: str) -> AbstractContextManager[Isolated]:
        """Give the whole service: its users are what keeps two workers apart."""
        del spec, worker
        return nullcontext(Whole(endpoint))


KIND = HttpKind()
