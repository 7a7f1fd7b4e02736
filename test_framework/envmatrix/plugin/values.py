"""Builds the contract fixtures' values: from the declaration, the endpoints, and a ping of each service."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from envmatrix.contracts import CONTRACT_VERSION, Contract, Deferred, Meaning, Reality, Role, meaning_of
from envmatrix.plugin.process import Process
from envmatrix.plugin.session import EnvironmentSession
from envmatrix.services.kinds.http import new_async_client, new_client


def build(process: Process, fixture: str, scope: ExitStack) -> Contract:
    """Build a contract fixture's value; what must be closed after the test goes into `scope`.

    Raises:
        ServiceError: a required service is not up.
        UserError: the environment refused to make a user.
    """
    session = process.session
    contract = session.contracts[fixture]
    if fixture == "real_llm":
        session.demand_required(session.environment.closure(frozenset({"llm"} & session.environment.services.keys())))
        return contract.model_construct(**_llm_values(session, scope))
    session.demand_required(frozenset(session.environment.services))
    values = _services_values(process, contract, scope)
    return contract.model_construct(**{field: values[field] for field in contract.model_fields})


def _services_values(process: Process, contract: type[Contract], scope: ExitStack) -> dict[str, Any]:
    """Return a value for every field of `real_services`, or of the contract that a project puts in its place."""
    session = process.session
    reality = session.reality()
    values = _own_values(process, scope)
    for added in process.config.hook.pytest_envmatrix_contract_fields(
        environment=session.environment, endpoints=session.endpoints
    ):
        values.update(added)
    for field in contract.model_fields.keys() - values.keys():
        values[field] = _value(process, meaning_of(contract, field), reality)
    return values


def _own_values(process: Process, scope: ExitStack) -> dict[str, Any]:
    session, users = process.session, process.users
    target, user = users.target, users.default()
    headers = user.headers if user else {}
    base = target.api if target else session.endpoints.get(session.environment.api)
    return {
        "environment": session.environment.declared_name,
        "config": session.environment.masked(),
        "http_client": new_async_client(base, headers=headers),
        "http_client_sync": scope.enter_context(new_client(base, headers=headers)),
        "test_jwt_token": (user.token or None) if user else None,
        "test_api_key": Deferred(lambda: users.default_api_key),
        "health_endpoints": _health_endpoints(session),
        "users": users.factory,
        "contract_version": CONTRACT_VERSION,
    }


def _value(process: Process, meaning: Meaning, reality: Reality) -> Any:
    if meaning.role is Role.AVAILABLE:
        return reality.available(meaning.service)
    if meaning.role is Role.REQUIRED:
        return reality.required(meaning.service)
    if meaning.role.is_url:
        return reality.url(meaning.role, meaning.service)
    if not reality.available(meaning.service):
        return None
    service = reality.environment.service_named(meaning.service)
    return Deferred(lambda: process.isolation.of(service).endpoint)


def _health_endpoints(session: EnvironmentSession) -> dict[str, str]:
    """Return where each service says who it is: a language model only if it does, for most have no such path."""
    speaking = {
        name: spec
        for name, spec in session.environment.services.items()
        if name in session.endpoints
        and not spec.asks_no_path
        and (spec.kind == "http" or (spec.kind == "openai" and session.ping([name])[name].identity))
    }
    bases = {name: session.endpoints[name].field("url").rstrip("/") for name in speaking}
    return {name: bases[name].removesuffix("/v1") + spec.health for name, spec in speaking.items()}


def _llm_values(session: EnvironmentSession, scope: ExitStack) -> dict[str, Any]:
    """Return a value for every field of `real_llm`."""
    spec = session.environment.services.get("llm")
    endpoint = session.endpoints.get("llm")
    reality = Reality(session.environment, session.endpoints, session.ping(["llm"]) if spec else {})
    client = async_client = None
    if spec is not None and endpoint is not None:
        from envmatrix.services.kinds.openai_client import new_openai_clients

        client, async_client = new_openai_clients(spec, endpoint)
        scope.callback(client.close)
    identity = reality.pings["llm"].identity if spec else {}
    provider = identity.get("provider", spec.kind if spec else "")
    return {
        "environment": session.environment.declared_name,
        "llm_available": reality.available("llm"),
        "provider": f"{provider} (stand-in)" if reality.stands_in("llm") else provider,
        "model": (spec.model if spec else None) or identity.get("model", ""),
        "base_url": endpoint.field("url") if endpoint else None,
        "api_key_configured": spec is not None and spec.api_key is not None,
        "client": client,
        "async_client": async_client,
        "is_real": reality.real("llm"),
    }
