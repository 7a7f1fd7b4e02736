"""What `envmatrix init` makes of a project's own files."""

from __future__ import annotations

import json
import shutil
import sys
import tomllib
from contextlib import chdir
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr

from envmatrix.__main__ import main
from envmatrix.environments import Environment, Project, load_environment
from tests.framework.bare import Bare

EXAMPLE = """\
    DATABASE_URL=postgresql+asyncpg://app:k4nary-of-app@localhost/app
    REDIS_URL=redis://localhost:6379/0
    SECRET_KEY=k4nary-of-shop
    DEBUG=1
    PORT=8000
    PAYMENT_URL=https://pay.example
    BROKER_URL=amqp://localhost
    EVENTS_URL=nats://localhost
    API_URL=http://localhost:8000
    APP_URL=https://shop.example
"""
CONFTEST = """\
    import pytest

    def pytest_addoption(parser):
        parser.addoption("--clickhouse-url", default="x")
        parser.addoption("--base-url", default="x")

    @pytest.fixture
    def redis_client(): ...
"""


@pytest.fixture
def shop(bare: Bare, monkeypatch: pytest.MonkeyPatch) -> Bare:
    """A project without declarations, on a machine without a container engine."""
    shutil.rmtree(bare.root / "environments")
    (bare.root / "pyproject.toml").unlink()
    (bare.root / "bin").mkdir()
    monkeypatch.setenv("PATH", str(bare.root / "bin"))
    return bare


