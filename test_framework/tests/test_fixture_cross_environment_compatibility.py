"""Checks that `real_services` keeps its contract in the selected environment, field by field.

Names of tests begin with the field they are about. Tokens, WebSockets, isolation and the language model have modules of
their own beside this one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from envmatrix.causes import Breaker
from envmatrix.conformance.looks import answers
from envmatrix.conformance.targets import api
from envmatrix.contracts import CONTRACT_VERSION, Reality, RealServices, check, meaning_of
from envmatrix.environments.declaration import read_declaration
from envmatrix.services.kinds.http import new_client
from envmatrix.services.kinds.http_health import value_at
from envmatrix.services.probes.exchanges import REFUSALS

PROOFS = ("Authorization", "Cookie")
"""Headers that carry a user's token or session."""
STORES = ("database", "redis", "clickhouse", "llm")
URLS = [
    pytest.param(field, marks=pytest.mark.requires(capability))
    for field, capability in {"backend_url": "backend", "api_url": "backend", "auth_url": "auth"}.items()
]


def health_answers(services: RealServices, reality: Reality) -> dict[str, dict[str, Any]]:
    """Return the JSON object that each health endpoint answers with, if it is one; skip where there is none."""
    if not services.health_endpoints:
        pytest.skip("no service of this environment has a health endpoint")
    answers_by_service = {}
    for name, url in services.health_endpoints.items():
        spec = reality.environment.services[name]
        with new_client(reality.endpoints[name], follow_redirects=spec.follow_redirects) as client:
            answer = client.get(url)
        assert spec.is_healthy(answer.status_code), f"{url} answers {answer.status_code}"
        try:
            body = answer.json()
        except ValueError:
            body = None
        answers_by_service[name] = body if isinstance(body, dict) else {}
    return answers_by_service


def secrets_of(services: RealServices, reality: Reality) -> Iterator[str]:
    """Yield the secrets that must never be shown: tokens, keys and passwords."""
    yield from filter(None, (services.test_jwt_token, services.test_api_key))
    yield from (endpoint.field("password") for endpoint in reality.endpoints.values() if endpoint.field("password"))
    keys = (spec.api_key for spec in reality.environment.services.values())
    yield from (key.get_secret_value() for key in keys if key is not None)


# Which environment this is


@pytest.mark.promise("the fixture is not what its contract says", Breaker.FIXTURE)
def test_contract_has_no_findings(real_services: RealServices, matrix_reality: Reality) -> None:
    """The contract check, which every fixture of this name must pass, finds nothing."""
    assert check(RealServices, real_services, matrix_reality) == ()


@pytest.mark.promise("contract_version is another than the library's", Breaker.FIXTURE)
def test_contract_version_is_the_librarys(real_services: RealServices) -> None:
    """It is a semantic version, and the one that this library speaks."""
    assert re.fullmatch(r"\d+\.\d+\.\d+", real_services.contract_version)
    assert real_services.contract_version == CONTRACT_VERSION


@pytest.mark.promise("the fixture names another environment than the selected one", Breaker.FIXTURE)
def test_environment_is_the_selected_one(real_services: RealServices, matrix_reality: Reality) -> None:
    """The fixture names the environment that was selected, which is the name of its file."""
    assert real_services.environment == matrix_reality.environment.declared_name == matrix_reality.environment.file.stem


@pytest.mark.promise("a service reports another environment", Breaker.ENVIRONMENT)
def test_environment_is_what_each_target_reports(real_services: RealServices, matrix_reality: Reality) -> None:
    """Each service that reports its environment reports this one: a run of staging is never reported as local."""
    environments = {
        name: answer.get("environment") for name, answer in health_answers(real_services, matrix_reality).items()
    }
    reported = {name: environment for name, environment in environments.items() if environment is not None}
    if not reported:
        pytest.skip("no health endpoint reports an environment: there is nothing to hold the name against")
    services = matrix_reality.environment.services
    assert reported == {
        name: services[name].identity.get("environment", real_services.environment) for name in reported
    }


@pytest.mark.promise("config is not the declaration", Breaker.FIXTURE)
def test_config_is_the_declaration(real_services: RealServices, matrix_reality: Reality) -> None:
    """Every declared service is in it, with its kind and its source."""
    services = {
        name: (service["kind"], service["source"]) for name, service in real_services.config["services"].items()
    }
    declared = matrix_reality.environment.services
    assert services == {name: (spec.kind, spec.source.value) for name, spec in declared.items()}


