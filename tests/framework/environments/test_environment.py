"""What an environment knows about itself."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.framework.environments.declare import declare, load, refusal

CHAIN = """
    [services.database]
    kind = "postgres"
    source = "embedded"
    capabilities = ["sql"]

    [services.auth]
    kind = "http"
    source = "process"
    command = ["x", "{database.host}"]

    [services.cache]
    kind = "redis"
    source = "absent"

    [services.backend]
    kind = "http"
    source = "process"
    command = ["x", "{auth.url}", "{cache.host}"]

    [services.lonely]
    kind = "http"
    source = "embedded"
    required = false
"""


def test_the_closure_holds_all_that_is_behind_a_service(tmp_path: Path) -> None:
    """References are followed to their end; absent services are left out."""
    declare(tmp_path, CHAIN)
    environment = load(tmp_path)
    assert environment.closure(frozenset({"backend"})) == {"backend", "auth", "database"}
    assert environment.closure(frozenset({"cache"})) == frozenset()
    assert environment.closure(frozenset()) == frozenset()


UNREACHED = """
    [services.database]
    kind = "postgres"
    source = "embedded"

    [services.migrate]
    kind = "job"
    source = "process"
    command = ["x"]
    env = { URL = "{database.url}" }

    [services.worker]
    kind = "background"
    source = "process"
    command = ["x"]
    needs = ["migrate"]

    [services.backend]
    kind = "http"
    source = "process"
    command = ["x"]
    needs = ["worker"]
    capabilities = ["search"]
"""


def test_what_has_no_address_is_exercised_with_what_needs_it(tmp_path: Path) -> None:
    """A job and a background program by way of others, too; what has an address only where a test reaches it."""
    declare(tmp_path, UNREACHED)
    environment = load(tmp_path)
    assert environment.exercised_with({"search"}) == {"worker", "migrate"}
    assert environment.exercised_with({"database", "multi_user"}) == frozenset()


def test_required_is_the_default_but_for_the_absent(tmp_path: Path) -> None:
    """Required unless said otherwise, or unless there is no such service."""
    declare(tmp_path, CHAIN)
    required = {name for name, service in load(tmp_path).services.items() if service.is_required}
    assert required == {"database", "auth", "backend"}


@pytest.mark.parametrize("url", ["redis://cache:6379", "${NOWHERE:-}"])
def test_an_absent_service_may_say_where_it_would_be(tmp_path: Path, url: str) -> None:
    """It stays absent whatever is there: nothing starts it, nobody may rely on it."""
    declare(tmp_path, CHAIN.replace('source = "absent"', f'source = "absent"\n    url = "{url}"'))
    cache = load(tmp_path).services["cache"]
    assert cache.url is not None
    assert not cache.is_required


def test_a_service_may_provide_more_than_its_name(tmp_path: Path) -> None:
    """Declared capabilities lead to the service that has them."""
    declare(tmp_path, CHAIN)
    assert load(tmp_path).providers["sql"] == "database"


def test_an_environment_cannot_be_changed(tmp_path: Path) -> None:
    """Neither its fields nor its services can be replaced."""
    declare(tmp_path, CHAIN)
    environment = load(tmp_path)
    with pytest.raises(ValidationError):
        environment.name = "other"
    with pytest.raises(ValidationError):
        environment.services["auth"].kind = "other"
    with pytest.raises(TypeError):
        environment.services["auth"] = environment.services["backend"]  # type: ignore[index]  # that is the point


@pytest.mark.fault("canary-secret")
def test_the_masked_declaration_has_no_password(tmp_path: Path) -> None:
    """URLs, keys and the environments of commands are stars."""
    declare(
        tmp_path,
        """
        [services.database]
        kind = "postgres"
        source = "remote"
        url = "postgresql://u:k4nary-s3cret@h/d"
        [services.llm]
        kind = "openai"
        source = "remote"
        url = "http://h"
        api_key = "k4nary-s3cret"
        [services.a]
        kind = "http"
        source = "process"
        command = ["x"]
        env = { PASSWORD = "k4nary-s3cret" }
        """,
    )
    assert "k4nary" not in str(load(tmp_path).masked())


@pytest.mark.fault("canary-secret")
def test_what_fills_a_blank_of_a_command_stays_unsaid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command gets the value; the masked declaration shows the command and the options as the file has them."""
    monkeypatch.setattr("envmatrix.environments.load.known_kinds", lambda: ("mine",))
    declare(
        tmp_path,
        """
        [services.a]
        kind = "mine"
        source = "process"
        command = ["x", "--module=${MODULE:-y}", "--token=${TOKEN}"]
        options = { token = "${TOKEN}" }
        """,
    )
    environment = load(tmp_path, TOKEN="k4nary-s3cret")
    assert environment.services["a"].command == ("x", "--module=y", "--token=k4nary-s3cret")
    assert environment.masked()["services"]["a"]["command"] == ["x", "--module=${MODULE:-y}", "--token=${TOKEN}"]
    assert "k4nary" not in str(environment.masked())


HTTP = '[services.%s]\nkind = "http"\nsource = "remote"\nurl = "http://%s.example"\n'


@pytest.mark.parametrize(
    ("services", "contract", "api", "backend"),
    [
        (["shop"], "", "shop", "shop"),
        (["shop", "auth"], "", "shop", "shop"),
        (["shop", "backend"], "", "backend", "backend"),
        (["shop", "mail"], "", "backend", "backend"),
        (["shop", "mail"], "mail", "mail", "mail"),
        (["shop", "mail", "backend"], "mail", "mail", "backend"),
    ],
)
def test_which_service_clients_talk_to(tmp_path, services, contract, api, backend):
    """The declared one, else `backend`, else the only one there is; a service of that name keeps its own fields."""
    text = "".join(HTTP % (name, name) for name in services)
    declare(tmp_path, text + (f'[contract]\nhttp_client = "{contract}"\n' if contract else ""))
    environment = load(tmp_path)
    assert (environment.api, environment.service_named("backend"), environment.service_named("auth")) == (
        *(api, backend),
        "auth",
    )
    assert environment.providers.get("backend") == (backend if backend in services else None)


@pytest.mark.fault("unknown-key")
def test_clients_talk_to_a_declared_http_service(tmp_path):
    """A name that is none, or not of HTTP, is refused with the nearest right one."""
    redis = '[services.cache]\nkind = "redis"\nsource = "absent"\n'
    for name in ("shp", "cache"):
        line = refusal(tmp_path, HTTP % ("shop", "shop") + redis + f'[contract]\nhttp_client = "{name}"\n')
        assert line.startswith(
            f"local.toml:9: contract.http_client names {name!r}, which is no service of kind 'http' here"
        )
