"""The contract: a typed object that is a mapping too, and the check of any value against it."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import SecretStr, ValidationError

from envmatrix.contracts import (
    CONTRACT_VERSION,
    FINDING_RULES,
    Contract,
    Deferred,
    Meaning,
    Reality,
    RealLLM,
    RealServices,
    Role,
    check,
    meaning_of,
    services_behind,
)
from envmatrix.environments import Environment, ServiceSpec, Source, UserRoutes
from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.services import Endpoint


def endpoint(service: str, kind: str, url: str) -> Endpoint:
    """An endpoint of a service that is up."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 0
    return Endpoint(service=service, kind=kind, source=Source.REMOTE, url=SecretStr(url), host=host, port=port)


BACKEND = ServiceSpec(
    name="backend", kind="http", source=Source.REMOTE, url=SecretStr("http://b:1"), api="/api", websocket="/ws"
)
DATABASE = ServiceSpec(
    name="database", kind="postgres", source=Source.REMOTE, url=SecretStr("postgresql://u:p@d:2/x"), required=True
)
REDIS = ServiceSpec(name="redis", kind="redis", source=Source.ABSENT)

REALITY = Reality(
    Environment(
        name="here",
        file=Path("environments/here.toml"),
        services={"backend": BACKEND, "database": DATABASE, "redis": REDIS},
    ),
    {
        "backend": endpoint("backend", "http", "http://b:1"),
        "database": endpoint("database", "postgres", "postgresql://u:p@d:2/x"),
    },
    {
        "backend": Ping(service="backend", status=PingStatus.UP),
        "database": Ping(service="database", status=PingStatus.UP),
        "redis": Ping(service="redis", status=PingStatus.ABSENT),
    },
)


@pytest.fixture
def value() -> dict[str, Any]:
    """A dict that keeps the contract."""
    return {
        "environment": "here",
        "config": {},
        "database_available": True,
        "redis_available": False,
        "clickhouse_available": False,
        "llm_available": False,
        "database_required": True,
        "redis_required": False,
        "clickhouse_required": False,
        "llm_required": False,
        "backend_url": "http://b:1",
        "api_url": "http://b:1/api",
        "auth_url": None,
        "websocket_url": "ws://b:1/ws",
        "http_client": httpx.AsyncClient(base_url="http://b:1"),
        "http_client_sync": httpx.Client(base_url="http://b:1/api"),
        "test_jwt_token": "token",
        "test_api_key": None,
        "health_endpoints": {"backend": "http://b:1/health"},
        "database": endpoint("database", "postgres", "postgresql://u:p@d:2/w"),
        "redis": None,
        "clickhouse": None,
        "users": None,
        "contract_version": CONTRACT_VERSION,
    }


def test_a_value_that_keeps_the_contract_has_no_findings(value: dict[str, Any]) -> None:
    """A dict and an object with the same fields both pass."""
    assert check(RealServices, value, REALITY) == ()
    assert check(RealServices, type("Legacy", (), value)(), REALITY) == ()
    assert check(RealServices, RealServices.model_construct(**value), REALITY) == ()
    assert check(RealServices, {**value, "config": MappingProxyType({})}, REALITY) == ()


@pytest.mark.parametrize("field", list(RealServices.model_fields))
def test_each_missing_field_is_found(value: dict[str, Any], field: str) -> None:
    """Whatever field is left out, the finding names it."""
    del value[field]
    (finding,) = check(RealServices, value, REALITY)
    assert (finding.rule, finding.field) == ("C110", field)


WRONG: list[tuple[str, object, str]] = [
    ("environment", "there", "C112"),
    ("environment", 3, "C111"),
    ("config", [], "C111"),
    ("database_available", False, "C112"),
    ("database_available", "True", "C111"),
    ("redis_available", True, "C112"),
    ("clickhouse_available", True, "C112"),
    ("llm_available", True, "C112"),
    ("database_required", False, "C112"),
    ("redis_required", True, "C112"),
    ("clickhouse_required", True, "C112"),
    ("llm_required", True, "C112"),
    ("backend_url", None, "C113"),
    ("backend_url", "b:1", "C113"),
    ("backend_url", "http://elsewhere:1", "C114"),
    ("api_url", "ftp://b:1/api", "C113"),
    ("auth_url", "http://auth:1", "C113"),
    ("websocket_url", "http://b:1/ws", "C113"),
    ("http_client", "client", "C111"),
    ("http_client_sync", None, "C111"),
    ("http_client_sync", httpx.Client(), "C113"),
    ("http_client", httpx.AsyncClient(base_url="http://b:2"), "C114"),
    ("test_jwt_token", b"token", "C111"),
    ("test_api_key", 7, "C111"),
    ("health_endpoints", None, "C111"),
    ("database", "postgresql://", "C111"),
    ("database", None, "C112"),
    ("contract_version", "0.0.1", "C112"),
    ("redis", {}, "C111"),
    ("clickhouse", True, "C111"),
    ("users", "alice", "C111"),
    ("contract_version", 1, "C111"),
]