def called(root: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run the command in this process: exit code, output, standard error."""
    with chdir(root), pytest.raises(SystemExit) as exit_:
        main(("init", *words))
    return int(exit_.value.code or 0), *capsys.readouterr()


def adopted(shop: Bare, capsys: pytest.CaptureFixture[str]) -> Environment:
    """Run the command and load what it wrote."""
    assert called(shop.root, capsys)[0] == 0
    return load_environment("local", shop.root / "environments", variables={})


def test_each_file_adds_what_it_tells_of(shop: Bare, capsys: pytest.CaptureFixture[str]) -> None:
    """Procfile, example variables, options and fixtures become one declaration that loads; each line says where it is from."""
    shop.write("Procfile", "web: python -m shop --port $PORT\nrelease: shop migrate\nworker: celery\nclock: a | b\n")
    shop.write(".env.example", EXAMPLE)
    shop.write("suite/conftest.py", CONFTEST)
    local = adopted(shop, capsys)
    sources = {name: (spec.kind, spec.source.value) for name, spec in local.services.items()}
    assert sources == {
        "backend": ("http", "process"),
        "database": ("postgres", "embedded"),
        "redis": ("redis", "embedded"),
        "clickhouse": ("clickhouse", "embedded"),
        "payment": ("http", "remote"),
        "amqp": ("amqp", "remote"),
        "release": ("job", "process"),
        "worker": ("background", "process"),
    }
    assert {name: spec.needs for name, spec in local.services.items() if spec.needs} == {
        "backend": ("release", "worker"),
        "worker": ("release",),
    }
    backend = local.services["backend"]
    assert backend.command == ("{python}", "-m", "shop", "--port", "{backend.port}")
    assert {name: value.get_secret_value() for name, value in backend.env.items()} == {
        "DATABASE_URL": "postgresql+asyncpg://{database.user}:{database.password}@{database.host}:{database.port}/"
        "{database.database}",
        "REDIS_URL": "{redis.url}",
        "SECRET_KEY": "",
        "DEBUG": "1",
        "PORT": "{backend.port}",
        "PAYMENT_URL": "https://pay.example",
        "BROKER_URL": "{amqp.url}",
        "EVENTS_URL": "nats://localhost",
        "API_URL": "{backend.url}",
        "APP_URL": "https://shop.example",
    }
    assert local.services["worker"].env["API_URL"].get_secret_value() == "http://localhost:8000"
    assert local.pytest.args == ("--clickhouse-url={clickhouse.url}", "--base-url={backend.url}")
    assert {name: value.get_secret_value() for name, value in local.pytest.env.items()} == {
        name: backend.env[name].get_secret_value() for name in ("DATABASE_URL", "REDIS_URL", "BROKER_URL", "API_URL")
    }
    lines = (shop.root / "environments/local.toml").read_text().splitlines()
    assert all("  # " in line for line in lines if " = " in line)
    assert "# - Procfile:4 is not declared: its command needs a shell" in lines
    assert "# - .env.example: APP_URL may be the address of the product itself" in lines
    assert "# - .env.example: EVENTS_URL is an address of 'nats', for which nothing is declared" in lines
    assert local.services["amqp"].url == SecretStr("amqp://localhost")
    assert Project.find(shop.root).suites == ("suite",)


HERE = """\
    TRACKING_URI=http://localhost:5000
    MAIL_URL=http://localhost:8025
"""
READS = """\
    import os
    import pytest

    URI = os.environ["TRACKING_URI"]

    def pytest_addoption(parser):
        parser.addoption("--redis-ssl-url")

    @pytest.fixture
    def mock_db(): ...
"""


def test_an_address_of_this_machine_that_the_tests_read_is_the_products(
    shop: Bare, capsys: pytest.CaptureFixture[str]
) -> None:
    """The suite gets the address of what is started; a mock is no database, and an option for TLS gets no plain server."""
    shop.write("Procfile", "web: serve --port $PORT\n")
    shop.write(".env.example", HERE)
    shop.write("suite/conftest.py", READS)
    local = adopted(shop, capsys)
    assert set(local.services) == {"backend", "mail"}
    given = {name: value.get_secret_value() for name, value in local.pytest.env.items()}
    assert (given, local.pytest.args) == ({"TRACKING_URI": "{backend.url}"}, ())
    text = (shop.root / "environments/local.toml").read_text()
    assert "option --redis-ssl-url wants a server behind TLS: hand it over in args of [pytest]" in text


def test_nothing_is_overwritten(shop: Bare, capsys: pytest.CaptureFixture[str]) -> None:
    """A table is put behind what is in pyproject.toml; a second call writes nothing."""
    settings = shop.write("pyproject.toml", "# ours\n[tool.other]\nx = 1")
    shop.write(".env.example", EXAMPLE)
    adopted(shop, capsys)
    assert settings.read_text().startswith("# ours\n[tool.other]\nx = 1\n\n[tool.envmatrix]\n")
    before = {
        path: path.read_bytes() for path in shop.root.rglob("*") if path.is_file() and ".envmatrix" not in path.parts
    }
    assert called(shop.root, capsys)[1] == "All of it is there already: nothing was written.\n"
    assert all(path.read_bytes() == content for path, content in before.items())


@pytest.mark.fault("canary-secret")
def test_a_diff_writes_nothing(shop: Bare, capsys: pytest.CaptureFixture[str]) -> None:
    """It is printed as a patch, with no value of a variable that is secret by name."""
    shop.write(".env.example", EXAMPLE)
    code, out, _ = called(shop.root, capsys, "--diff")
    assert code == 0
    assert '+source = "embedded"  # a real server, out of a wheel\n' in out
    assert "k4nary" not in out
    assert "API_URL, for tests that read it: the address of the product itself, which is not declared\n" in out
    assert "{backend.url}" not in out
    assert not (shop.root / "environments").exists()


def test_what_only_a_person_can_say_is_named(shop: Bare, capsys: pytest.CaptureFixture[str]) -> None:
    """A health path is a guess, and a secret is left empty: a product with a random one looks well, and is not."""
    shop.write("Procfile", "web: python -m shop --port $PORT\n")
    shop.write(".env.example", EXAMPLE)
    code, out, _ = called(shop.root, capsys)
    assert code == 0
    assert "A guess: health of backend. Name a path that answers 200 without a login\n" in out
    assert "Left empty: SECRET_KEY. Set them where it runs, or give --env-file FILE\n" in out


def test_a_project_that_tells_nothing_is_told_so(shop: Bare, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line, and nothing is written."""
    code, _, error = called(shop.root, capsys)
    assert (code, error.count("\n")) == (2, 1)
    assert "tells of a service" in error
    assert not (shop.root / "environments").exists()


def test_a_compose_file_is_read_by_the_command_of_an_engine(shop: Bare, capsys: pytest.CaptureFixture[str]) -> None:
    """Without one the declaration says that it was not read; the images and ports are what the command prints."""
    shop.write("compose.yaml", "services: {}\n")
    assert "compose.yaml was not read" in called(shop.root, capsys)[2]
    web = {"build": {"context": "."}, "ports": [{"target": 80, "published": "8080"}]}
    web["healthcheck"] = {"test": ["CMD", "curl", "-f", "http://localhost:80/ready"]}
    cache = {"image": "valkey:8", "ports": [{"published": "6379", "target": 6379}]}
    store = {"image": "docker.io/pgvector/pgvector:pg16"}
    services = {"db": store, "cache": cache, "web": web, "mail": {"image": "mailpit"}}
    shop.write("bin/docker", f"#!/bin/sh\necho '{json.dumps({'services': services})}'\n").chmod(0o755)
    local = adopted(shop, capsys)
    assert {name: (spec.kind, spec.source.value, spec.service) for name, spec in local.services.items()} == {
        "database": ("postgres", "embedded", ""),  # it publishes no port
        "redis": ("redis", "compose", "cache"),
        "backend": ("http", "compose", "web"),
    }
    assert local.services["backend"].health == "/ready"
    assert "compose.yaml: services.mail is not declared" in (shop.root / "environments/local.toml").read_text()


YAML = """\
services:
  db:
    image: docker.io/library/postgres:18
    ports: ["127.0.0.1::5432"]
  migrate: {build: {context: .}}
  worker: {build: {context: .}, depends_on: {migrate: {condition: service_completed_successfully}}}
  web:
    build: {context: .}
    ports: ["8080:80/tcp", "9090"]
    depends_on: {db: {condition: service_started}}
"""


def test_a_compose_file_is_read_from_what_podman_compose_prints(
    shop: Bare, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """YAML, ports as they were written; what is built there and serves nothing is in the background, but for a step."""
    shop.write("compose.yaml", "services: {}\n")
    shop.write("suite/conftest.py", "import pytest\n@pytest.fixture\ndef sql_db(): ...\n")
    shop.write("printed.yaml", YAML)
    script = f"#!/bin/sh\n[ $# -eq 3 ] && exec {shutil.which('cat', path='/bin:/usr/bin')} printed.yaml\nexit 2\n"
    shop.write("bin/podman-compose", script).chmod(0o755)
    local = adopted(shop, capsys)
    assert {name: (spec.kind, spec.source.value, spec.port, spec.needs) for name, spec in local.services.items()} == {
        "database": ("postgres", "compose", None, ()),
        "worker": ("background", "compose", None, ()),
        "backend": ("http", "compose", 80, ("worker",)),
    }
    assert "services.migrate is not declared: it runs to its end" in (shop.root / "environments/local.toml").read_text()

    (shop.root / "environments/local.toml").unlink()
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert "pip install 'envmatrix[compose]'" in called(shop.root, capsys, "--diff")[1]


@pytest.mark.parametrize(("fixture", "name"), [("db", "redis"), ("pg_db", "database")])
def test_a_vague_name_adds_no_store_beside_another(
    shop: Bare, capsys: pytest.CaptureFixture[str], fixture: str, name: str
) -> None:
    """A fixture `db` may be of the Redis that is declared; one that is called after PostgreSQL is not."""
    shop.write(".env.example", "REDIS_URL=redis://h\n")
    shop.write("suite/conftest.py", f"import pytest\n@pytest.fixture\ndef {fixture}(): ...\n")
    assert {*adopted(shop, capsys).services} == {"redis", name}


@pytest.mark.fault("hostile-test-name")
def test_hostile_names_stay_comments(shop: Bare, capsys: pytest.CaptureFixture[str]) -> None:
    """A line break, an escape or a quote in a file of the project ends no comment and no text."""
    shop.write(".env.example", 'REDIS_URL=redis://h\nNOTE="a\\"\\nb\x1b[31m"\n')
    shop.write("Procfile", 'web: run "a\\"b" \'\x1b[31m\'\nx\x1b[31m::error::y: z\n')
    images = {"db": {"image": "postgres\n[evil]"}, "x\n[evil]": {"image": "\x1b[31m::error::"}}
    shop.write("compose.yaml", "")
    shop.write("printed.json", json.dumps({"services": images}))
    shop.write("bin/docker", f"#!/bin/sh\nexec {shutil.which('cat', path='/bin:/usr/bin')} printed.json\n").chmod(0o755)
    local = adopted(shop, capsys)
    assert local.services["backend"].command == ("run", 'a"b', "\x1b[31m")
    text = (shop.root / "environments/local.toml").read_text()
    assert "database" in local.services
    assert not [each for each in ("\x1b", "::error::y", "\n[evil]") if each in text]


@pytest.mark.parametrize(
    ("there", "written"),
    [
        ("README", {".github/workflows/envmatrix.yml"}),
        (".gitlab-ci.yml", {".gitlab/envmatrix.yml"}),
    ],
)
def test_the_ci_job_is_for_the_system_that_is_used(
    shop: Bare, capsys: pytest.CaptureFixture[str], there: str, written: set[str]
) -> None:
    """It is YAML, and installs what the project needs."""
    shop.write(there, "")
    shop.write("pyproject.toml", "[project]\nname = 'shop'\n")
    shop.write(".env.example", EXAMPLE)
    adopted(shop, capsys)
    files = list(shop.root.rglob("envmatrix.yml"))
    assert {str(path.relative_to(shop.root)) for path in files} == written
    assert "- pip install 'envmatrix[embedded]' ." in files[0].read_text().replace("run: ", "")
    assert yaml.safe_load(files[0].read_text())
    assert "envmatrix" in tomllib.loads((shop.root / "pyproject.toml").read_text())["tool"]
