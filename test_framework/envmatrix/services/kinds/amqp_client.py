"""Connections to AMQP brokers through py-amqp: encrypted where that is declared, errors in a few words."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from envmatrix.environments import ServiceSpec
from envmatrix.exceptions import UnreachableError
from envmatrix.masking import MASKER
from envmatrix.runs.ping import Certificate
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.probes.probe import Observation, WrongIdentityError, wrong_identity
from envmatrix.services.probes.reason import NoAnswerError, RefusedError, reason_of
from envmatrix.services.probes.tls import certificate_of, client_context

if TYPE_CHECKING:
    import amqp

_IDENTITY = ("product", "version", "cluster_name")
"""Properties of a server that say who it is."""
_REFUSALS = frozenset({403, 530})
"""Reply codes of a wrong login, and of a virtual host that is unknown or not the user's."""


@contextmanager
def session(spec: ServiceSpec, endpoint: Endpoint) -> Iterator[amqp.Connection]:
    """Log in for a few methods, and turn the client's errors into ours.

    Raises:
        UnreachableError: the broker does not answer, or refuses a method.
    """
    from amqp import AMQPError

    try:
        with _connected(endpoint, spec.ping_deadline) as connection:
            yield connection
    except (AMQPError, OSError) as error:
        reason = MASKER.mask(_reason(error, spec.ping_deadline))
        raise UnreachableError(spec.name, f"does not answer: {reason}") from error


def observed(spec: ServiceSpec, endpoint: Endpoint, seconds: float) -> Observation:
    """Log in once; the broker's properties come with its greeting.

    Raises:
        RefusedError: the login is refused, or there is no such virtual host.
        WrongIdentityError: it is another broker than the declared one.
        NoAnswerError: it is no broker, or ends the connection.
    """
    from amqp import AMQPError

    try:
        with _connected(endpoint, seconds) as connection:
            said = {key: str(connection.server_properties.get(key, "")) for key in _IDENTITY}
            certificate = _certificate(connection)
    except AMQPError as error:
        refused = getattr(error, "code", 0) in _REFUSALS
        raise (RefusedError if refused else NoAnswerError)(_reason(error, seconds)) from error
    if wrong := wrong_identity(spec, said):
        raise WrongIdentityError(wrong, said)
    return Observation(f"{said['product']} {said['version']}".strip(), said, certificate=certificate)


@contextmanager
def _connected(endpoint: Endpoint, seconds: float) -> Iterator[amqp.Connection]:
    import amqp

    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    tls: dict[str, Any] | None = None
    if endpoint.field("url").startswith("amqps:"):
        client_context(endpoint)  # it tells that a ca_file is missing
        wanted = ssl.CERT_REQUIRED if endpoint.verify else ssl.CERT_NONE
        name = endpoint.host if endpoint.verify else None
        tls = {"ca_certs": endpoint.ca_file or None, "cert_reqs": wanted, "server_hostname": name}
    connection = amqp.Connection(
        f"{host}:{endpoint.port}",
        userid=endpoint.user,
        password=endpoint.field("password"),
        virtual_host=endpoint.database,
        ssl=tls,
        connect_timeout=seconds,
        read_timeout=seconds,
        write_timeout=seconds,
    )
    with connection:
        connection.connect()
        yield connection


def _certificate(connection: amqp.Connection) -> Certificate | None:
    wire = connection.transport.sock
    return certificate_of(wire) if isinstance(wire, ssl.SSLSocket) else None


def _reason(error: Exception, seconds: float) -> str:
    """Return the reason in a few words: the broker's own, else the network's."""
    return getattr(error, "reply_text", "") or reason_of(error, seconds)
