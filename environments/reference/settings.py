"""Configuration from environment variables: what every service has, and how a service refuses to start without it."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path
from typing import TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """Settings of every service: its identity and address. Each field is an upper-case environment variable."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True, protected_namespaces=()
    )

    environment: str = "unknown"
    commit: str = "unknown"
    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)
    """0: the system picks a free one, and the log says which."""
    workers: int = Field(default=1, ge=1, le=64)
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    tls_ca_file: Path | None = None
    """The authority that signed the other services' certificates; unset: the system's."""
    planted: Path | None = None
    """For tests only: the file that switches deliberate bugs on. Refused in every environment but `planted`."""

    def client_tls(self, *urls: str | None) -> ssl.SSLContext:
        """Return one context for every client of this process; it trusts nobody where no peer speaks TLS.

        Loading the system's authorities costs 20 ms, which a start-up without TLS should not pay.
        """
        if any(url and url.startswith("https:") for url in urls):
            return ssl.create_default_context(cafile=self.tls_ca_file)
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


S = TypeVar("S", bound=ServiceSettings)


def load(settings: type[S], service: str) -> S:
    """Read the settings, or end the process: one line on stderr, exit code 2. Values are never shown."""
    try:
        return settings()
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, e['loc'])).upper() or 'settings'}: {'not set' if e['type'] == 'missing' else e['msg']}"
            for e in error.errors(include_input=False, include_url=False, include_context=False)
        )
        sys.stderr.write(f"{service}: {wrong}. Set it in the environment (see environments/reference/README.md)\n")
        raise SystemExit(2) from None
