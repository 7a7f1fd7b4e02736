"""Settings of the backend."""

from __future__ import annotations

from pydantic import Field, SecretStr

from environments.reference.settings import ServiceSettings


class BackendSettings(ServiceSettings):
    """The backend's own settings. Optional ones are of services that it works without."""

    database_url: SecretStr
    redis_url: SecretStr
    auth_url: str
    issuer: str = "envmatrix-reference"
    audience: str = "backend"
    clickhouse_url: SecretStr | None = None
    """`http://user:password@host:port/database`."""
    llm_url: str | None = None
    """Base URL of the OpenAI API: `http://host:port/v1`."""
    llm_api_key: SecretStr = SecretStr("unused")
    llm_model: str = "scripted-1"
    llm_timeout: float = Field(default=60.0, gt=0)
    """Seconds that the whole answer of the model may take, further tries included."""
