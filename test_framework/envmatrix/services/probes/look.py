"""One look at a service, bounded in time: what every kind's `ping` is made of."""

from __future__ import annotations

import functools
import re
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from pydantic import SecretStr

from envmatrix.environments import ServiceSpec, Source
from envmatrix.exceptions import EnvmatrixError, ServiceError, UnreachableError, UsageError
from envmatrix.masking import MASKER
from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.services.kinds.base import Endpoint

_MAX_DETAIL = 300
"""Characters; a reason is one line on a terminal, and a hostile server chooses its text."""

_MAX_DEPENDENCIES = 50
_MAX_WORD = 60
"""Characters of a dependency's name or state."""

IDENTITY_KEYS = ("service", "environment", "version", "commit")


@functools.cache
def client_context(ca_file: str = "") -> ssl.SSLContext:
    """Return the TLS settings that trust a PEM file's authorities, or the system's.

    Shared, since loading the authorities takes 24 ms and a client that gets them ready-made 0.05 ms.

    Raises:
        NoAnswerError: there is no such file.
    """
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except FileNotFoundError:
        raise NoAnswerError(f"was not asked: its ca_file {ca_file} is not on this machine") from None


@dataclass(frozen=True)
class Sight:
    """What a look saw of a service that answers."""

    version: str = ""
    identity: Mapping[str, str] = field(default_factory=dict)
    status: PingStatus = PingStatus.UP
    detail: str = ""
    dependencies: Mapping[str, str] = field(default_factory=dict)
    wrong_identity: bool = False
    """Whether what answers is not what was declared."""


class NoAnswerError(Exception):
    """The service cannot be used; the text is the reason, in one line."""


class WrongIdentityError(NoAnswerError):
    """What answers is not what was declared; `identity` is what it claims to be."""

    def __init__(self, reason: str, identity: Mapping[str, str]) -> None:
        super().__init__(reason)
        self.identity = identity


def look(spec: ServiceSpec, deadline: float, see: Callable[[], Sight]) -> Ping:
    """Run `see` for at most `deadline` seconds and say what came of it.

    The clients' own timeouts bound one read each, so a server that sends a byte a second holds them for ever, and
    nothing bounds a name look-up: hence a thread that we stop waiting for. It ends by its client's timeouts.
    """
    began = time.monotonic()
    pings: list[Ping] = []

    def run() -> None:
        try:
            sight = see()
        except WrongIdentityError as error:
            sight = Sight("", error.identity, PingStatus.DEGRADED, str(error), wrong_identity=True)
        except Exception as error:  # noqa: BLE001  a ping never raises: whatever went wrong is its answer
            sight = Sight(status=PingStatus.DOWN, detail=reason_of(error, deadline))
        pings.append(_ping(spec, sight, time.monotonic() - began))

    thread = threading.Thread(target=run, name=f"ping {spec.name}", daemon=True)
    thread.start()
    thread.join(deadline)
    if pings:
        return pings[0]
    return _ping(spec, Sight(status=PingStatus.DOWN, detail=_timeout(deadline)), time.monotonic() - began)


def _ping(spec: ServiceSpec, sight: Sight, latency: float) -> Ping:
    return Ping(
        service=spec.name,
        status=sight.status,
        latency=latency,
        version=one_line(sight.version),
        identity={key: one_line(value) for key, value in sight.identity.items()},
        wrong_identity=sight.wrong_identity,
        detail=one_line(sight.detail),
        dependencies={
            one_line(name)[:_MAX_WORD]: one_line(state)[:_MAX_WORD]
            for name, state in islice(sight.dependencies.items(), _MAX_DEPENDENCIES)
        },
    )


def one_line(text: str) -> str:
    """Return a text that a server or a test chose as one line of at most 300 characters, masked."""
    return MASKER.mask(" ".join(re.sub(r"[^\w\s!-~…→]", "?", text).split()))[:_MAX_DETAIL]


def _timeout(seconds: float) -> str:
    return f"timeout after {seconds:.1f} s"


def reason_of(error: BaseException, deadline: float) -> str:
    """Say in a few words why there was no answer: clients wrap the one error that matters in others."""
    cause: BaseException | None = error
    while cause is not None:
        for kind, say in _REASONS:
            if isinstance(cause, kind):
                return say(cause, deadline)
        cause = cause.__cause__ or cause.__context__
    return f"{type(error).__name__}: {error}"


_REASONS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], Callable[[Any, float], str]], ...] = (
    ((NoAnswerError, EnvmatrixError), lambda error, _: str(error)),
    (TimeoutError, lambda _, deadline: _timeout(deadline)),
    (ConnectionRefusedError, lambda _, __: "connection refused"),
    ((ConnectionResetError, BrokenPipeError), lambda _, __: "connection reset"),
    (socket.gaierror, lambda error, _: f"cannot resolve the host name: {error.strerror}"),
    (ssl.SSLCertVerificationError, lambda error, _: f"certificate verify failed: {error.verify_message}"),
    (ssl.SSLError, lambda error, _: f"TLS failed: {error.reason or error}"),
)


def wrong_identity(spec: ServiceSpec, identity: Mapping[str, str]) -> str:
    """Return how what answers differs from what the declaration demands; empty where it does not.

    An empty text demands nothing: `commit = "${STAGING_COMMIT:-}"` holds only where the variable is set.
    """
    demanded = {key: value for key, value in spec.identity.items() if value}
    if all(identity.get(key) == value for key, value in demanded.items()):
        return ""
    claimed = "/".join(identity.get(key, "?") for key in demanded)
    return f"answers as {claimed}, expected {'/'.join(demanded.values())}"


def endpoint_at(
    spec: ServiceSpec,
    url: str,
    *,
    schemes: Mapping[str, int],
    user: str = "",
    database: str | None = None,
) -> Endpoint:
    """Read a URL into an endpoint.

    `schemes` maps those that the kind speaks to their default ports. The path names a database, by default `database`,
    unless that is None.

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
    )


def at_database(endpoint: Endpoint, database: str, *, query: Mapping[str, str] | None = None) -> Endpoint:
    """Return the endpoint of another database of the same server."""
    parts = urllib.parse.urlsplit(endpoint.url.get_secret_value())
    options = dict(urllib.parse.parse_qsl(parts.query)) | dict(query or {})
    text = urllib.parse.urlencode(options, quote_via=urllib.parse.quote)
    url = parts._replace(path=f"/{urllib.parse.quote(database, safe='')}", query=text).geturl()
    return endpoint.model_copy(update={"url": SecretStr(url), "database": database})


@contextmanager
def removal(spec: ServiceSpec, what: str) -> Iterator[None]:
    """Remove a worker's part inside; a server of ours that is gone took the part with it.

    Raises:
        ServiceError: a remote server does not answer, and keeps `what`.
    """
    try:
        yield
    except UnreachableError as error:
        if spec.source is Source.REMOTE:
            raise ServiceError(spec.name, f"{error.reason}; left behind on it: {what}") from error


@dataclass(frozen=True)
class Whole:
    """The part a worker gets where there is nothing to divide: all of it."""

    endpoint: Endpoint

    def reset(self) -> tuple[()]:
        """Do nothing: the users are what is each test's own."""
        return ()
