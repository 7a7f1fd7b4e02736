"""TLS settings of a client, made once for each authority."""

from __future__ import annotations

import functools
import ssl

from envmatrix.masking import one_line
from envmatrix.runs.ping import Certificate
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.probes.reason import NoAnswerError


def client_context(endpoint: Endpoint | None) -> ssl.SSLContext:
    """Return the TLS settings of a client: they trust the endpoint's own authority, or the system's, and show its certificate.

    Shared, since loading the authorities takes 24 ms and a client that gets them ready-made 0.05 ms.

    Raises:
        NoAnswerError: the file of the authority is missing, or the certificate to show cannot be used.
    """
    if endpoint is None:
        return _context("", True, "", "")
    return _context(endpoint.ca_file, endpoint.verify, endpoint.client_cert, endpoint.client_key)


@functools.cache
def _context(ca_file: str, verify: bool, client_cert: str, client_key: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except FileNotFoundError:
        raise NoAnswerError(f"was not asked: its ca_file {ca_file} is not on this machine") from None
    if client_cert:
        try:
            context.load_cert_chain(client_cert, client_key)
        except (OSError, ssl.SSLError):
            raise NoAnswerError(f"was not asked: client_cert {client_cert} and its key cannot be used here") from None
    if not verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def certificate_of(connection: ssl.SSLSocket) -> Certificate | None:
    """Return the server's certificate; None where it was not verified."""
    found = connection.getpeercert()
    if not found:
        return None
    names = {key: one_line(value) for part in found.get("issuer", ()) for key, value in part}  # type: ignore[str-unpack]
    issuer = names.get("organizationName") or names.get("commonName", "")
    return Certificate(ssl.cert_time_to_seconds(str(found["notAfter"])), issuer, connection.version() or "")
