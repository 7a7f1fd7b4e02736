"""What a fixture such as `real_services` must be, and whether it is: fields, types, and what must be true behind each.

A contract is a class. `RealServices` and `RealLLM` are ours; a project extends one by subclassing it:

    class ShopServices(RealServices):
        kafka_url: str

Field names carry the meaning, so that a new field needs no code: `NAME_available` is what a ping of the service NAME
sees, `NAME_required` what the declaration says, `NAME_url` where it is, `NAME` alone its endpoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, PrivateAttr, TypeAdapter, ValidationError

from test_framework.environments import Environment, Project, Source
from test_framework.exceptions import UsageError
from test_framework.masking import MASKER
from test_framework.services import Endpoint, Ping
from test_framework.users import Users

CONTRACT_VERSION = "1.0.0"
"""Semantic: a field removed or retyped is a major version, a field added a minor one."""

_MISSING = object()


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


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach of a contract."""

    rule: str
    """The code: `C111`."""
    field: str
    message: str
    """What is wrong, in one line; secrets masked."""
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.rule} {self.message}" + (f". {self.hint}" if self.hint else "")


FINDING_RULES = {
    "C110": "a field of the contract is missing",
    "C111": "a field is of another type than the contract says",
    "C112": "a field is untrue: it does not equal what the declaration says or what a ping sees",
    "C113": "a URL is not absolute, or is there although the service is absent, or is missing although it is not",
    "C114": "a URL is another environment's: the declared service lives elsewhere",
}
"""Every code that `check` can find, with its meaning."""


@dataclass(frozen=True, slots=True)
class Reality:
    """What a fixture's values are held against."""

    environment: Environment
    endpoints: Mapping[str, Endpoint]
    """The services that are up."""
    pings: Mapping[str, Ping]
    """What a look at each declared service saw."""

    def available(self, service: str) -> bool:
        """Return whether a ping saw the service up; an undeclared one is not."""
        ping = self.pings.get(service)
        return ping is not None and ping.is_up

    def required(self, service: str) -> bool:
        """Return whether the declaration demands the service."""
        spec = self.environment.services.get(service)
        return spec is not None and spec.is_required

    def url(self, field: str) -> str | None:
        """Return what a URL field must be: `None` where its service is absent or not up."""
        service = service_of(field)
        endpoint = self.endpoints.get(service) if service else None
        if endpoint is None:
            return None
        base = endpoint.url.get_secret_value().rstrip("/")
        spec = self.environment.services[endpoint.service]
        if field == "api_url":
            return base + spec.api
        if field == "websocket_url":
            return "ws" + base.removeprefix("http") + spec.websocket if spec.websocket else None
        return base

    def absent(self, service: str) -> bool:
        """Return whether the environment has no such service, by declaration."""
        spec = self.environment.services.get(service)
        return spec is None or spec.source is Source.ABSENT


_FIXED = {
    "api_url": "backend",
    "websocket_url": "backend",
    "http_client": "backend",
    "http_client_sync": "backend",
    "test_jwt_token": "auth",
    "test_api_key": "auth",
    "users": "auth",
    "provider": "llm",
    "model": "llm",
    "base_url": "llm",
    "client": "llm",
    "async_client": "llm",
    "is_real": "llm",
}
"""Fields whose service their name does not tell."""


def service_of(field: str) -> str | None:
    """Return the service that a field speaks of, by its name; `None` for `environment`, `config` and their like."""
    if field in _FIXED:
        return _FIXED[field]
    if field in {"environment", "config", "health_endpoints", "contract_version", "api_key_configured"}:
        return None
    return field.removesuffix("_url").removesuffix("_available").removesuffix("_required")


def services_behind(fields: Iterable[str], environment: Environment) -> frozenset[str]:
    """Return the services that a test uses by reading these fields; flags say something without using it.

    Clients and users talk to the backend, and where there is none to the service that makes users.
    """
    signup = environment.users.service if environment.users else ""
    backend = environment.services.get("backend")
    api = "backend" if backend is not None and backend.source is not Source.ABSENT else signup
    behind: set[str] = set()
    for field in fields:
        if field in {"http_client", "http_client_sync"}:
            behind.add(api)
        elif field in {"users", "test_jwt_token", "test_api_key"}:
            behind |= {api, signup}
        elif not field.endswith(("_available", "_required")):
            behind.add(service_of(field) or "")
    return frozenset(behind & environment.services.keys())


def check(contract: type[Contract], value: object, reality: Reality) -> tuple[Finding, ...]:
    """Hold a fixture's value, a dict or an object, against its contract and against what is really there."""
    missing = [field for field in contract.model_fields if _read(value, field) is _MISSING]
    findings = [_missing(contract, missing)] if missing else []
    for field in contract.model_fields:
        held = _read(value, field)
        if held is _MISSING:
            continue
        if (finding := _check_type(contract, field, held)) or (finding := _check_truth(field, held, reality)):
            findings.append(finding)
    return tuple(findings)


