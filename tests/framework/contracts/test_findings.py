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
    Reality,
    RealServices,
    check,
    service_of,
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
        services["used_fields"]
    with pytest.raises(ValidationError):
        services.backend_url = "x"
    with pytest.raises(TypeError):
        services["backend_url"] = "x"  # type: ignore[index]


def test_reading_a_field_notes_its_service(value: dict[str, Any]) -> None:
    """What a test reads is what it used; flags and checks use nothing."""
    services = RealServices.model_construct(**value)
    check(RealServices, services, REALITY)
    assert services.database_available
    assert services_behind(services.used_fields, REALITY.environment) == frozenset()
    assert services["database"] is not None
    assert services.http_client is not None
    assert services_behind(services.used_fields, REALITY.environment) == {"database", "backend"}


def test_a_subclass_adds_a_field_that_is_checked(value: dict[str, Any]) -> None:
    """A project's own field is demanded, and its name tells its service."""

    class ShopServices(RealServices):
        kafka_url: str | None

    (finding,) = check(ShopServices, value, REALITY)
    assert (finding.rule, finding.field) == ("C110", "kafka_url")
    assert service_of("kafka_url") == "kafka"
    assert check(ShopServices, {**value, "kafka_url": None}, REALITY) == ()
    (finding,) = check(ShopServices, {**value, "kafka_url": "kafka://k:1"}, REALITY)
    assert finding.rule == "C113"


def test_users_and_clients_use_the_service_that_they_talk_to() -> None:
    """Where there is a backend it is the backend; where there is none, the service that makes users."""
    routes = UserRoutes(service="auth", signup="/signup", login="/login")
    auth = BACKEND.model_copy(update={"name": "auth"})
    both = REALITY.environment.model_copy(update={"users": routes, "services": {"auth": auth, "backend": BACKEND}})
    alone = both.model_copy(update={"services": {"auth": auth}})
    for field in ("users", "test_jwt_token", "test_api_key"):
        assert services_behind([field], both) == {"auth", "backend"}
        assert services_behind([field], alone) == {"auth"}
    assert services_behind(["http_client", "http_client_sync"], both) == {"backend"}
    assert services_behind(["http_client", "http_client_sync"], alone) == {"auth"}
    assert services_behind(["database_available", "config", "environment"], both) == frozenset()
