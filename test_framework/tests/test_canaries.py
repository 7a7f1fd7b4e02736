"""No user sees another's words: several plant a canary each, at the same time, and each looks for the others' everywhere.

What keeps a user's words and where they would show is declared in `[canary]`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from urllib.parse import quote

import pytest
from websockets.asyncio.client import ClientConnection

from test_framework.contracts import Reality
from test_framework.environments import CanaryRoute, CanarySocket
from test_framework.environments.references import map_text
from test_framework.users import User, Users

SECONDS = 30.0
"""How long one conversation may take; a small language model needs its time."""

QUIET = 0.1
"""Seconds for what was sent to the wrong connection to arrive there."""


@dataclass(frozen=True)
class Planted:
    """A user with a word of its own, and what the product calls the place where it stands."""

    user: User
    canary: str
    id: str = ""


def canary() -> str:
    """Return a word that nobody else uses."""
    return f"canary{secrets.token_hex(8)}"


@pytest.fixture
def routes(matrix_reality: Reality) -> tuple[CanaryRoute, ...]:
    """The declared routes; skip where there is none."""
    found = matrix_reality.environment.canary.http
    if not found:
        pytest.skip(f"{matrix_reality.environment.file.name} declares no [[canary.http]]: nothing to write a word with")
    return found


@pytest.fixture
def conversation(matrix_reality: Reality) -> CanarySocket:
    """The declared conversation; skip where there is none."""
    found = matrix_reality.environment.canary.websocket
    if found is None:
        pytest.skip(f"{matrix_reality.environment.file.name} declares no [canary.websocket]: nobody to say a word to")
    return found


def plant(user: User, route: CanaryRoute, together: Barrier) -> Planted:
    """Write a fresh word as a user, at the same moment as the others."""
    word = canary()
    body = map_text(route.body, lambda text: text.replace("{canary}", word))
    with user.client() as client:
        together.wait(SECONDS)
        answer = client.request(route.method, route.path, json=body)
        assert answer.is_success, f"{route.method} {route.path} answers {answer.status_code}"
        return Planted(user, word, quote(str(answer.json()[route.id]), safe="") if route.id else "")


def seen_by(planted: Planted, route: CanaryRoute, everybody: list[Planted]) -> Iterator[tuple[str, str]]:
    """Yield what a user gets at each declared path, also under the names of what others wrote."""
    with planted.user.client() as client:
        for path in route.read:
            for each in everybody if "{id}" in path else [planted]:
                filled = path.replace("{id}", each.id)
                yield filled, client.get(filled).text


@pytest.mark.requires("multi_user", "backend")
def test_http_canary_is_its_users_own(users: Users, routes: tuple[CanaryRoute, ...]) -> None:
    """Written at the same moment, each word is read back by the one who wrote it, and by nobody else."""
    people = users.many(3, "canary")
    for route in routes:
        together = Barrier(len(people))
        with ThreadPoolExecutor(len(people)) as pool:
            everybody = list(pool.map(lambda user: plant(user, route, together), people))  # noqa: B023  run at once
            looks = list(pool.map(lambda each: dict(seen_by(each, route, everybody)), everybody))  # noqa: B023
        for planted, seen in zip(everybody, looks, strict=True):
            assert any(planted.canary in text for text in seen.values()), f"{route.path} has lost {planted.canary}"
            for other in everybody:
                where = [path for path, text in seen.items() if other is not planted and other.canary in text]
                assert where == [], f"another user's {other.canary} shows at {where[0]}"


async def converse(socket: ClientConnection, message: str, ends: str) -> list[str]:
    """Say something; return every frame up to the one that ends the answer."""
    await socket.send(message)
    frames: list[str] = []
    async with asyncio.timeout(SECONDS):
        while not frames or ends not in frames[-1]:
            frames.append(str(await socket.recv()))
    return frames


async def overheard(socket: ClientConnection) -> list[str]:
    """Return what still comes although nothing was asked."""
    frames: list[str] = []
    try:
        async with asyncio.timeout(QUIET):
            while True:
                frames.append(str(await socket.recv()))
    except TimeoutError:
        return frames


async def talk(people: list[User], messages: list[list[str]], ends: str) -> list[str]:
    """Have each user, all at once, say some messages one after the other; return all that each of them got."""
    ready = asyncio.Barrier(len(people))

    async def one(user: User, words: list[str]) -> str:
        async with user.websocket(SECONDS) as socket:
            await ready.wait()
            frames = [frame for word in words for frame in await converse(socket, word, ends)]
            await ready.wait()
            return "\n".join([*frames, *await overheard(socket)])

    return await asyncio.gather(*(one(*pair) for pair in zip(people, messages, strict=True)))


def assert_own(words: list[str], heard: list[str], *, own: bool) -> None:
    """Demand that nobody got another's word and, where asked for, that each got its own."""
    for number, text in enumerate(heard):
        others = [word for index, word in enumerate(words) if index != number and word in text]
        assert others == [], f"a user got another's {others}"
        assert not own or words[number] in text, f"a user's own {words[number]} never came"


@pytest.mark.anyio
@pytest.mark.requires("multi_user", "websocket")
async def test_websocket_canary_reaches_its_user_alone(users: Users, conversation: CanarySocket) -> None:
    """Said at the same moment, each word comes back to the one who said it, and to no other connection."""
    people = await asyncio.to_thread(users.many, 3, "canary")
    words = [canary() for _ in people]
    said = [[conversation.say.replace("{canary}", word)] for word in words]
    assert_own(words, await talk(people, said, conversation.ends), own=True)


@pytest.mark.anyio
@pytest.mark.requires("multi_user", "websocket", "llm")
async def test_llm_context_is_its_users_own(users: Users, conversation: CanarySocket) -> None:
    """Asked for all that it was told, the model gives nobody what another user told it."""
    if conversation.recall is None:
        pytest.skip("[canary.websocket] declares no `recall`: nothing asks the model what it was told")
    people = await asyncio.to_thread(users.many, 3, "canary")
    words = [canary() for _ in people]
    said = [[conversation.say.replace("{canary}", word), conversation.recall] for word in words]
    assert_own(words, await talk(people, said, conversation.ends), own=False)
