"""No user sees another's words: several plant a canary each, at the same time, and each looks for the others' everywhere.

What keeps a user's words and where they would show is declared in `[canary]`.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Barrier
from typing import Any
from urllib.parse import quote

import pytest
from websockets.asyncio.client import ClientConnection

from envmatrix.causes import Breaker
from envmatrix.conformance import claims
from envmatrix.contracts import Reality, RealLLM
from envmatrix.environments import CanaryRoute, CanarySocket
from envmatrix.environments.references import map_text
from envmatrix.services.users import User, Users

SECONDS = 30.0
"""Deadline of one conversation; a small language model is slow."""

USERS = 5
"""How many users plant a word at the same moment: what goes wrong among a few may not among two or three."""

QUIET = 0.1
"""Seconds to wait for messages that were sent to the wrong connection."""

Round = Callable[[int, list[str]], str]
"""Gives the message of the user with a number, who knows what the product calls each user's conversation."""


@dataclass(frozen=True)
class Planted:
    """A user, the canary it wrote, and the id under which the product keeps it."""

    user: User
    canary: str
    id: str = ""


def canary() -> str:
    """Return a unique word."""
    return f"canary{secrets.token_hex(8)}"


@pytest.fixture
def routes(matrix_reality: Reality) -> tuple[CanaryRoute, ...]:
    """The declared routes; skip where there is none."""
    declared = matrix_reality.environment.canary.http
    if not declared:
        pytest.skip(f"{matrix_reality.environment.file.name} declares no [[canary.http]]: nothing to write a word with")
    return declared


@pytest.fixture
def conversation(matrix_reality: Reality) -> CanarySocket:
    """The declared conversation; skip where there is none."""
    declared = matrix_reality.environment.canary.websocket
    if declared is None:
        pytest.skip(f"{matrix_reality.environment.file.name} declares no [canary.websocket]: nobody to say a word to")
    return declared


def body_of(route: CanaryRoute, word: str) -> dict[str, Any]:
    """Return the body that writes a word."""
    return map_text(route.body, lambda text: text.replace("{canary}", word))  # type: ignore[no-any-return]


def plant(user: User, route: CanaryRoute, together: Barrier) -> Planted:
    """Write a fresh word as a user, at the same moment as the others."""
    word = canary()
    with user.client() as client:
        together.wait(SECONDS)
        answer = client.request(route.method, route.path, json=body_of(route, word))
        assert answer.is_success, f"{route.method} {route.path} answers {answer.status_code}"
        return Planted(user, word, quote(str(answer.json()[route.id]), safe="") if route.id else "")


def looks_of(planted: Planted, route: CanaryRoute, everybody: list[Planted]) -> list[tuple[str, Planted, str]]:
    """Return what a user gets at each declared path, also under the names of what others wrote: path, whose, answer."""
    with planted.user.client() as client:
        reads = [
            (path.replace("{id}", owner.id), owner)
            for path in route.read
            for owner in (everybody if "{id}" in path else [planted])
        ]
        return [(path, owner, client.get(path).text) for path, owner in reads]


@pytest.mark.requires("multi_user", "backend")
@pytest.mark.promise("a user reads what another wrote", Breaker.PRODUCT)
def test_http_canary_is_its_users_own(users: Users, routes: tuple[CanaryRoute, ...]) -> None:
    """Written at the same moment, each word is read back by the one who wrote it, and by nobody else."""
    people = users.many(USERS, "canary")
    with ThreadPoolExecutor(len(people)) as pool:
        for route in routes:
            together = Barrier(len(people))
            everybody = list(pool.map(partial(plant, route=route, together=together), people))
            looks = list(pool.map(partial(looks_of, route=route, everybody=everybody), everybody))
            for planted, answers in zip(everybody, looks, strict=True):
                for path, owner, text in answers:
                    others = [each.canary for each in everybody if each is not planted and each.canary in text]
                    assert others == [], f"{path} shows a user what another wrote"
                    assert owner is not planted or planted.canary in text, f"{path} does not show a user's own word"


@pytest.mark.requires("multi_user", "backend")
@pytest.mark.promise("a user who claims to be another is taken for the other", Breaker.PRODUCT)
def test_http_claim_to_be_another_user_decides_nothing(
    users: Users, routes: tuple[CanaryRoute, ...], matrix_reality: Reality
) -> None:
    """A request that names another user, wherever it does, reads and writes as the user of its token."""
    api = matrix_reality.environment.services[matrix_reality.environment.api].api
    owner, stranger = users.many(2, "claim")
    with owner.client() as own_client, stranger.client() as client:
        for route in routes:
            planted = plant(owner, route, Barrier(1))
            paths = [path.replace("{id}", planted.id) for path in route.read]
            for place in claims.HTTP:
                for path in paths:
                    claimed, options = claims.http_request(place, owner, path, api=api)
                    text = client.request("GET", claimed, **options).text
                    assert planted.canary not in text, f"{path} believes the {place} of a request"
                word = canary()
                claimed, options = claims.http_request(place, owner, route.path, api=api, body=body_of(route, word))
                client.request(route.method, claimed, **options)
                texts = "".join(own_client.get(path).text for path in paths)
                assert planted.canary in texts, f"{route.path} believes the {place} of a request: a word is gone"
                assert word not in texts, f"{route.path} believes the {place} of a request: a foreign word is there"