@pytest.mark.parametrize(("field", "held", "rule"), WRONG)
def test_each_wrong_field_is_found(value: dict[str, Any], field: str, held: object, rule: str) -> None:
    """A wrong type, an untrue flag, a URL of elsewhere: one finding, with its rule, on that field."""
    (finding,) = check(RealServices, {**value, field: held}, REALITY)
    assert (finding.rule, finding.field) == (rule, field)


def test_every_field_and_every_rule_is_tried_above() -> None:
    """No field and no rule of the check is without a case."""
    assert {field for field, _, _ in WRONG} == set(RealServices.model_fields)
    # C115 is about a fixture that gives no value to check.
    assert {rule for _, _, rule in WRONG} | {"C110", "C115"} == FINDING_RULES.keys()


@pytest.mark.fault("canary-secret")
def test_a_finding_never_shows_a_password(value: dict[str, Any]) -> None:
    """A URL with credentials is masked in what is said about it."""
    (finding,) = check(RealServices, {**value, "backend_url": "ftp://user:hunter2hunter2@b:1"}, REALITY)
    assert "hunter2" not in str(finding)


def test_the_object_is_frozen_and_a_mapping(value: dict[str, Any]) -> None:
    """Attribute and key are the same; neither can be assigned."""
    services = RealServices.model_construct(**value)
    assert isinstance(services, Mapping)
    assert services["backend_url"] == services.backend_url
    assert list(services) == list(RealServices.model_fields)
    assert len(services) == len(value)
    with pytest.raises(KeyError):
        services["used_meanings"]
    with pytest.raises(ValidationError):
        services.backend_url = "x"
    with pytest.raises(TypeError):
        services["backend_url"] = "x"  # type: ignore[index]


def test_reading_a_field_notes_its_service(value: dict[str, Any]) -> None:
    """What a test reads is what it used; flags and checks use nothing."""
    services = RealServices.model_construct(**value)
    check(RealServices, services, REALITY)
    assert services.database_available
    assert services_behind(services.used_meanings, REALITY.environment) == frozenset()
    assert services["database"] is not None
    assert services.http_client is not None
    assert services_behind(services.used_meanings, REALITY.environment) == {"database", "backend"}


def test_a_subclass_adds_a_field_that_is_checked(value: dict[str, Any]) -> None:
    """A project's own field is demanded, and its name tells its service."""

    class ShopServices(RealServices):
        kafka_url: str | None

    (finding,) = check(ShopServices, value, REALITY)
    assert (finding.rule, finding.field) == ("C110", "kafka_url")
    assert meaning_of(ShopServices, "kafka_url") == Meaning(Role.URL, "kafka")
    assert check(ShopServices, {**value, "kafka_url": None}, REALITY) == ()
    (finding,) = check(ShopServices, {**value, "kafka_url": "kafka://k:1"}, REALITY)
    assert finding.rule == "C113"


@pytest.mark.parametrize("contract", [RealServices, RealLLM])
def test_each_field_of_ours_says_what_must_be_true(contract: type[Contract]) -> None:
    """Its meaning stands on it, as metadata: nothing is guessed by its name."""
    assert [field for field in contract.model_fields if not meaning_of(contract, field).truth] == []


def test_a_field_without_metadata_is_known_by_its_name() -> None:
    """A suffix, or the type of an endpoint, tells; a field that only changes a type keeps its meaning."""

    class ShopServices(RealServices):
        kafka_available: bool
        kafka_required: bool
        kafka: Endpoint | None
        flavour: str
        api_url: str

    names = ("kafka_available", "kafka_required", "kafka", "flavour", "api_url")
    roles = [Role.AVAILABLE, Role.REQUIRED, Role.ENDPOINT, Role.PLAIN, Role.API_URL]
    assert [meaning_of(ShopServices, name).role for name in names] == roles
    assert [meaning_of(ShopServices, name).service for name in names] == [
        "kafka",
        "kafka",
        "kafka",
        "flavour",
        "backend",
    ]


