"""Check the variants of a declaration: each degrades services that we start, and promises capabilities that there are."""

from __future__ import annotations

from pathlib import Path

from envmatrix.environments.environment import Environment
from envmatrix.environments.service import ServiceSpec, Source
from envmatrix.environments.variant import Fault
from envmatrix.exceptions import DeclarationError, UnknownReferenceError, nearest

_SPEAK_HTTP = frozenset({"http", "openai", "clickhouse", "s3"})


def check_variant(environment: Environment, path: Path, line: int = 0) -> None:
    """Refuse a fault that cannot be made, and a promise that says nothing.

    Raises:
        DeclarationError: there is one.
    """
    variant, name = environment.variant, environment.name
    if variant is None:
        return
    for service, fault in variant.services.items():
        spec = environment.services.get(service)
        if spec is None:
            what = f"{name} degrades {service!r}, which is no service here"
            raise UnknownReferenceError(path, what, line, nearest(service, environment.services))
        if why := _why_not(spec, fault):
            raise DeclarationError(path, f"{name} cannot degrade {service!r}: {why}", line)
    for capability in variant.survives:
        if capability not in environment.providers:
            what = f"{name} survives with {capability!r}, which is no capability here"
            raise UnknownReferenceError(path, what, line, nearest(capability, environment.providers))


def _why_not(spec: ServiceSpec, fault: Fault) -> str:
    """Return why a service cannot be degraded so; empty where it can."""
    if spec.source in {Source.REMOTE, Source.ABSENT}:
        return f"it is {spec.source}, and only what we start can be put behind a proxy"
    if not spec.has_address:
        return f"it is of kind {spec.kind!r}, which serves nothing"
    if fault.fault == "http_error" and (spec.kind not in _SPEAK_HTTP or spec.tls):
        return "only plain HTTP can be answered with http_error"
    return ""
