"""Check a fixture's value, a dict or an object, against its contract and against reality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from envmatrix.contracts.fields import Contract, Deferred, meaning_of
from envmatrix.contracts.meaning import Meaning, Role
from envmatrix.contracts.reality import Reality
from envmatrix.masking import MASKER
from envmatrix.runs.events import CONTRACT_VERSION
from envmatrix.runs.rules import RuleCode

_MISSING = object()


@dataclass(frozen=True, slots=True)
class ContractFinding:
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
    RuleCode.FIXTURE_SKIPS: "the fixture skips the tests that ask for it, instead of telling which services are there",
}
"""Every code that `check` can find, with its meaning."""


def check(contract: type[Contract], value: object, reality: Reality) -> tuple[ContractFinding, ...]:
    """Return what is wrong with a fixture's value: missing fields, other types, untrue values."""
    missing = [field for field in contract.model_fields if _read(value, field) is _MISSING]
    findings = [_missing(contract, missing)] if missing else []
    for field in contract.model_fields:
        content = _read(value, field)
        if content is _MISSING or isinstance(content, Deferred):
            continue
        finding = _check_type(contract, field, content)
        if finding := finding or _check_truth(field, meaning_of(contract, field), content, reality):
            findings.append(finding)
    return tuple(findings)


def _missing(contract: type[Contract], fields: list[str]) -> ContractFinding:
    """Return one finding for all missing fields: a legacy fixture lacks a dozen."""
    are, them = ("is", "it") if len(fields) == 1 else ("are", "them")
    hint = f"Provide {them}, or drop this fixture: the plugin provides a {contract.__name__}"
    return ContractFinding(RuleCode.FIELD_MISSING, fields[0], f"{', '.join(fields)} {are} missing", hint)


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
    has_own_config = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return TypeAdapter(annotation, config=None if has_own_config else ConfigDict(arbitrary_types_allowed=True))


def _check_type(contract: type[Contract], field: str, content: object) -> ContractFinding | None:
    adapter = _adapter(contract, field)
    if adapter is None:
        return None
    try:
        # As a dict: pydantic's strict mode knows no other mapping, and ours are read-only ones.
        adapter.validate_python(dict(content) if isinstance(content, Mapping) else content, strict=True)
    except ValidationError:
        expected = _type_name(contract.model_fields[field].annotation)
        message = f"{field} is of type {type(content).__name__}, but the contract says {expected}"
        return ContractFinding(RuleCode.FIELD_TYPE, field, message)
    return None


def _type_name(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")


def _check_truth(field: str, meaning: Meaning, value: Any, reality: Reality) -> ContractFinding | None:
    service = reality.environment.service_named(meaning.service)
    if meaning.role.is_url:
        return _check_url(field, meaning, value, reality)
    if meaning.role is Role.CLIENT:
        return _check_client(field, value, reality)
    match meaning.role:
        case Role.VERSION:  # a major version of its own is another contract
            is_true = value.partition(".")[0] == CONTRACT_VERSION.partition(".")[0]
            truth = f"this envmatrix provides contract {CONTRACT_VERSION}"
        case Role.ENVIRONMENT:
            is_true = value == reality.environment.declared_name
            truth = f"the selected environment is {reality.environment.declared_name!r}"
        case Role.REQUIRED:
            is_true = value == reality.required(service)
            truth = f"{service} is {'' if value is False else 'not '}required ({reality.environment.file.name})"
        case Role.AVAILABLE:
            is_true, truth = value == reality.available(service), _state(service, reality)
        case Role.REAL:
            is_true = value == reality.real(service)
            truth = f"{service} is a stand-in" if reality.stands_in(service) else _state(service, reality)
        case Role.ENDPOINT:
            is_true, truth = (value is not None) == reality.available(service), _state(service, reality)
        case _:
            return None
    shown = "there" if meaning.role is Role.ENDPOINT and value is not None else repr(value)
    return None if is_true else ContractFinding(RuleCode.FIELD_UNTRUE, field, f"{field} is {shown}, but {truth}")


def _state(service: str, reality: Reality) -> str:
    """Say what is really there: `redis is absent here (bare.toml)`."""
    ping = reality.pings.get(service)
    if ping is None or reality.absent(service):
        what = "not declared" if service not in reality.environment.services else "absent here"
        return f"{service} is {what} ({reality.environment.file.name})"
    return f"{service} is {ping.status}{f': {ping.detail}' if ping.detail and not ping.is_up else ''}"


def _check_client(field: str, client: httpx.Client | httpx.AsyncClient, reality: Reality) -> ContractFinding | None:
    api = reality.api
    if api is None:
        return None
    base = client.base_url
    if not base.host:
        return ContractFinding(RuleCode.URL_WRONG, field, f"{field} has no base URL, but {api.service} is up")
    port = base.port or (443 if base.scheme == "https" else 80)
    if (base.host, port) == (api.host, api.port):
        return None
    return _elsewhere(field, f"{base.host}:{port}", api.service, f"{api.host}:{api.port}", reality)


def _check_url(field: str, meaning: Meaning, url: str | None, reality: Reality) -> ContractFinding | None:
    service = reality.environment.service_named(meaning.service)
    expected = reality.url(meaning.role, service)
    if url is None:
        up = f"{field} is None, but {service} is declared and up"
        return None if expected is None else ContractFinding(RuleCode.URL_WRONG, field, up)
    if reality.absent(service):
        return ContractFinding(RuleCode.URL_WRONG, field, f"{field} is a URL, but {_state(service, reality)}")
    schemes = meaning.role.schemes
    try:
        parts = urlsplit(url)
    except ValueError:  # a bracket in it, say
        parts = SplitResult("", "", "", "", "")
    if not parts.scheme or not parts.netloc or (schemes and parts.scheme not in schemes):
        kind = f"{'/'.join(schemes)} URL" if schemes else "URL"
        return ContractFinding(RuleCode.URL_WRONG, field, f"{field} is {MASKER.mask(url)!r}, not an absolute {kind}")
    host = parts.netloc.rpartition("@")[2]
    if expected is not None and (where := urlsplit(expected).netloc.rpartition("@")[2]) != host:
        return _elsewhere(field, host, service, where, reality)
    return None


def _elsewhere(field: str, host: str, service: str, expected: str, reality: Reality) -> ContractFinding:
    message = f"{field} points to {host}, but {service} is at {expected}"
    return ContractFinding(RuleCode.URL_ELSEWHERE, field, message, f"The declaration: {reality.environment.file.name}")
