"""Checks that `real_llm` keeps its contract, through the official client of the model's server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from envmatrix.causes import Breaker
from envmatrix.conformance.looks import answers
from envmatrix.contracts import Reality, RealLLM, check
from envmatrix.environments import Source
from envmatrix.services.kinds.http import new_client

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam

QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say one short word."}]
LIMIT = 16
"""Tokens of one answer: a real model is slow, and a paid one costs money."""


@pytest.mark.promise("the fixture is not what its contract says", Breaker.FIXTURE)
def test_real_llm_has_no_findings(real_llm: RealLLM, matrix_reality: Reality) -> None:
    """The contract check, which every fixture of this name must pass, finds nothing."""
    assert check(RealLLM, real_llm, matrix_reality) == ()


@pytest.mark.promise("llm_available is another than what the model's server says", Breaker.FIXTURE)
def test_llm_available_is_what_its_server_says(real_llm: RealLLM, matrix_reality: Reality) -> None:
    """It equals whether the server lists its models to a client that shares no code with our ping."""
    assert real_llm.llm_available is answers("llm", matrix_reality)


@pytest.mark.promise("a field is there without a model, or missing with one", Breaker.FIXTURE)
def test_llm_is_none_where_there_is_none(real_llm: RealLLM, matrix_reality: Reality) -> None:
    """With a model there are a URL and clients; without one all are None and `is_real` is False."""
    there = "llm" in matrix_reality.endpoints
    present = [real_llm.base_url is not None, real_llm.client is not None, real_llm.async_client is not None]
    assert present == [there] * 3
    assert real_llm.is_real <= real_llm.llm_available


@pytest.mark.promise("real_llm names another environment than real_services", Breaker.FIXTURE)
def test_environment_of_the_llm_is_the_selected_one(real_llm: RealLLM, matrix_reality: Reality) -> None:
    """Both fixtures name the same environment."""
    assert real_llm.environment == matrix_reality.environment.declared_name


@pytest.mark.requires("llm")
@pytest.mark.promise("the model does not complete a chat", Breaker.ENVIRONMENT)
def test_client_completes_a_chat(real_llm: RealLLM) -> None:
    """The official client gets an answer from the model that the fixture names."""
    answer = real_llm.client.chat.completions.create(model=real_llm.model, messages=QUESTION, max_tokens=LIMIT)
    assert answer.object == "chat.completion"
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason in {"stop", "length"}


@pytest.mark.requires("llm")
@pytest.mark.promise("the model does not stream a chat", Breaker.ENVIRONMENT)
def test_client_streams_a_chat(real_llm: RealLLM) -> None:
    """The answer comes as a stream: pieces of text, then a reason to finish."""
    with real_llm.client.chat.completions.create(
        model=real_llm.model, messages=QUESTION, max_tokens=LIMIT, stream=True
    ) as stream:
        check_stream([choice for chunk in stream for choice in chunk.choices])


@pytest.mark.requires("llm")
@pytest.mark.anyio
@pytest.mark.promise("the model does not stream a chat", Breaker.ENVIRONMENT)
async def test_async_client_streams_a_chat(real_llm: RealLLM) -> None:
    """The asynchronous client streams too, in the event loop of the test."""
    async with (
        real_llm.async_client as client,
        await client.chat.completions.create(
            model=real_llm.model, messages=QUESTION, max_tokens=LIMIT, stream=True
        ) as stream,
    ):
        check_stream([choice async for chunk in stream for choice in chunk.choices])


def check_stream(choices: list[Any]) -> None:
    """Assert that there is text, and exactly one reason to finish, at the end."""
    assert "".join(choice.delta.content or "" for choice in choices)
    reasons = [choice.finish_reason for choice in choices]
    assert [reason is not None for reason in reasons] == [False] * (len(reasons) - 1) + [True]
    assert reasons[-1] in {"stop", "length"}


@pytest.mark.requires("llm")
@pytest.mark.promise("the server does not offer the declared model", Breaker.ENVIRONMENT)
def test_model_is_one_that_the_server_offers(real_llm: RealLLM) -> None:
    """The fixture's model is in the server's list."""
    assert real_llm.model in {model.id for model in real_llm.client.models.list()}


@pytest.mark.requires("llm")
@pytest.mark.promise("the clients ask another URL than base_url", Breaker.FIXTURE)
def test_base_url_is_the_clients(real_llm: RealLLM, matrix_reality: Reality) -> None:
    """The clients ask the URL that the fixture tells, which is the endpoint's, and get an answer there."""
    assert real_llm.base_url == matrix_reality.endpoints["llm"].field("url")
    bases = {str(client.base_url).rstrip("/") for client in (real_llm.client, real_llm.async_client)}
    assert bases == {real_llm.base_url}
    assert real_llm.client.models.list().object == "list"


@pytest.mark.requires("llm")
@pytest.mark.promise("the server takes any API key, or none is configured that it wants", Breaker.ENVIRONMENT)
def test_api_key_configured_is_whether_the_server_wants_one(real_llm: RealLLM) -> None:
    """Where a key is configured another one is refused; where none is, whatever the client sends is good."""
    from openai import AuthenticationError

    stranger = real_llm.client.with_options(api_key="sk-not-the-key")
    try:
        stranger.models.list()
        refused = False
    except AuthenticationError:
        refused = True
    assert real_llm.api_key_configured is refused


@pytest.mark.requires("llm")
@pytest.mark.promise("provider is another than what the server says", Breaker.FIXTURE)
def test_provider_is_what_the_declaration_or_the_server_says(real_llm: RealLLM, matrix_reality: Reality) -> None:
    """It is what the server's health path reports, or else the declared kind; a stand-in says so after it."""
    provider = health_of_the_llm(matrix_reality).get("provider", matrix_reality.environment.services["llm"].kind)
    assert real_llm.provider == (f"{provider} (stand-in)" if is_scripted(matrix_reality) else provider)


@pytest.mark.requires("llm")
@pytest.mark.promise("is_real is another than what the server says", Breaker.FIXTURE)
def test_is_real_is_what_the_server_says(real_llm: RealLLM, matrix_reality: Reality) -> None:
    """A scripted stand-in is not real; what is declared as one may not say that it is real."""
    assert real_llm.is_real is not is_scripted(matrix_reality)


def is_scripted(reality: Reality) -> bool:
    """Return whether the model's server says that it is a stand-in; where it says nothing, whether it is declared as one."""
    declared = reality.environment.services["llm"].source is Source.STUB
    return bool(health_of_the_llm(reality).get("scripted", declared))


def health_of_the_llm(reality: Reality) -> dict[str, Any]:
    """Return the answer of the model's health path; empty where there is none."""
    endpoint, spec = reality.endpoints["llm"], reality.environment.services["llm"]
    with new_client(endpoint) as client:
        answer = client.get(endpoint.field("url").removesuffix("/v1") + spec.health)
    return answer.json() if answer.is_success and "json" in answer.headers.get("content-type", "") else {}
