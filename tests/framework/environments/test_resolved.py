"""Each value of a declaration, and what decides it."""

from __future__ import annotations

from pathlib import Path

import pytest

from envmatrix.environments import load_environment
from envmatrix.environments.declaration import read_declaration
from envmatrix.environments.resolved import ResolvedValue, resolve
from tests.framework.environments.declare import declare

BASE = """
    [services.backend]
    kind = "http"
    source = "remote"
    url = "https://user:${KEY}@${HOST:-localhost}/x"
    [services.llm]
    kind = "openai"
    source = "process"
    command = ["serve", "${KEY}"]
    api_key = "${KEY}"
    env = { MODE = "fast" }
    [[canary.http]]
    path = "/notes"
    body = { text = "{canary}" }
    read = ["/notes"]
"""


def resolved(directory: Path, *overrides: str) -> dict[str, ResolvedValue]:
    """Resolve `local`, by dotted keys; its variable KEY is set."""
    variables = {"KEY": "k4nary-key-of-env"}
    environment = load_environment("local", directory, variables=variables, overrides=overrides)
    declaration = read_declaration(directory / "local.toml", overrides)
    found = resolve(environment, declaration, lambda name: "env file" if name in variables else "")
    return {".".join(each.keys): each for each in found}


def test_each_value_has_the_place_that_decides_it(tmp_path: Path) -> None:
    """File and line, `--set`, or a default; and what sets each variable in it."""
    declare(tmp_path, BASE, "_base")
    declare(tmp_path, "extends = '_base.toml'\n[services.llm]\nenv.MODE = 'slow'")
    values = resolved(tmp_path, "services.backend.ping_deadline=3")
    places = {key: (each.file and each.file.name, each.line) for key, each in values.items()}
    assert places["services.backend.kind"] == ("_base.toml", 2)
    assert places["services.llm.env.MODE"] == ("local.toml", 3)
    assert places["services.backend.ping_deadline"] == ("--set services.backend.ping_deadline", 0)
    assert places["services.backend.health"] == (None, 0)
    assert places["canary.http.0.read"] == ("_base.toml", 14)
    assert values["services.backend.url"].variables == {"KEY": "env file", "HOST": "default"}
    assert values["canary.http.0.method"].value == "POST"


def test_only_keys_that_are_of_use_are_shown(tmp_path: Path) -> None:
    """No default of a key that the kind or the source does not use, and none that is empty."""
    declare(tmp_path, BASE)
    keys = resolved(tmp_path).keys()
    assert "services.backend.health" in keys
    assert not keys & {
        "services.backend.command",
        "services.backend.tls",
        "services.llm.openapi",
        "description",
        "name",
    }


@pytest.mark.fault("canary-secret")
def test_no_secret_is_shown(tmp_path: Path) -> None:
    """Nor what fills in a command; the rest of a URL is, and a variable that is no more than a service's address."""
    declare(
        tmp_path, f"{BASE}\n[pytest]\nenv = {{ URL = '{{backend.url}}', KEY = '${{KEY}}', BOTH = '{{backend.url}}/x' }}"
    )
    values = resolved(tmp_path)
    assert "k4nary" not in str(values)
    assert values["services.backend.url"].value == "https://user:**********@localhost/x"
    assert values["services.llm.command"].value == ["serve", "${KEY}"]
    assert values["services.llm.env.MODE"].value == "**********"
    given = {key: values[f"pytest.env.{key}"].value for key in ("URL", "KEY", "BOTH")}
    assert given == {"URL": "{backend.url}", "KEY": "**********", "BOTH": "**********"}
