"""Settings of the auth service."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from environments.reference.settings import ServiceSettings


class TokenSettings(ServiceSettings):
    """How tokens are issued: the part that the stub has too."""

    issuer: str = "envmatrix-reference"
    audience: str = "backend"
    """The audience of a token unless the login asks for another, and the only one that this service itself accepts."""
    other_audiences: Annotated[tuple[str, ...], NoDecode] = ("reporting",)
    """What else a login may ask for; comma-separated in the environment."""
    access_token_seconds: int = Field(default=900, ge=1)
    """Lifetime of an access token, and the most that a login may ask for."""
    refresh_token_seconds: int = Field(default=30 * 86400, ge=1)
    password_memory_kib: int = Field(default=19 * 1024, ge=8)
    password_passes: int = Field(default=2, ge=1)
    """Argon2id's costs. The defaults are OWASP's minimum, 35 ms; a suite that makes a thousand users may lower them."""

    @field_validator("other_audiences", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


class AuthSettings(TokenSettings):
    """The auth service's own settings."""

    database_url: SecretStr