def _missing(contract: type[Contract], fields: list[str]) -> Finding:
    """Return one finding for all missing fields: a legacy fixture lacks a dozen, and one line says it."""
    named = ", ".join(map(repr, fields))
    message = f"field {named} is missing" if len(fields) == 1 else f"fields {named} are missing"
    hint = f"Provide them, or drop this fixture: the plugin provides a {contract.__name__}"
    return Finding("C110", fields[0], message, hint.replace("them", "it") if len(fields) == 1 else hint)


def _read(value: object, field: str) -> object:
    # Straight from the model's own dict: a check is no use of a service.
    if isinstance(value, Contract):
        return value.__dict__.get(field, _MISSING)
    if isinstance(value, Mapping):
        return value.get(field, _MISSING)
    return getattr(value, field, _MISSING)


@cache
def _adapter(contract: type[Contract], field: str) -> TypeAdapter[Any] | None:
    annotation = contract.model_fields[field].annotation
    if annotation is None or annotation is Any:
        return None
    config = None if isinstance(annotation, type) and issubclass(annotation, BaseModel) else _LOOSE
    if any(isinstance(part, type) and issubclass(part, BaseModel) for part in get_args(annotation)):
        config = _LOOSE
    return TypeAdapter(annotation, config=config)


_LOOSE = ConfigDict(arbitrary_types_allowed=True)


def _check_type(contract: type[Contract], field: str, held: object) -> Finding | None:
    adapter = _adapter(contract, field)
    if adapter is None:
        return None
    try:
        # As a dict: pydantic's strict mode knows no other mapping, and ours are read-only ones.
        adapter.validate_python(dict(held) if isinstance(held, Mapping) else held, strict=True)
    except ValidationError:
        expected = _type_name(contract.model_fields[field].annotation)
        return Finding("C111", field, f"field {field!r} is of type {type(held).__name__}, the contract says {expected}")
    return None


def _type_name(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")


def _check_truth(field: str, held: Any, reality: Reality) -> Finding | None:
    service = service_of(field)
    if field.endswith("_url") and service:
        return _check_url(field, held, service, reality)
    truth: object
    if field == "contract_version":  # a major version of its own is another contract
        held, truth, source = held.partition(".")[0], CONTRACT_VERSION.partition(".")[0], "this library's major version"
    elif field == "environment":
        truth, source = reality.environment.name, "the selected environment"
    elif service and field.endswith("_required"):
        truth, source = reality.required(service), reality.environment.file.name
    elif service and field.endswith("_available"):
        truth, source = reality.available(service), _seen(service, reality)
    elif field in {"database", "redis", "clickhouse"}:
        held, truth, source = held is not None, reality.available(field), _seen(field, reality)
    else:
        return None
    return (
        None
        if held == truth
        else Finding("C112", field, f"field {field!r} says {held!r} and {truth!r} is true: {source}")
    )


def _seen(service: str, reality: Reality) -> str:
    ping = reality.pings.get(service)
    return f"a ping of {service!r} sees {ping.status} {ping.detail}".rstrip() if ping else "it is not declared"


def _check_url(field: str, held: str | None, service: str, reality: Reality) -> Finding | None:
    expected = reality.url(field)
    if held is None:
        if expected is None:
            return None
        return Finding("C113", field, f"field {field!r} is None and {service!r} is declared and up")
    if reality.absent(service):
        return Finding("C113", field, f"field {field!r} is a URL and {service!r} is absent here")
    parts = urlsplit(held)
    wanted: tuple[Literal["ws", "wss", "http", "https"], ...]
    wanted = ("ws", "wss") if field == "websocket_url" else ("http", "https")
    # Only our own URL fields promise a scheme; kafka_url may be anything absolute.
    ours = field in {"backend_url", "api_url", "auth_url", "websocket_url", "base_url"}
    if not parts.scheme or not parts.netloc or (ours and parts.scheme not in wanted):
        shown = MASKER.mask(held)
        return Finding("C113", field, f"field {field!r} is {shown!r}, not an absolute {'/'.join(wanted)} URL")
    if expected is not None and urlsplit(expected).netloc.rpartition("@")[2] != parts.netloc.rpartition("@")[2]:
        where = urlsplit(expected).netloc.rpartition("@")[2]
        message = f"field {field!r} points to {parts.netloc.rpartition('@')[2]} and {service!r} is at {where}"
        return Finding("C114", field, message, f"The declaration: {reality.environment.file.name}")
    return None


def contract_classes(project: Project) -> dict[str, type[Contract]]:
    """Return fixture name → contract class: ours, and what the project declares instead or besides.

    Raises:
        UsageError: the project names a class that cannot be imported or is no contract.
    """
    contracts: dict[str, type[Contract]] = {"real_services": RealServices, "real_llm": RealLLM}
    for fixture, path in project.contracts.items():
        module, _, name = path.partition(":")
        how = f"tool.envmatrix.contracts.{fixture} in pyproject.toml names module:Class"
        try:
            contract = getattr(import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            raise UsageError(f"the contract {path!r} cannot be imported: {error}", how) from None
        if not (isinstance(contract, type) and issubclass(contract, Contract)):
            raise UsageError(f"{path!r} is no contract: it must be a subclass of RealServices", how)
        contracts[fixture] = contract
    return contracts
