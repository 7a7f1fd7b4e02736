"""Each check against a real server: one that does as declared, and one that does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
import redis

from envmatrix.environments import Environment, ServiceSpec, Source, UserRoutes
from envmatrix.exceptions import MissingExtraError
from envmatrix.services import Endpoint, get_kind
from envmatrix.services.health import Check, HealthStatus, users
from envmatrix.services.health.checks import tried
from envmatrix.services.health.comprehensive import check_all
from envmatrix.services.health.settings import setting_checks
from envmatrix.services.health.stores import store_checks
from envmatrix.services.health.users import user_checks
from envmatrix.services.processes.ports import free_port
from tests.framework.services.place import eventually
from tests.framework.services.servers import running

LIES = Path(__file__).parents[2] / "lies"
ROUTES = {"signup": "/signup", "login": "/login", "me": "/me", "lifetime_parameter": "expires_in"}
WELL = {
    "sign-up and login": HealthStatus.OK,
    "authenticated request": HealthStatus.OK,
    "no token": HealthStatus.OK,
    "forged token": HealthStatus.OK,
    "expired token": HealthStatus.OK,
    "revoked token": HealthStatus.ABSENT,
    "WebSocket round trip": HealthStatus.OK,
    "removal of the user": HealthStatus.OK,
    "completion": HealthStatus.OK,
}


class Product:
    """A product that keeps its promises, until it is told to lie; it is auth service, backend and model at once."""

    def __init__(self, url: str) -> None:
        http = {"kind": "http", "source": Source.REMOTE, "url": url, "protected": "/me"}
        model = {"kind": "openai", "source": Source.REMOTE, "url": f"{url}/v1", "api_key": "sk-lies-key"}
        specs = (
            ServiceSpec(name="auth", **http),
            ServiceSpec(name="backend", websocket="/ws", **http),
            ServiceSpec(name="llm", model="lies-1", **model),
        )
        self.url = url
        self.environment = Environment(
            name="lying",
            file=Path("lying.toml"),
            services={spec.name: spec for spec in specs},
            users=UserRoutes(**ROUTES),
        )
        self.endpoints = {
            spec.name: get_kind(spec.kind).connect(spec, url + ("/v1" if spec.kind == "openai" else ""))
            for spec in specs
        }

    def is_up(self) -> bool:
        """Whether it answers by now."""
        try:
            return httpx.get(f"{self.url}/health").is_success
        except httpx.TransportError:
            return False

    def checks(self, *lies: str, production: bool = False, **routes: str | None) -> dict[str, Check]:
        """Check it while it tells some lies."""
        httpx.post(f"{self.url}/lies", json=lies)
        declared = {"users": UserRoutes(**{**ROUTES, **routes}), "production": production}
        environment = self.environment.model_copy(update=declared)
        return {check.name: check for check in check_all(environment, self.endpoints)}


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """A product that runs for all tests of this module: it takes a second to start."""
    port = free_port()
    env = {**os.environ, "SERVICE": "auth", "ENVIRONMENT": "lying", "SECRET": "a-secret-of-the-lies"}
    with subprocess.Popen([sys.executable, str(LIES / "server.py"), str(port)], env=env) as process:
        try:
            lying = Product(f"http://127.0.0.1:{port}")
            assert eventually(lying.is_up, 30)
            yield lying
        finally:
            process.terminate()


def test_a_product_that_keeps_its_promises_passes(product: Product) -> None:
    """Every check of users, tokens, WebSocket and model; what is not declared is not tried. A token must expire for it."""
    checks = product.checks()
    assert {name: check.status for name, check in checks.items()} == WELL, checks
    assert checks["revoked token"].detail == "[users] declares no logout"
    assert checks["completion"].detail.startswith("lies-1: an answer after ")


@pytest.mark.parametrize(
    ("lie", "name", "detail"),
    [
        (
            "token: refuses everybody",
            "authenticated request",
            "GET /me of auth answers 401; GET /me of backend answers 401",
        ),
        ("token: admits the anonymous", "no token", "GET /me of auth answers 200"),
        ("token: verifies no signature", "forged token", "foreign signature: GET /me of auth answers 200"),
        ("token: admits alg=none", "forged token", "alg=none: GET /me of auth answers 200"),
        ("token: admits expired ones", "expired token", "GET /me of auth answers 200"),
        ("websocket: refuses everybody", "WebSocket round trip", "403"),
        ("llm: says nothing", "completion", "lies-1 answers without a text"),
    ],
)
def test_a_broken_promise_is_found(
    product: Product, monkeypatch: pytest.MonkeyPatch, lie: str, name: str, detail: str
) -> None:
    """By the check that is about it, in the words of what was answered."""
    monkeypatch.setattr(users, "_PATIENCE", 0.1)
    lifetime = "expires_in" if name == "expired token" else None  # else each of these would wait for it
    check = product.checks(lie, lifetime_parameter=lifetime)[name]
    assert (check.status, detail in check.detail) == (HealthStatus.DOWN, True), check


@pytest.mark.parametrize(
    ("logout", "detail"), [("/keys", "GET /me of auth answers 200"), ("/health", "POST /health answers 405")]
)
def test_a_logout_that_ends_nothing_is_found(
    product: Product, monkeypatch: pytest.MonkeyPatch, logout: str, detail: str
) -> None:
    """One that answers and revokes nothing, and one that is none."""
    monkeypatch.setattr(users, "_PATIENCE", 0.1)
    check = product.checks(logout=logout)["revoked token"]
    assert (check.status, detail in check.detail) == (HealthStatus.DOWN, True), check


def test_without_a_user_nothing_of_one_is_tried(product: Product) -> None:
    """A sign-up that fails is told once, and not once for each thing that a user would have done."""
    environment = product.environment.model_copy(update={"users": UserRoutes(**{**ROUTES, "signup": "/nowhere"})})
    checks = list(user_checks(environment, product.endpoints))
    assert [(check.name, check.status.value) for check in checks] == [
        ("sign-up and login", "down"),
        ("removal of the user", "ok"),
    ]
    assert checks[0].detail.startswith("users: signup answered 404 at /nowhere")


def test_a_user_that_stays_is_named(product: Product) -> None:
    """Where nobody can delete it, that is told with its id."""
    environment = product.environment.model_copy(update={"users": UserRoutes(**{**ROUTES, "me": None})})
    check = list(user_checks(environment, product.endpoints))[-1]
    assert check.status is HealthStatus.DEGRADED
    assert check.detail.startswith("could not be deleted: ")


def test_production_is_only_read(product: Product) -> None:
    """No user, no completion, nothing written."""
    assert product.checks(production=True) == {}


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Endpoint]]:
    """A real Valkey and a real PostgreSQL."""
    cache = tmp_path_factory.mktemp("cache")
    specs = [ServiceSpec(name=kind, kind=kind, source=Source.EMBEDDED) for kind in ("redis", "postgres")]
    with (
        running(get_kind("redis"), specs[0], cache) as valkey,
        running(get_kind("postgres"), specs[1], cache) as postgres,
    ):
        yield {"redis": valkey.endpoint, "postgres": postgres.endpoint}


def ended(checks: Callable[..., Iterator[Check]], endpoint: Endpoint, **declared) -> dict[str, tuple[str, str]]:
    """Return how each check of a store ended."""
    spec = ServiceSpec(name=endpoint.kind, kind=endpoint.kind, source=Source.EMBEDDED, **declared)
    return {check.name: (check.status.value, check.detail) for check in checks(spec, endpoint)}


@pytest.mark.parametrize("kind", ["redis", "postgres"])
def test_a_store_keeps_isolates_deletes_and_is_left_as_it_was(stores: dict[str, Endpoint], kind: str) -> None:
    """In parts of our own, which are gone afterwards."""
    well = {"write, read, delete": ("ok", ""), "isolation": ("ok", "")}
    assert ended(store_checks, stores[kind]) == well
    with psycopg.connect(stores["postgres"].field("url")) as connection:
        assert connection.execute("SELECT count(*) FROM pg_database WHERE datname ~ '^envmatrix_'").fetchone() == (0,)
    with redis.Redis.from_url(stores["redis"].field("url")) as client:
        assert client.info("keyspace") == {}


@pytest.fixture
def valkey(stores: dict[str, Endpoint]) -> Iterator[redis.Redis]:
    """A client of Valkey; its settings are afterwards as before."""
    with redis.Redis.from_url(stores["redis"].field("url"), decode_responses=True) as client:
        before = client.config_get("max*")
        yield client
        for name, value in before.items():
            client.config_set(name, value)


def test_a_store_that_takes_nothing_is_down(stores: dict[str, Endpoint], valkey: redis.Redis) -> None:
    """One whose memory is full, and that evicts nothing."""
    valkey.config_set("maxmemory", 1)
    status, detail = ended(store_checks, stores["redis"])["write, read, delete"]
    assert status == "down"
    assert "used memory > 'maxmemory'" in detail
    assert ended(setting_checks, stores["redis"])["capacity"][0] == "degraded"


def test_settings_are_compared_with_what_is_declared(stores: dict[str, Endpoint]) -> None:
    """By the server's own names, whatever their case, and numbers as numbers; each difference by name."""
    settings = {"maxmemory-policy": "allkeys-lru", "maxclients": 10000, "APPENDONLY": "no", "max-memory": "1gb"}
    assert ended(setting_checks, stores["redis"], settings=settings)["settings"] == (
        "degraded",
        "maxmemory-policy is noeviction, declared allkeys-lru; max-memory is no setting of it, declared 1gb",
    )
    capacity = ended(setting_checks, stores["postgres"])["capacity"]
    assert (capacity[0], capacity[1].endswith(" of 200 connections")) == ("ok", True)
    same = {"server_encoding": "UTF8", "TimeZone": "Etc/UTC", "max_connections": 200}
    assert ended(setting_checks, stores["postgres"], settings=same, extensions=("plpgsql",))["settings"] == (
        "ok",
        "server_encoding UTF8, timezone Etc/UTC, max_connections 200",
    )
    other = ended(setting_checks, stores["postgres"], settings={"lc_collate": "de_DE"}, extensions=("vector",))
    assert other["settings"][0] == "degraded"
    assert other["settings"][1].endswith("declared de_DE; extension vector is not installed")


