"""The language model as the official client streams it, and as the agents pass it on."""

import asyncio
from typing import Any

import pytest

from envmatrix.contracts import RealLLM
from envmatrix.services.users import Users
from tests.e2e.conversation import agent_request, run_agents, within

pytestmark = [pytest.mark.requires("llm"), pytest.mark.anyio]


def ask(text: str) -> list[dict[str, Any]]:
    """Return a conversation of one question."""
    return [{"role": "user", "content": text}]


async def streamed(llm: RealLLM, text: str, **options: object) -> tuple[list[str], str | None]:
    """Return the pieces of a streamed answer, and how it ended."""
    pieces, reason = [], None
    stream = await llm.async_client.chat.completions.create(
        model=llm.model, messages=ask(text), stream=True, **{"max_tokens": 64, **options}
    )
    async with stream:
        async for chunk in stream:
            for choice in chunk.choices:
                pieces.append(choice.delta.content or "")
                reason = choice.finish_reason or reason
    return [piece for piece in pieces if piece], reason


@within(60)
async def test_an_answer_comes_in_pieces(real_llm: RealLLM) -> None:
    """A stream is more than one piece, and tells how it ended."""
    async with real_llm.async_client:
        pieces, reason = await streamed(real_llm, "Count from one to ten, in words.")
    assert len(pieces) > 1
    assert reason in {"stop", "length"}


@within(60)
async def test_streams_at_the_same_time_are_whole(real_llm: RealLLM) -> None:
    """Five questions at once: each stream ends properly and has text."""
    async with real_llm.async_client:
        told = await asyncio.gather(*(streamed(real_llm, f"Say the number {n}.") for n in range(5)))
    assert all("".join(pieces) for pieces, _ in told)
    assert {reason for _, reason in told} <= {"stop", "length"}


@within(60)
async def test_a_stream_ends_at_its_limit(real_llm: RealLLM) -> None:
    """With a limit of tokens the end is told to be the limit's, as in an answer that comes at once."""
    async with real_llm.async_client as client:
        pieces, reason = await streamed(real_llm, "Count from one to ten, in words.", max_tokens=2)
        whole = await client.chat.completions.create(
            model=real_llm.model, messages=ask("Count from one to ten, in words."), max_tokens=2
        )
    assert reason == "length"
    assert whole.choices[0].finish_reason == "length"
    assert "".join(pieces)


@within(60)
async def test_usage_is_told_at_the_end_of_a_stream(real_llm: RealLLM) -> None:
    """Asked for it, the last chunk has the counts of tokens, and they add up."""
    async with real_llm.async_client as client:
        stream = await client.chat.completions.create(
            model=real_llm.model,
            messages=ask("hello"),
            max_tokens=8,
            stream=True,
            stream_options={"include_usage": True},
        )
        async with stream:
            usages = [chunk.usage async for chunk in stream]
    assert usages[-1] is not None
    assert usages[-1].total_tokens == usages[-1].prompt_tokens + usages[-1].completion_tokens
    assert usages[-1].completion_tokens >= 1


def test_an_unknown_model_is_a_typed_error(real_llm: RealLLM) -> None:
    """The official client raises what it raises for OpenAI's own servers."""
    from openai import NotFoundError

    with pytest.raises(NotFoundError):
        real_llm.client.chat.completions.create(model="no-such-model", messages=ask("hello"))


@within(60)
async def test_a_scripted_model_always_says_the_same(real_llm: RealLLM) -> None:
    """Streamed or not, twice or once: what is scripted can be relied on word for word."""
    if real_llm.is_real:
        pytest.skip(f"{real_llm.model} is a real model: its words are its own")
    async with real_llm.async_client as client:
        pieces, _ = await streamed(real_llm, "over and over")
        again, _ = await streamed(real_llm, "over and over")
        whole = await client.chat.completions.create(model=real_llm.model, messages=ask("over and over"), max_tokens=64)
    assert "".join(pieces) == "".join(again) == whole.choices[0].message.content


@within(60)
async def test_a_real_model_does_not_answer_by_the_script(real_llm: RealLLM) -> None:
    """Whatever a model's server says of itself, the script's first words give the stand-in away."""
    async with real_llm.async_client:
        pieces, _ = await streamed(real_llm, "Are you real?")
    assert "".join(pieces).startswith("Scripted answer") is not real_llm.is_real


@pytest.mark.requires("websocket", "multi_user")
@within(60)
async def test_an_agent_passes_the_models_words_on(real_llm: RealLLM, users: Users) -> None:
    """What the model says to a user's question is what the user is told, and what the thread keeps."""
    assert real_llm.llm_available
    user = users()
    async with user.websocket() as socket:
        (run,) = await run_agents(socket, agent_request("triage_agent", "Is anybody there?"))
    async with user.async_client() as client:
        kept = (await client.get(f"/api/threads/{run.thread_id}/messages")).json()["messages"]
    assert [message["content"] for message in kept] == ["Is anybody there?", run.response]
