"""`envmatrix.load_environment`, as a script outside of tests uses it."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator

import pytest

from envmatrix import load_environment
from envmatrix.__main__ import main
from envmatrix.exceptions import UsageError
from tests.framework.bare import Bare, make_bare
from tests.framework.project import TINY_SERVER, TINY_TOML

TWIN = """
[services.backend]
kind = "http"
source = "remote"
url = "${SHOP_BACKEND_URL}"

[twin]
environment = "reference/twin.toml"

[twin.variables]
SHOP_BACKEND_URL = "{backend.url}"
"""


@pytest.fixture
def shop(tmp_path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bare]:
    """A project with a deployment that has a twin; nothing of it is up after the test."""
    bare = make_bare(tmp_path)
    bare.write("server.py", TINY_SERVER.read_text())
    bare.write("environments/tiny.toml", TINY_TOML)
    bare.write("environments/shop.toml", TWIN)
    bare.write("environments/reference/twin.toml", TINY_TOML.replace('environment = "tiny"', 'environment = "twin"'))
    monkeypatch.chdir(bare.root)
    yield bare
    for name in ("shop", "tiny"):
        call("down", name)


def call(*words: str) -> None:
    """Run a command in this process."""
    with pytest.raises(SystemExit) as exit_:
        main(words)
    assert not exit_.value.code


def answers(name: str) -> bytes:
    """Ask the backend of an environment for its health, by what a script is given."""
    url = load_environment(name).services["backend"].url
    assert url
    with urllib.request.urlopen(f"{url.get_secret_value()}/health", timeout=5) as answer:
        return bytes(answer.read())


def test_a_twin_that_is_up_has_urls(shop: Bare) -> None:
    """And before that, none that a script could use; once it has changed, again none."""
    with pytest.raises(UsageError, match=r"shop \(twin\) is not up as it is declared. Start it: envmatrix up shop"):
        load_environment("shop")
    call("up", "shop")
    assert b'"service": "backend"' in answers("shop")
    shop.write("environments/shop.toml", f"# of today\n{TWIN}")
    with pytest.raises(UsageError, match="is not up as it is declared"):
        load_environment("shop")


def test_what_we_start_has_urls_while_it_is_up(shop: Bare) -> None:
    """Below it stands what is declared, wherever a service comes from."""
    declared = load_environment("tiny", shop.root / "environments")
    assert declared.services["backend"].url is None
    call("up", "tiny")
    assert b'"service": "backend"' in answers("tiny")
    found = load_environment("tiny")
    assert (found.services["backend"].source, found.services["redis"]) == ("process", declared.services["redis"])


def test_a_deployment_has_the_urls_of_its_variables(shop: Bare) -> None:
    """Of a file that sets them, too."""
    env_file = shop.write("shop.env", "SHOP_BACKEND_URL=https://shop.example.com\n")
    url = load_environment("shop", env_file=env_file).services["backend"].url
    assert url
    assert url.get_secret_value() == "https://shop.example.com"
