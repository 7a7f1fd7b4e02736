"""What is read of services, of real servers: it only reads, and ends in time."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from envmatrix.environments import ServiceSpec, Source
from envmatrix.masking import MASK, MASKER
from envmatrix.runs.events import Fingerprint
from envmatrix.services import Endpoint, get_kind
from envmatrix.services.endpoint import at_database
from envmatrix.services.fingerprint import take_fingerprint
from tests.framework.services.servers import fake, running, silent, web

DATABASE = ServiceSpec(name="database", kind="postgres", source=Source.EMBEDDED, settings={"Work_Mem": "4MB"})
TABLES = """
CREATE TABLE users (id bigint PRIMARY KEY, email varchar(80) NOT NULL, made timestamptz DEFAULT now(), gone int);
ALTER TABLE users DROP COLUMN gone;
CREATE INDEX of_email ON users (email);
CREATE VIEW names AS SELECT email FROM users;
CREATE SCHEMA envmatrix_abc;
CREATE TABLE envmatrix_abc.part (id int);
"""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """A PostgreSQL server."""
    with running(get_kind("postgres"), DATABASE, tmp_path_factory.mktemp("cache")) as server:
        yield server.endpoint


@pytest.fixture
def schema(database: Endpoint) -> Iterator[Endpoint]:
    """A fresh database in it."""
    name = f"t{secrets.token_hex(4)}"
    with psycopg.connect(database.field("url"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        yield at_database(database, name)


def make(endpoint: Endpoint, statements: str) -> None:
    """Run statements."""
    with psycopg.connect(endpoint.field("url"), autocommit=True) as connection:
        connection.execute(statements.encode())


def of_database(endpoint: Endpoint) -> Fingerprint:
    """The fingerprint of one database."""
    return take_fingerprint({"database": (DATABASE, endpoint)})


def of_backend(url: str, **declared: Any) -> Fingerprint:
    """The fingerprint of one HTTP service."""
    spec = ServiceSpec(name="backend", kind="http", source=Source.REMOTE, url=url, **declared)
    return take_fingerprint({"backend": (spec, get_kind("http").connect(spec, url))})


def test_the_schema_comes_from_the_catalogue(schema: Endpoint) -> None:
    """Columns, constraints and indexes: none that was dropped, none of our own parts, and `not null` once."""
    make(schema, TABLES)
    assert of_database(schema).services["database"]["schema"] == {
        "column public.users.id": "bigint not null",
        "column public.users.email": "character varying(80) not null",
        "column public.users.made": "timestamp with time zone default now()",
        "column public.names.email": "character varying(80)",
        "constraint public.users.users_pkey": "PRIMARY KEY (id)",
        "index public.users_pkey": "CREATE UNIQUE INDEX users_pkey ON public.users USING btree (id)",
        "index public.of_email": "CREATE INDEX of_email ON public.users USING btree (email)",
    }


def test_a_huge_schema_is_unread_rather_than_cut(schema: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of it would differ from another half."""
    monkeypatch.setattr("envmatrix.services.fingerprint._MOST_NAMES", 6)
    make(schema, TABLES)
    fingerprint = of_database(schema)
    assert fingerprint.unread == {"database": {"schema": "its schema has more than 6 columns, constraints and indexes"}}
    assert set(fingerprint.services["database"]) == {"settings"}


def test_relevant_settings_and_declared_ones_are_read(schema: Endpoint) -> None:
    """With the extensions' versions; of the three hundred others none."""
    settings = of_database(schema).services["database"]["settings"]
    assert settings["server_encoding"] == "UTF8"
    assert settings["work_mem"] == "4MB"
    assert settings["extension plpgsql"] == "1.0"
    assert "port" not in settings


def test_document_and_flags_are_read_and_masked() -> None:
    """A secret that a document shows as its example is none in a run file."""
    secret = f"s3cret-{secrets.token_hex(8)}"
    MASKER.add(secret)
    document = {"paths": {"/a": {"get": {"example": [f"key {secret}"]}}}, "count": 1}
    with web({"/openapi.json": (200, document), "/flags": (200, {"new": True, secret: "x"})}) as site:
        fingerprint = of_backend(site.url, flags="/flags")
    assert fingerprint.services["backend"] == {
        "openapi": {"paths": {"/a": {"get": {"example": [f"key {MASK}"]}}}, "count": 1},
        "flags": {"new": True, MASK: "x"},
    }


@pytest.mark.parametrize(
    ("answers", "declared", "unread"),
    [
        ({}, {}, {}),
        ({"/openapi.json": (200, "<html>")}, {}, {}),
        ({}, {"openapi": "/api.json"}, {"openapi": "GET /api.json answers 404 without a JSON object"}),
        ({"/f": (401, {})}, {"flags": "/f"}, {"flags": "GET /f answers 401 without a JSON object"}),
        ({"/openapi.json": (200, {"a": "x" * (1 << 19)})}, {}, {"openapi": "answers with more than 512 KiB"}),
    ],
)
def test_what_is_declared_and_not_there_is_unread(
    answers: dict[str, Any], declared: dict[str, str], unread: dict[str, str]
) -> None:
    """Most services have no OpenAPI document: that is none, and nothing unknown."""
    with web(answers) as site:
        fingerprint = of_backend(site.url, **declared)
    assert fingerprint.unread.get("backend", {}) == unread
    assert fingerprint.services["backend"] == {name: {} for name in ("openapi", "flags") if name not in unread}


@pytest.mark.fault("hung-accept")
def test_a_hung_service_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where a client of its own would wait for longer; what another service tells is kept."""
    monkeypatch.setattr("envmatrix.services.fingerprint._DEADLINE", 1.0)
    with fake(silent) as port, web({}) as site:
        backend = ServiceSpec(name="backend", kind="http", source=Source.REMOTE, url=site.url)
        fingerprint = take_fingerprint(
            {
                "database": (DATABASE, get_kind("postgres").connect(DATABASE, f"postgresql://127.0.0.1:{port}/x")),
                "backend": (backend, get_kind("http").connect(backend, site.url)),
            }
        )
    assert fingerprint.unread == {"database": dict.fromkeys(("settings", "schema"), "timeout after 1.0 s")}
    assert fingerprint.services == {"database": {}, "backend": {"openapi": {}, "flags": {}}}


def test_a_kind_that_tells_nothing_more_is_there() -> None:
    """A service of another package's kind has its version alone."""
    spec = ServiceSpec(name="llm", kind="openai", source=Source.REMOTE, url="http://127.0.0.1:1")
    endpoint = get_kind("openai").connect(spec, "http://127.0.0.1:1")
    assert take_fingerprint({"llm": (spec, endpoint)}) == Fingerprint({"llm": {}})
