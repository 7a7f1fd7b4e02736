"""The contracts themselves: each field, its type and its meaning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict, PrivateAttr

from envmatrix.services import Endpoint
from envmatrix.services.users import Users


class Contract(BaseModel):
    """A fixture's contract: a frozen, typed object that is also a read-only mapping.

    `services.backend_url` and `services["backend_url"]` are the same, so that tests written for a dict run unchanged.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    environment: str
    """Equals the selected environment, and what the target itself reports."""

    _used: set[str] = PrivateAttr(default_factory=set)

    def __getattribute__(self, name: str) -> Any:
        """Return an attribute; note which fields are read, so that a failure knows what its test used."""
        value = super().__getattribute__(name)
        if not name.startswith("_") and name in type(self).model_fields:
            # Not self._used: pydantic finds private attributes by __getattr__, which this method comes before.
            super().__getattribute__("__pydantic_private__")["_used"].add(name)
        return value

    @property
    def used_fields(self) -> frozenset[str]:
        """Return the fields that were read so far."""
        return frozenset(self._used)

    def __getitem__(self, name: str) -> Any:
        """Return a field by name.

        Raises:
            KeyError: the contract has no such field.
        """
        if name not in type(self).model_fields:
            raise KeyError(name)
        return getattr(self, name)

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]  # a mapping yields its keys
        return iter(type(self).model_fields)

    def __len__(self) -> int:
        return len(type(self).model_fields)

    def __contains__(self, name: object) -> bool:
        return name in type(self).model_fields

    def keys(self) -> list[str]:
        """Return the fields' names."""
        return list(self)

    def values(self) -> list[Any]:
        """Return the fields' values."""
        return [self[name] for name in self]

    def items(self) -> list[tuple[str, Any]]:
        """Return the fields as pairs."""
        return [(name, self[name]) for name in self]

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field by name, or the default where the contract has no such field."""
        return self[name] if name in self else default  # noqa: SIM401  this is the get that the rule would call

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.environment!r}>"

    __str__ = __repr__


Mapping.register(Contract)


class RealServices(Contract):
    """The services of one environment, as tests see them."""

    config: Mapping[str, Any]
    """The resolved declaration, secrets masked."""

    database_available: bool
    redis_available: bool
    clickhouse_available: bool
    llm_available: bool
    """Each equals what a ping sees; never a literal."""

    database_required: bool
    redis_required: bool
    clickhouse_required: bool
    llm_required: bool
    """Required and not available is a failure, never a skip."""

    backend_url: str | None
    api_url: str | None
    auth_url: str | None
    """Absolute http(s) URLs that answer; `None` exactly where the service is absent."""
    websocket_url: str | None
    """A ws(s) URL: an authenticated handshake succeeds, an anonymous one is refused."""

    http_client: httpx.AsyncClient
    http_client_sync: httpx.Client
    """Base URL and a valid bearer token set; the same client without the token is refused with 401."""
    test_jwt_token: str | None
    """Accepted; expired, forged, wrong-audience and `alg=none` variants are refused. Shows as stars."""
    test_api_key: str | None
    """Accepted where the API takes keys. Shows as stars."""
    health_endpoints: Mapping[str, str]
    """Service → URL; each answers, and names the service it claims to be."""

    database: Endpoint | None
    redis: Endpoint | None
    clickhouse: Endpoint | None
    """Connection details of this worker's own part: no other worker sees what is in it."""
    users: Users | None
    """Each call makes a fresh user: unique id, own token. `None` where the environment makes no users."""
    contract_version: str
    """Semantic version of this table."""


class RealLLM(Contract):
    """The language model of one environment."""

    llm_available: bool
    """Equals what a ping sees."""
    provider: str
    """What the model's server says it is; else its kind."""
    model: str
    """The model's name, as the API wants it."""
    base_url: str | None
    """The OpenAI-compatible API, `/v1` included; `None` where there is no model."""
    api_key_configured: bool
    """Whether the declaration has a key; never the key."""
    client: Any
    """An `openai.OpenAI`; `None` where there is no model."""
    async_client: Any
    """An `openai.AsyncOpenAI`; `None` where there is no model."""
    is_real: bool
    """A scripted stand-in says `False`: tests that need the real thing skip with that reason."""
