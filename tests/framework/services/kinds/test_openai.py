"""The kind `openai`: a ping that costs nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from envmatrix.environments import ServiceSpec, Source
from envmatrix.exceptions import StartError
from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.services import get_kind
from tests.framework.services.servers import context, fake, silent, web

KIND = get_kind("openai")
MODELS = {"/v1/models": (200, {"object": "list", "data": [{"id": "scripted-1"}, {"id": "other"}]})}
HEALTH = {"/health": (200, {"service": "llm", "environment": "local", "scripted": True, "model": "scripted-1"})}


def spec(**more):
    """Return a declaration."""
    return ServiceSpec(name="llm", kind="openai", source=Source.REMOTE, url="http://unused", **more)


def ping(url: str, deadline: float = 5.0, **more) -> Ping:
    """Look once at a URL."""
    declared = spec(**more)
    return KIND.ping(declared, KIND.connect(declared, f"{url}/v1"), deadline)


def test_up_and_says_that_it_is_scripted():
    """A stand-in that says so is up, and its identity tells every report."""
    with web(MODELS | HEALTH) as site:
        seen = ping(site.url, model="scripted-1", api_key="sk-secret-key", identity={"service": "llm"})
    assert (seen.status, seen.identity["scripted"], seen.identity["model"]) == (PingStatus.UP, "true", "scripted-1")


def test_asks_no_question():
    """A ping reads two addresses, and only the API's gets the key."""
    with web(MODELS | HEALTH) as site:
        ping(site.url, api_key="sk-secret-key")
    assert [(method, path) for method, path, _ in site.asked] == [("GET", "/health"), ("GET", "/v1/models")]
    assert [headers.get("Authorization") for _, _, headers in site.asked] == [None, "Bearer sk-secret-key"]


def test_no_health_path_is_no_fault():
    """A provider without a health path is up when its API answers."""
    with web(MODELS) as site:
        assert ping(site.url).is_up


@pytest.mark.fault("health-200-wrong-service")
def test_identity_is_checked():
    """A demanded identity that nobody claims is down."""
    with web(MODELS) as site:
        assert ping(site.url, identity={"service": "llm"}).status is PingStatus.DOWN
    with web(MODELS | HEALTH) as site:
        seen = ping(site.url, identity={"service": "llm", "environment": "staging"})
    assert seen.detail == "answers as llm/local, expected llm/staging"


@pytest.mark.parametrize("status", [401, 403])
def test_refused_key_is_degraded(status):
    """A server that answers but refuses the key is degraded."""
    with web({"/v1/models": (status, {"error": "no"})}) as site:
        seen = ping(site.url, api_key="sk-wrong-key")
    assert (seen.status, seen.detail) == (PingStatus.DEGRADED, "api key refused")


def test_missing_model_is_degraded():
    """A server that does not offer the declared model is degraded, and the model named."""
    with web(MODELS) as site:
        seen = ping(site.url, model="gpt-0")
    assert (seen.status, seen.detail) == (PingStatus.DEGRADED, "does not offer the model 'gpt-0'")


@pytest.mark.fault("truncated-json")
@pytest.mark.parametrize("answer", [(200, '{"data": ['), (500, {}), (200, {"models": []}), (200, "hello")])
def test_no_list_of_models_is_down(answer):
    """What does not list its models is no OpenAI API."""
    with web({"/v1/models": answer}) as site:
        seen = ping(site.url)
    assert seen.status is PingStatus.DOWN
    assert seen.detail.startswith(f"GET /models answers {answer[0]} without a list of models")


@pytest.mark.fault("hung-accept")
def test_hung_accept():
    """A server that never answers is down by the deadline."""
    with fake(silent) as port:
        assert ping(f"http://127.0.0.1:{port}", 0.2).detail == "timeout after 0.2 s"


def test_address_is_the_base_of_the_api():
    """A command serves below /v1, and the key is the endpoint's password."""
    declared = spec(api_key="sk-secret-key")
    endpoint = KIND.connect(declared, KIND.address("127.0.0.1", 8000, tls=False))
    assert endpoint.field("url") == "http://127.0.0.1:8000/v1"
    assert (endpoint.field("password"), endpoint.database) == ("sk-secret-key", "")
    with KIND.isolate(declared, endpoint, "gw0") as part:
        part.reset()
        assert part.endpoint == endpoint


def test_cannot_be_embedded(tmp_path: Path):
    """Which model to run is the declaration's choice; the error says so."""
    with context(tmp_path) as place, pytest.raises(StartError, match='use source = "process"'):
        KIND.launch(spec(), place)