MESSAGES = [
    ("redis_available", True, "C112 redis_available is True, but redis is absent here (here.toml)"),
    ("database_available", False, "C112 database_available is False, but database is up"),
    ("clickhouse_available", True, "C112 clickhouse_available is True, but clickhouse is not declared (here.toml)"),
    ("database_required", False, "C112 database_required is False, but database is required (here.toml)"),
    ("redis_required", True, "C112 redis_required is True, but redis is not required (here.toml)"),
    ("database", None, "C112 database is None, but database is up"),
    ("environment", "there", "C112 environment is 'there', but the selected environment is 'here'"),
    ("backend_url", "b:1", "C113 backend_url is 'b:1', not an absolute http/https URL"),
    ("auth_url", "http://a:1", "C113 auth_url is a URL, but auth is not declared (here.toml)"),
    ("backend_url", "http://c:1", "C114 backend_url points to c:1, but backend is at b:1. The declaration: here.toml"),
    ("test_api_key", 7, "C111 test_api_key is of type int, but the contract says str | None"),
]


@pytest.mark.parametrize(("field", "wrong", "message"), MESSAGES)
def test_a_finding_is_understood_by_a_newcomer(value: dict[str, Any], field: str, wrong: object, message: str) -> None:
    """It says what the fixture claims, and what is really so."""
    assert [str(finding) for finding in check(RealServices, {**value, field: wrong}, REALITY)] == [message]


def behind(environment: Environment, *fields: str) -> frozenset[str]:
    """The services behind some fields."""
    return services_behind((meaning_of(RealServices, field) for field in fields), environment)


def test_users_and_clients_use_the_service_that_they_talk_to() -> None:
    """Where there is a backend it is the backend; where there is none, the service that makes users."""
    routes = UserRoutes(service="auth", signup="/signup", login="/login")
    auth = BACKEND.model_copy(update={"name": "auth"})
    both = REALITY.environment.model_copy(update={"users": routes, "services": {"auth": auth, "backend": BACKEND}})
    alone = both.model_copy(update={"services": {"auth": auth}})
    for field in ("users", "test_jwt_token", "test_api_key"):
        assert behind(both, field) == {"auth", "backend"}
        assert behind(alone, field) == {"auth"}
    assert behind(both, "http_client", "http_client_sync") == {"backend"}
    assert behind(alone, "http_client", "http_client_sync") == {"auth"}
    assert behind(both, "database_available", "config", "environment") == frozenset()


def test_a_deferred_field_is_made_when_it_is_first_read(value: dict[str, Any]) -> None:
    """Once, whichever way it is read; the check makes none, and what could not be made has been used all the same."""
    made: list[str] = []

    def make() -> Endpoint:
        made.append("database")
        if len(made) == 1:
            raise ConnectionError
        return REALITY.endpoints["database"]

    services = RealServices.model_construct(**{**value, "database": Deferred(make)})
    assert check(RealServices, services, REALITY) == ()
    assert made == []
    with pytest.raises(ConnectionError):
        _ = services.database
    assert {meaning.service for meaning in services.used_meanings} == {"database"}
    assert services.database is services["database"] is dict(services)["database"] is REALITY.endpoints["database"]
    assert made == ["database"] * 2


@pytest.mark.parametrize(
    ("source", "identity", "stands_in"),
    [
        (Source.REMOTE, {}, False),
        (Source.REMOTE, {"scripted": "false"}, False),
        (Source.REMOTE, {"scripted": "true"}, True),
        (Source.STUB, {}, True),
        (Source.STUB, {"scripted": "false"}, True),
    ],
)
def test_a_stand_in_that_is_said_to_be_real_is_found(source: Source, identity: dict[str, str], stands_in: bool) -> None:
    """Whether it is declared as one or says so itself; its own word that it is none does not make it real."""
    more: dict[str, Any] = {"command": ("serve",)} if source is Source.STUB else {"url": SecretStr("http://l:3/v1")}
    llm = ServiceSpec(name="llm", kind="openai", source=source, **more)
    reality = Reality(
        Environment(name="here", file=Path("here.toml"), services={"llm": llm}),
        {"llm": endpoint("llm", "openai", "http://l:3/v1")},
        {"llm": Ping(service="llm", status=PingStatus.UP, identity=identity)},
    )
    value = {
        "environment": "here",
        "llm_available": True,
        "provider": "openai",
        "model": "gpt",
        "base_url": "http://l:3/v1",
    }
    value |= {"api_key_configured": True, "client": None, "async_client": None}
    assert check(RealLLM, {**value, "is_real": not stands_in}, reality) == ()
    (finding,) = check(RealLLM, {**value, "is_real": stands_in}, reality)
    assert finding.rule == "C112"
    assert finding.message == f"is_real is {stands_in}, but llm is {'a stand-in' if stands_in else 'up'}"
