"""Holds a fixture's value, a dict or an object, against its contract and against what is really there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from envmatrix.contracts.fields import Contract
from envmatrix.contracts.reality import Reality, service_of
from envmatrix.masking import MASKER
from envmatrix.runs.events import CONTRACT_VERSION
from envmatrix.runs.rules import RuleCode

_MISSING = object()


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
    RuleCode.FIELD_MISSING: "a field of the contract is missing",
    RuleCode.FIELD_TYPE: "a field is of another type than the contract says",
    RuleCode.FIELD_UNTRUE: "a field is untrue: it does not equal what the declaration says or what a ping sees",
    RuleCode.URL_WRONG: "a URL is not absolute, or is there although the service is absent, or is missing although it is not",
    RuleCode.URL_ELSEWHERE: "a URL is another environment's: the declared service lives elsewhere",
    RuleCode.FIXTURE_SKIPS: "the fixture skips the tests that ask for it, and hides them where it should tell what is there",
}
"""Every code that `check` can find, with its meaning."""


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
    return Finding(RuleCode.FIELD_MISSING, fields[0], message, hint.replace("them", "it") if len(fields) == 1 else hint)


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
        return Finding(
            RuleCode.FIELD_TYPE,
            field,
            f"field {field!r} is of type {type(held).__name__}, the contract says {expected}",
        )
    return None


def _type_name(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")


def _check_truth(field: str, held: Any, reality: Reality) -> Finding | None:
    service = service_of(field)
    if field.endswith("_url") and service:
        return _check_url(field, held, service, reality)
    if field in {"http_client", "http_client_sync"}:
        return _check_client(field, held, reality)
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
        else Finding(RuleCode.FIELD_UNTRUE, field, f"field {field!r} says {held!r} and {truth!r} is true: {source}")
    )


def _check_client(field: str, held: httpx.Client | httpx.AsyncClient, reality: Reality) -> Finding | None:
    api = reality.api
    if api is None:
        return None
    base = held.base_url
    if not base.host:
        return Finding(RuleCode.URL_WRONG, field, f"field {field!r} has no base URL, and {api.service!r} is up")
    port = base.port or (443 if base.scheme == "https" else 80)
    if (base.host, port) == (api.host, api.port):
        return None
    message = f"field {field!r} talks to {base.host}:{port} and {api.service!r} is at {api.host}:{api.port}"
    return Finding(RuleCode.URL_ELSEWHERE, field, message, f"The declaration: {reality.environment.file.name}")


def _seen(service: str, reality: Reality) -> str:
    ping = reality.pings.get(service)
    return f"a ping of {service!r} sees {ping.status} {ping.detail}".rstrip() if ping else "it is not declared"


def _check_url(field: str, held: str | None, service: str, reality: Reality) -> Finding | None:
    expected = reality.url(field)
    if held is None:
        if expected is None:
            return None
        return Finding(RuleCode.URL_WRONG, field, f"field {field!r} is None and {service!r} is declared and up")
    if reality.absent(service):
        return Finding(RuleCode.URL_WRONG, field, f"field {field!r} is a URL and {service!r} is absent here")
    parts = urlsplit(held)
    wanted: tuple[Literal["ws", "wss", "http", "https"], ...]
    wanted = ("ws", "wss") if field == "websocket_url" else ("http", "https")
    # Only our own URL fields promise a scheme; kafka_url may be anything absolute.
    ours = field in {"backend_url", "api_url", "auth_url", "websocket_url", "base_url"}
    if not parts.scheme or not parts.netloc or (ours and parts.scheme not in wanted):
        shown = MASKER.mask(held)
        return Finding(
            RuleCode.URL_WRONG, field, f"field {field!r} is {shown!r}, not an absolute {'/'.join(wanted)} URL"
        )
    if expected is not None and urlsplit(expected).netloc.rpartition("@")[2] != parts.netloc.rpartition("@")[2]:
        where = urlsplit(expected).netloc.rpartition("@")[2]
        message = f"field {field!r} points to {parts.netloc.rpartition('@')[2]} and {service!r} is at {where}"
        return Finding(RuleCode.URL_ELSEWHERE, field, message, f"The declaration: {reality.environment.file.name}")
    return None
