"""The kind `tcp`: any server that takes connections at a port; one that speaks first may be known by its greeting."""

from __future__ import annotations

import socket
import ssl
import time
import urllib.parse
from typing import ClassVar

from envmatrix.environments import ServiceSpec
from envmatrix.exceptions import UsageError
from envmatrix.runs.ping import Ping
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.kinds.url_kind import UrlKind
from envmatrix.services.probes.probe import Observation, WrongIdentityError, probe
from envmatrix.services.probes.reason import NoAnswerError
from envmatrix.services.probes.tls import certificate_of, client_context

_MAX_GREETING = 200
"""Bytes of a greeting that are shown."""


class TcpKind(UrlKind):
    """`kind = "tcp"`: up where it accepts a connection and, if a `banner` is declared, begins with that."""

    name = "tcp"
    schemes: ClassVar = {"tcp": 0, "tls": 0}

    def connect(self, spec: ServiceSpec, url: str) -> Endpoint:
        """Return the endpoint at `tcp://HOST:PORT`, or `tls://HOST:PORT`."""
        endpoint = super().connect(spec, url)
        if not endpoint.port:
            raise UsageError(f"service {spec.name!r}: its url names no port", "Use tcp://HOST:PORT or tls://HOST:PORT")
        return endpoint

    def ping(self, spec: ServiceSpec, endpoint: Endpoint, deadline: float) -> Ping:
        """Connect, and read the greeting where one is declared; the version is its first line."""

        def observe() -> Observation:
            with socket.create_connection((endpoint.host, endpoint.port), deadline) as plain:
                if urllib.parse.urlsplit(endpoint.field("url")).scheme != "tls":
                    return Observation(_greeting(plain, spec.banner, deadline))
                with client_context(endpoint).wrap_socket(plain, server_hostname=endpoint.host) as secure:
                    certificate = certificate_of(secure)
                    return Observation(_greeting(secure, spec.banner, deadline), certificate=certificate)

        return probe(spec, deadline, observe)


def _greeting(connection: socket.socket | ssl.SSLSocket, banner: str, deadline: float) -> str:
    """Return the first line of what the server says; empty where no banner is declared, and nothing is read then.

    Raises:
        WrongIdentityError: it begins otherwise than declared.
        NoAnswerError: it says nothing, or hangs up in the middle.
    """
    wanted, said, end = banner.encode(), b"", time.monotonic() + deadline
    while len(said) < len(wanted) and wanted.startswith(said):
        connection.settimeout(max(0.001, end - time.monotonic()))
        more = connection.recv(max(_MAX_GREETING, len(wanted)))
        if not more:
            raise NoAnswerError(f"hangs up after {said[:_MAX_GREETING]!r}, expected {banner!r}")
        said += more
    text = said[:_MAX_GREETING].decode(errors="replace")
    if not said.startswith(wanted):
        raise WrongIdentityError(f"greets with {text!r}, expected {banner!r}", {})
    return next(iter(text.splitlines()), "")


KIND = TcpKind()