async def converse(socket: ClientConnection, message: str, ends: tuple[str, ...]) -> list[str]:
    """Say something; return every frame up to the one that ends the answer."""
    await socket.send(message)
    frames: list[str] = []
    while not frames or not any(end in frames[-1] for end in ends):
        frames.append(str(await socket.recv()))
    return frames


async def overheard(socket: ClientConnection) -> list[str]:
    """Return the messages that still arrive after the last answer."""
    frames: list[str] = []
    try:
        async with asyncio.timeout(QUIET):
            while True:
                frames.append(str(await socket.recv()))
    except TimeoutError:
        return frames


async def talk(people: list[User], conversation: CanarySocket, *rounds: Round) -> list[list[str]]:
    """Have all users say one message a round, at the same moment; return what each of them got, round by round.

    Each listens on for a moment when all have ended: what was sent to the wrong connection may be late.
    """
    together, names = asyncio.Barrier(len(people)), [""] * len(people)

    async def one(number: int) -> list[str]:
        answers: list[str] = []
        async with people[number].websocket(SECONDS) as socket:
            for message in rounds:
                await together.wait()
                answers.append("\n".join(await converse(socket, message(number, names), conversation.ends)))
                names[number] = names[number] or name_in(answers[0], conversation)
            await together.wait()
            return [*answers, *await overheard(socket)]

    tasks = [asyncio.create_task(one(number)) for number in range(len(people))]
    try:
        async with asyncio.timeout(SECONDS):
            return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def name_in(answer: str, conversation: CanarySocket) -> str:
    """Return the id that the product gave a conversation; empty where the declaration names no key for it."""
    if conversation.id is None:
        return ""
    match = re.search(rf'"{re.escape(conversation.id)}"\s*:\s*"?([^",}}]+)', answer)
    assert match, f"no frame of the answer says {conversation.id!r}"
    return match[1]


def assert_own(words: list[str], messages: list[list[str]], own: int | None) -> None:
    """Assert that no user got another's word, and that each got its own in the given round."""
    for number, texts in enumerate(messages):
        others = [word for index, word in enumerate(words) if index != number and word in "".join(texts)]
        assert others == [], "a user got what another had said"
        assert own is None or words[number] in texts[own], "a user's own word never came back"


@pytest.mark.anyio
@pytest.mark.requires("multi_user", "websocket")
@pytest.mark.promise("what a user says reaches another's connection, or not its own", Breaker.PRODUCT)
async def test_websocket_canary_reaches_its_user_alone(users: Users, conversation: CanarySocket) -> None:
    """Said at the same moment, each word comes back to the one who said it, and to no other connection."""
    people = await asyncio.to_thread(users.many, USERS, "canary")
    words = [canary() for _ in people]
    messages = await talk(people, conversation, lambda number, _: conversation.say.replace("{canary}", words[number]))
    assert_own(words, messages, own=0)


@pytest.mark.anyio
@pytest.mark.requires("multi_user", "websocket", "llm")
@pytest.mark.promise("the model tells a user what another told it", Breaker.PRODUCT)
async def test_llm_context_is_its_users_own(users: Users, conversation: CanarySocket, real_llm: RealLLM) -> None:
    """Asked for all that it was told, in the user's own conversation or in another's, the model tells no other's words."""
    recall = conversation.recall
    if recall is None:
        pytest.skip("[canary.websocket] declares no `recall`: nothing asks the model what it was told")
    people = await asyncio.to_thread(users.many, USERS, "canary")
    words = [canary() for _ in people]

    def say(number: int, _names: list[str]) -> str:
        return conversation.say.replace("{canary}", words[number])

    def ask(number: int, names: list[str]) -> str:
        return recall.replace("{id}", names[number])

    def ask_in_anothers(number: int, names: list[str]) -> str:
        return recall.replace("{id}", names[number - 1])

    messages = await talk(people, conversation, say, ask, ask_in_anothers)
    scripted = conversation.id is not None and not real_llm.is_real
    assert_own(words, messages, own=1 if scripted else None)  # a real model may well have forgotten


@pytest.mark.anyio
@pytest.mark.requires("multi_user", "websocket", "llm")
@pytest.mark.promise("a user who claims to be another is taken for the other", Breaker.PRODUCT)
async def test_websocket_claim_to_be_another_user_decides_nothing(
    users: Users, conversation: CanarySocket, real_llm: RealLLM
) -> None:
    """A handshake or message that names another user, wherever it does, opens none of that user's conversations."""
    recall = conversation.recall
    if recall is None:
        pytest.skip("[canary.websocket] declares no `recall`: nothing asks the model what it was told")
    owner, stranger = await asyncio.to_thread(users.many, 2, "claim")
    word = canary()
    async with asyncio.timeout(SECONDS):
        async with owner.websocket(SECONDS) as socket:
            frames = await converse(socket, conversation.say.replace("{canary}", word), conversation.ends)
            ask = recall.replace("{id}", name_in("\n".join(frames), conversation))
            told = "".join(await converse(socket, ask, conversation.ends))
        assert word in told or real_llm.is_real or conversation.id is None, "a user's own word never came back"
        for place in claims.SOCKET:
            async with claims.websocket(place, stranger, owner) as socket:
                frames = await converse(socket, claims.message(place, owner, ask), conversation.ends)
            assert word not in "".join(frames), f"a conversation opens to whom the {place} names"