@pytest.mark.promise("config shows a secret", Breaker.FIXTURE)
def test_config_holds_no_secret(real_services: RealServices, matrix_reality: Reality) -> None:
    """Neither its repr nor its JSON shows a token, a key or a password."""
    text = f"{real_services.config!r} {json.dumps(dict(real_services.config))}"
    assert [index for index, secret in enumerate(secrets_of(real_services, matrix_reality)) if secret in text] == []


@pytest.mark.promise("a secret is shown where a value is printed", Breaker.FIXTURE)
def test_nothing_that_is_shown_holds_a_secret(real_services: RealServices, matrix_reality: Reality) -> None:
    """The fixture may stand in an assertion, a traceback or a log: its repr and that of each field are safe."""
    text = f"{real_services!r} {real_services} {dict(real_services)!r}"
    assert [index for index, secret in enumerate(secrets_of(real_services, matrix_reality)) if secret in text] == []


# Whether each service is there


@pytest.mark.parametrize("service", STORES)
@pytest.mark.promise("NAME_available is another than what a client of the service sees", Breaker.FIXTURE)
def test_available_is_what_its_own_client_sees(
    real_services: RealServices, matrix_reality: Reality, service: str
) -> None:
    """`NAME_available` equals whether the service works for a client library that shares nothing with our ping."""
    assert real_services[f"{service}_available"] is answers(service, matrix_reality)


@pytest.mark.parametrize("service", STORES)
@pytest.mark.promise("NAME_required is another than what the declaration says", Breaker.FIXTURE)
def test_required_is_what_the_file_says(real_services: RealServices, matrix_reality: Reality, service: str) -> None:
    """`NAME_required` equals what the declaration says to whoever reads its TOML, and what it extends."""
    environment = matrix_reality.environment
    declared = read_declaration(environment.file, environment.overrides).data["services"]
    table = declared.get(service, {"source": "absent"})
    required = table["source"] != "absent" and table.get("required", True)
    assert real_services[f"{service}_required"] is required


@pytest.mark.parametrize("service", STORES)
@pytest.mark.promise("a required service is not available", Breaker.ENVIRONMENT)
def test_required_is_never_unavailable(real_services: RealServices, matrix_reality: Reality, service: str) -> None:
    """A required service is available, unless a variant degrades it; a test that gets the fixture can rely on it."""
    if matrix_reality.environment.is_degraded(service):
        pytest.skip(f"{service} is degraded in {matrix_reality.environment.name}")
    assert (real_services[f"{service}_required"], real_services[f"{service}_available"]) != (True, False)


# Where it is


@pytest.mark.parametrize("field", ["backend_url", "api_url", "auth_url", "websocket_url"])
@pytest.mark.promise("a URL is there without its service, or missing with it", Breaker.FIXTURE)
def test_url_is_none_exactly_where_there_is_no_service(
    real_services: RealServices, matrix_reality: Reality, field: str
) -> None:
    """An absent service has no URL, and a present one has."""
    service = matrix_reality.environment.service_named(meaning_of(RealServices, field).service)
    spec = matrix_reality.environment.services.get(service)
    speaks = spec is not None and (field != "websocket_url" or spec.websocket is not None)
    there = speaks and service in matrix_reality.endpoints
    assert (real_services[field] is not None) is there


@pytest.mark.parametrize("field", URLS)
@pytest.mark.promise("a URL does not answer", Breaker.ENVIRONMENT)
def test_url_is_absolute_and_answers(real_services: RealServices, matrix_reality: Reality, field: str) -> None:
    """An http(s) URL with a host, at which a server answers and does not break."""
    url = urlsplit(real_services[field])
    assert url.scheme in {"http", "https"}
    assert url.hostname
    service = matrix_reality.environment.service_named(meaning_of(RealServices, field).service)
    with new_client(matrix_reality.endpoints[service]) as client:
        assert client.get(real_services[field]).status_code < 500


@pytest.mark.requires("backend")
@pytest.mark.promise("api_url is not the backend's declared path", Breaker.FIXTURE)
def test_api_url_is_below_the_backends(real_services: RealServices, matrix_reality: Reality) -> None:
    """The API is where the declaration puts it: a path of the backend, which answers there."""
    assert real_services.backend_url is not None
    assert (
        real_services.api_url
        == real_services.backend_url
        + matrix_reality.environment.services[matrix_reality.environment.service_named("backend")].api
    )
    assert real_services.http_client_sync.get(real_services.api_url).status_code < 500


