"""The reply of the supervisor carries the environment that it resolved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from envmatrix.environments import load_file
from envmatrix.masking import MASK, MASKER
from envmatrix.services import get_kind
from envmatrix.services.supervisor.service_state import ServiceState, ServiceStatus, StartReply

DECLARATION = """
description = "everything that a reply must keep"

[services.api]
kind = "openai"
source = "remote"
url = "https://user:pa55-word-of-the-url@shop.example"
api_key = "key-of-the-declaration"
identity = { commit = "${COMMIT}" }

[services.greeter]
kind = "banner"
source = "remote"
url = "tcp://greeter.example:1"
options = { limits = [1, 2.5, true], nested = { a = "b" } }

[services.worker]
kind = "http"
source = "process"
command = ["{python}", "-m", "worker", "${COMMIT}"]
env = { API_TOKEN = "token-of-the-env" }

[services.store]
kind = "postgres"
source = "absent"

[users]
service = "api"
signup = "/signup"
login = "/login"
"""


@pytest.fixture
def reply(tmp_path: Path, plugged: Path, monkeypatch: pytest.MonkeyPatch) -> StartReply:
    """A reply with an endpoint and a resolved environment."""
    monkeypatch.syspath_prepend(str(plugged))
    file = tmp_path / "shop.toml"
    file.write_text(DECLARATION)
    environment = load_file(file, {"COMMIT": "abc1234"})
    endpoint = get_kind("openai").connect(environment.services["api"], "https://user:pa55-word-of-the-url@shop.example")
    state = ServiceState(service="api", status=ServiceStatus.UP, endpoint=endpoint, pid=7)
    return StartReply(states={"api": state}, environment=environment)


def test_an_environment_comes_through_the_socket_unchanged(reply: StartReply) -> None:
    """Secrets, defaults and what the file says before its variables are filled in are the same on the other side."""
    received = StartReply.load(json.loads(json.dumps(reply.dump())))
    assert received == reply
    assert received.environment
    assert reply.environment
    assert received.environment.masked() == reply.environment.masked()
    assert received.environment.closure(frozenset({"worker"})) == {"worker"}


def test_a_received_secret_is_never_shown(reply: StartReply) -> None:
    """The receiving process masks the passwords and keys of the environment, in a text and in a repr."""
    received = StartReply.load(reply.dump())
    for secret in ("pa55-word-of-the-url", "key-of-the-declaration"):
        assert MASKER.mask(f"= {secret} =") == f"= {MASK} ="
    for secret in ("pa55-word-of-the-url", "key-of-the-declaration", "token-of-the-env"):
        assert secret not in repr(received)
