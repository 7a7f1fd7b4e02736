"""HTTP requests of a probe, on the standard library alone: the supervisor never imports httpx.

That import costs a quarter of a second of CPU, in the middle of every start.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException
from typing import Any, Self

from envmatrix.runs.ping import Certificate
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.probes.reason import NoAnswerError
from envmatrix.services.probes.tls import certificate_of, client_context

_MAX_BODY = 1 << 16
"""Bytes. A health answer is a few lines; a page of megabytes is something else."""

_METADATA = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200")))
"""Cloud metadata services outside the link-local ranges, which hand out credentials."""


@dataclass(frozen=True)
class HttpAnswer:
    """One response, read to its end."""

    status: int
    text: str
    is_json: bool
    """Whether its content type is JSON; its text may be none."""
    skew: float = 0.0
    """Seconds that the server's clock is ahead of ours, by its Date; 0 where it does not say."""
    location: str = ""
    """Where a redirect leads, as the server wrote it."""

    @property
    def whole_skew(self) -> int:
        """Return the skew in whole seconds; a Date that is a second and a half old is none, since servers keep theirs."""
        return int(self.skew + 0.5)

    @property
    def excerpt(self) -> str:
        """Return the beginning of the text, for a message."""
        return f"{self.text[:60]}…" if len(self.text) > 60 else self.text  # noqa: PLR2004

    def json_object(self) -> dict[str, Any] | None:
        """Return the text as a JSON object; None if it is none."""
        try:
            value = json.loads(self.text)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None


class HttpProbe:
    """Requests to one server under one deadline: addresses checked, no proxy, no redirect."""

    ERRORS = (HTTPException, ValueError)
    """What `request` raises beside `NoAnswerError` and `OSError`."""

    def __init__(self, endpoint: Endpoint, deadline: float, most: int = _MAX_BODY) -> None:
        """Resolve the host; `deadline` is in seconds from now, and an answer has at most `most` bytes.

        Raises:
            NoAnswerError: the host's address is one that is never asked.
        """
        self._until = time.monotonic() + deadline
        self._most = most
        self._connection = _Connection(endpoint, self._until)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @property
    def seconds_left(self) -> float:
        """Return the seconds until the deadline; a little where it has passed."""
        return max(self._until - time.monotonic(), 0.001)

    @property
    def certificate(self) -> Certificate | None:
        """Return the server's certificate; None without TLS, and before a request."""
        return self._connection.certificate

    def connect(self) -> None:
        """Connect, and send nothing; raise `NoAnswerError` or `OSError`."""
        if self._connection.sock is None:
            self._connection.connect()

    def request(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, content: bytes = b""
    ) -> HttpAnswer:
        """Request a URL of the server; raise `NoAnswerError`, `OSError`, or one of `ERRORS`."""
        parts = urllib.parse.urlsplit(url)
        host = parts.netloc.rpartition("@")[2].encode("idna").decode("ascii")
        path = urllib.parse.quote(parts.path or "/", safe="/%!$&'()*+,;=:@~")
        target = f"{path}?{parts.query}" if parts.query else path
        self._connection.request(method, target, content or None, {"Host": host, **(headers or {})})
        with self._connection.getresponse() as response:
            body = bytearray()
            while chunk := response.read1(_MAX_BODY):
                body += chunk
                if len(body) > self._most:
                    raise NoAnswerError(f"answers with more than {self._most >> 10} KiB")
                if time.monotonic() > self._until:
                    raise TimeoutError
            if response.length:  # `read1` takes the end of the connection for the end of the body
                raise NoAnswerError(f"peer closed connection, {response.length} bytes of its answer missing")
            is_json = "json" in response.headers.get("content-type", "")
            skew = _skew(response.headers.get("date", ""))
            location = response.headers.get("location", "")
            return HttpAnswer(response.status, body.decode(errors="replace"), is_json, skew, location)


def _skew(date: str) -> float:
    """Return how many seconds a server's clock is ahead of ours; a Date has whole seconds."""
    try:
        return parsedate_to_datetime(date).timestamp() - time.time()
    except ValueError:
        return 0.0


class _Connection(HTTPConnection):
    """Connects to the very addresses that were checked: a second look-up of the name could give another."""

    def __init__(self, endpoint: Endpoint, until: float) -> None:
        super().__init__(endpoint.host, endpoint.port)
        self._until = until
        self._addresses = allowed_addresses(endpoint.host, endpoint.port)
        is_tls = endpoint.url.get_secret_value().startswith("https:")
        self._tls = client_context(endpoint) if is_tls else None
        self.certificate: Certificate | None = None

    def connect(self) -> None:
        """Connect to the first address that takes it."""
        refused: OSError | None = None
        for address in self._addresses:
            try:
                left = max(self._until - time.monotonic(), 0.001)
                self.sock = socket.create_connection((address, self.port), left)
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._tls:
                    self.sock = secure = self._tls.wrap_socket(self.sock, server_hostname=self.host)
                    self.certificate = certificate_of(secure)
            except OSError as error:
                refused = error
                self.close()
            else:
                return
        raise refused or NoAnswerError("the host name has no address")


def allowed_addresses(host: str, port: int) -> tuple[str, ...]:
    """Return the addresses of a host.

    Raises:
        NoAnswerError: one of them is link-local or a cloud's metadata service.
        OSError: the name cannot be resolved.
    """
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in infos))
    for text in addresses:
        address = ipaddress.ip_address(text)
        plain = getattr(address, "ipv4_mapped", None) or address
        if plain.is_link_local or plain in _METADATA:
            raise NoAnswerError(f"refused: {host} is the link-local or metadata address {plain}")
    return addresses