@pytest.mark.promise("a health endpoint names another service", Breaker.ENVIRONMENT)
def test_health_endpoints_name_their_services(real_services: RealServices, matrix_reality: Reality) -> None:
    """Each answers as declared and says that it is what the declaration expects there, and not some other service."""
    identities = health_answers(real_services, matrix_reality)
    declared = {name: matrix_reality.environment.services[name].identity for name in identities}
    demanded = {name: {key: text for key, text in identity.items() if text} for name, identity in declared.items()}
    speaking = {name for name, identity in demanded.items() if identity or "service" in identities[name]}
    if not speaking:
        pytest.skip("no health endpoint says who it is, and no identity is declared")
    expected = {name: demanded[name] or {"service": name} for name in speaking}
    assert {name: {key: value_at(identities[name], key) for key in keys} for name, keys in expected.items()} == expected


@pytest.mark.promise("health_endpoints leaves a service out", Breaker.FIXTURE)
def test_health_endpoints_are_of_every_http_service(real_services: RealServices, matrix_reality: Reality) -> None:
    """No service that has a health path is left out."""
    declared = {name: spec for name, spec in matrix_reality.environment.services.items() if not spec.asks_no_path}
    speaking = {name for name, spec in declared.items() if spec.kind == "http" and name in matrix_reality.endpoints}
    assert speaking <= real_services.health_endpoints.keys()


# The clients


@pytest.mark.requires("multi_user")
@pytest.mark.anyio
@pytest.mark.promise("the client's token is not taken, or a request without one is", Breaker.PRODUCT)
async def test_http_client_carries_a_good_token(real_services: RealServices, matrix_reality: Reality) -> None:
    """200 at a protected path as it is given out, refused for the same request without its token or session."""
    path = api(matrix_reality).path
    async with real_services.http_client as client:
        anonymous = client.build_request("GET", path)
        for name in PROOFS:
            anonymous.headers.pop(name, None)
        answers_got = [(await client.get(path)).status_code, (await client.send(anonymous, auth=None)).status_code]
    assert answers_got[0] == 200
    assert answers_got[1] in REFUSALS


@pytest.mark.requires("multi_user")
@pytest.mark.promise("the client's token is not taken, or a request without one is", Breaker.PRODUCT)
def test_http_client_sync_carries_a_good_token(real_services: RealServices, matrix_reality: Reality) -> None:
    """200 at a protected path as it is given out, refused for the same request without its token or session."""
    path, client = api(matrix_reality).path, real_services.http_client_sync
    anonymous = client.build_request("GET", path)
    for name in PROOFS:
        anonymous.headers.pop(name, None)
    assert client.get(path).status_code == 200
    assert client.send(anonymous, auth=None).status_code in REFUSALS


@pytest.mark.requires("backend")
@pytest.mark.promise("a client asks another server than the backend", Breaker.FIXTURE)
def test_http_clients_are_the_backends(real_services: RealServices, matrix_reality: Reality) -> None:
    """A relative path goes to the service that is declared for it, the backend say, which answers."""
    bases = {str(client.base_url).rstrip("/") for client in (real_services.http_client, real_services.http_client_sync)}
    endpoint = matrix_reality.api
    assert bases == ({str(httpx.URL(endpoint.field("url"))).rstrip("/")} if endpoint else {""})
    assert real_services.http_client_sync.get("/").status_code < 500


# What kind of object it is


@pytest.mark.usefixtures("matrix_reality")  # to read every field is not to exercise what is behind it
@pytest.mark.promise("a field and its key differ", Breaker.FIXTURE)
def test_fields_and_keys_are_the_same(real_services: RealServices) -> None:
    """Tests written for a dict and tests written for an object read the very same values."""
    assert issubclass(type(real_services), Mapping)
    assert list(real_services) == list(type(real_services).model_fields)
    assert all(real_services[field] is getattr(real_services, field) for field in real_services)
    with pytest.raises(KeyError):
        real_services["no_such_field"]
    with pytest.raises(AttributeError):
        _ = real_services.no_such_field


@pytest.mark.parametrize("field", RealServices.model_fields)
@pytest.mark.promise("a test can change a field", Breaker.FIXTURE)
def test_no_field_can_be_assigned(real_services: RealServices, field: str) -> None:
    """A test cannot change what the next one sees."""
    with pytest.raises((AttributeError, TypeError, ValueError)):
        setattr(real_services, field, None)
    with pytest.raises(TypeError):
        real_services[field] = None
