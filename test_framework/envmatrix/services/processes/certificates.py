"""TLS certificates for services that we start, signed by a throw-away authority per run."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from envmatrix.exceptions import MissingExtraError
from envmatrix.safety.private import write_private
from envmatrix.services.processes.ports import HOST


@dataclass(frozen=True)
class Certificate:
    """PEM files: the server's certificate and key, and the authority to verify it with."""

    cert_file: str
    key_file: str
    ca_file: str


class Authority:
    """Signs certificates for this machine; created with the first one, removed with its directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._authority: object | None = None

    def issue(self, name: str) -> Certificate:
        """Write a certificate for a service on loopback.

        Raises:
            MissingExtraError: trustme is not installed.
        """
        try:
            import trustme
        except ImportError:
            raise MissingExtraError("trustme", "tls") from None
        ca_file = self._directory / "ca.pem"
        with self._lock:
            if not isinstance(self._authority, trustme.CA):
                self._authority = trustme.CA(organization_name="envmatrix", organization_unit_name="throw-away")
                write_private(ca_file, self._authority.cert_pem.bytes().decode())
            issued = self._authority.issue_cert(HOST, "localhost")
        cert_file, key_file = self._directory / f"{name}.pem", self._directory / f"{name}.key"
        write_private(key_file, issued.private_key_pem.bytes().decode())
        write_private(cert_file, "".join(blob.bytes().decode() for blob in issued.cert_chain_pems))
        return Certificate(str(cert_file), str(key_file), str(ca_file))