def test_settings_that_may_not_be_read_are_unknown_where_they_are_declared(
    stores: dict[str, Endpoint], valkey: redis.Redis
) -> None:
    """A managed server forbids the question: that is no fault, but what was declared stays unproved."""
    valkey.acl_setuser(
        "guest", enabled=True, passwords=["+guest"], keys=["*"], commands=["+@all", "-config"], reset=True
    )
    url = stores["redis"].field("url").replace("//:", "//guest:").replace(stores["redis"].field("password"), "guest")
    spec = ServiceSpec(name="redis", kind="redis", source=Source.REMOTE, url=url)
    guest = get_kind("redis").connect(spec, url)
    assert ended(setting_checks, guest)["settings"] == ("absent", "its user may not read its settings")
    assert ended(setting_checks, guest, settings={"maxclients": 1})["settings"][0] == "unknown"


def test_what_this_machine_lacks_is_unknown() -> None:
    """A client that is not installed is no fault of the service."""

    def action() -> str:
        raise MissingExtraError("openai", "openai")

    check = tried("llm", "completion", action)
    assert (check.status, check.detail) == (
        HealthStatus.UNKNOWN,
        "'openai' is not installed. Install it with: pip install 'envmatrix[openai]'",
    )


def test_nothing_of_a_secret_is_told(product: Product) -> None:
    """Neither a token nor a password is in any detail."""
    details = json.dumps([check.detail for check in product.checks("token: refuses everybody").values()])
    assert "eyJ" not in details
