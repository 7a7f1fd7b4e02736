"""The contracts: each field with its type and its meaning."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, get_args

import httpx
from pydantic import BaseModel, ConfigDict, PrivateAttr

from envmatrix.contracts.meaning import Meaning, Role, meaning_by_name
from envmatrix.services import Endpoint
from envmatrix.services.users import Users


@dataclass(frozen=True, slots=True)
class Deferred:
    """A field's value that is made when the field is first read: what no test reads is never made."""

    make: Callable[[], Any]


class Contract(BaseModel):
    """A fixture's contract: a frozen, typed object that is also a read-only mapping.

    `services.backend_url` and `services["backend_url"]` are the same, so that tests written for a dict run unchanged.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, defer_build=True)

    environment: Annotated[
        str, Meaning(Role.ENVIRONMENT, truth="Equals the selected environment, and what the target itself reports.")
    ]

    _used: set[str] = PrivateAttr(default_factory=set)

    def __getattribute__(self, name: str) -> Any:
        """Return an attribute; remember which fields are read, so that a failure knows what its test used."""
        value = super().__getattribute__(name)
        if not name.startswith("_") and name in type(self).model_fields:
            # Not self._used: pydantic finds private attributes by __getattr__, which this method comes before.
            super().__getattribute__("__pydantic_private__")["_used"].add(name)
            if type(value) is Deferred:
                value = super().__getattribute__("__dict__")[name] = value.make()
        return value

    @property
    def used_meanings(self) -> frozenset[Meaning]:
        """Return the meanings of the fields that were read so far."""
        return frozenset(meaning_of(type(self), field) for field in self._used)

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


@cache
def meaning_of(contract: type[Contract], field: str) -> Meaning:
    """Return what a field means: by its metadata, a base class's where it has none, else by its name."""
    for kind in contract.__mro__:
        if issubclass(kind, Contract) and field in kind.model_fields:
            for metadata in kind.model_fields[field].metadata:
                if isinstance(metadata, Meaning):
                    return metadata
    annotation = contract.model_fields[field].annotation
    return meaning_by_name(field, is_endpoint=Endpoint in (annotation, *get_args(annotation)))


_AVAILABLE = "Equals what a ping sees; never a literal."
_REQUIRED = "Equals the declaration; required and not available is a failure, never a skip."
_URL = "An absolute http(s) URL that answers; `None` exactly where the service is absent."
_CLIENT = "Base URL and what proves who asks, a user's token or session; the same client without it is refused."
_WEBSOCKET = "A ws(s) URL: an authenticated handshake succeeds, an anonymous one is refused."
_JWT = "Accepted; expired, forged, wrong-audience and `alg=none` variants are refused. Shows as stars."
_API_KEY = "Accepted where the API takes keys. Shows as stars."
_HEALTH = "Service → URL; each answers, and names the service it claims to be."
_USERS = "Each call makes a fresh user: unique id, own token. `None` where the environment makes no users."
_BASE_URL = "The OpenAI-compatible API, `/v1` included; `None` where there is no model."
_PROVIDER = "What the model's server says it is, else its kind; of a stand-in, `(stand-in)` after it."
_IS_REAL = "`False` of a stand-in, declared or by its own word: tests that need the real thing skip with that reason."
_ENDPOINT = "Connection details of this worker's own part: no other worker sees what is in it."


class RealServices(Contract):
    """The services of one environment, as tests see them."""

    config: Annotated[Mapping[str, Any], Meaning(truth="The resolved declaration, secrets masked.")]
    database_available: Annotated[bool, Meaning(Role.AVAILABLE, "database", _AVAILABLE)]
    redis_available: Annotated[bool, Meaning(Role.AVAILABLE, "redis", _AVAILABLE)]
    clickhouse_available: Annotated[bool, Meaning(Role.AVAILABLE, "clickhouse", _AVAILABLE)]
    llm_available: Annotated[bool, Meaning(Role.AVAILABLE, "llm", _AVAILABLE)]
    database_required: Annotated[bool, Meaning(Role.REQUIRED, "database", _REQUIRED)]
    redis_required: Annotated[bool, Meaning(Role.REQUIRED, "redis", _REQUIRED)]
    clickhouse_required: Annotated[bool, Meaning(Role.REQUIRED, "clickhouse", _REQUIRED)]
    llm_required: Annotated[bool, Meaning(Role.REQUIRED, "llm", _REQUIRED)]
    backend_url: Annotated[str | None, Meaning(Role.HTTP_URL, "backend", _URL)]
    api_url: Annotated[str | None, Meaning(Role.API_URL, "backend", _URL)]
    auth_url: Annotated[str | None, Meaning(Role.HTTP_URL, "auth", _URL)]
    websocket_url: Annotated[str | None, Meaning(Role.WEBSOCKET_URL, "backend", _WEBSOCKET, capability="websocket")]
    http_client: Annotated[httpx.AsyncClient, Meaning(Role.CLIENT, "backend", _CLIENT)]
    http_client_sync: Annotated[httpx.Client, Meaning(Role.CLIENT, "backend", _CLIENT)]
    test_jwt_token: Annotated[str | None, Meaning(Role.USER, "auth", _JWT)]
    test_api_key: Annotated[str | None, Meaning(Role.USER, "auth", _API_KEY)]
    health_endpoints: Annotated[Mapping[str, str], Meaning(truth=_HEALTH)]
    database: Annotated[Endpoint | None, Meaning(Role.ENDPOINT, "database", _ENDPOINT)]
    redis: Annotated[Endpoint | None, Meaning(Role.ENDPOINT, "redis", _ENDPOINT)]
    clickhouse: Annotated[Endpoint | None, Meaning(Role.ENDPOINT, "clickhouse", _ENDPOINT)]
    users: Annotated[Users | None, Meaning(Role.USER, "auth", _USERS, capability="multi_user")]
    contract_version: Annotated[str, Meaning(Role.VERSION, truth="Semantic version of this table.")]


class RealLLM(Contract):
    """The language model of one environment."""

    llm_available: Annotated[bool, Meaning(Role.AVAILABLE, "llm", _AVAILABLE)]
    provider: Annotated[str, Meaning(Role.PLAIN, "llm", _PROVIDER)]
    model: Annotated[str, Meaning(Role.PLAIN, "llm", "The model's name, as the API wants it.")]
    base_url: Annotated[str | None, Meaning(Role.HTTP_URL, "llm", _BASE_URL)]
    api_key_configured: Annotated[bool, Meaning(truth="Whether the declaration has a key; never the key.")]
    client: Annotated[Any, Meaning(Role.PLAIN, "llm", "An `openai.OpenAI`; `None` where there is no model.")]
    async_client: Annotated[Any, Meaning(Role.PLAIN, "llm", "An `openai.AsyncOpenAI`; `None` where there is no model.")]
    is_real: Annotated[bool, Meaning(Role.REAL, "llm", _IS_REAL)]
