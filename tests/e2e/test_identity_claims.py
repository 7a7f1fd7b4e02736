"""Whoever a client says it is, in whatever place, the product serves the user of the token."""

import json
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection

from envmatrix.conformance import claims
from envmatrix.services.users import User, Users
from tests.e2e.conversation import EVENTS, agent_request, exchange, nothing_more, receive, run_agents, within

pytestmark = [pytest.mark.requires("websocket", "multi_user", "llm"), pytest.mark.anyio]

STATE = "/api/state/colour"


def everything_of(user: User) -> dict[str, Any]:
    """Return all that the product shows of a user's data."""
    with user.client() as client:
        threads = client.get("/api/threads").json()["threads"]
        histories = [client.get(f"/api/threads/{thread['thread_id']}/messages").json() for thread in threads]
        return {"threads": threads, "histories": histories, "colour": client.get(STATE).json()}


async def fill(user: User) -> str:
    """Have the product keep something for a user; return the id of its thread."""
    async with user.async_client() as client, user.websocket() as socket:
        assert (await client.put(STATE, json={"value": user.id})).status_code == 200
        (run,) = await run_agents(socket, agent_request("triage_agent", f"the figures of {user.id}"))
    return run.thread_id


@pytest.mark.parametrize("place", claims.HTTP)
@within(15)
async def test_a_request_is_its_tokens_users(users: Users, place: str) -> None:
    """It reads, writes and deletes for that user alone, and the named user's data are as they were."""
    owner, stranger = users.many(2)
    thread_id = await fill(owner)
    before = everything_of(owner)
    with stranger.client() as client:

        def ask(method: str, path: str, **body: object) -> httpx.Response:
            claimed, options = claims.http_request(place, owner, path, api="/api", body=body or None)
            return client.request(method, claimed, **options)

        # Named in the path, the user's pages may as well not be there.
        absent = 404 if place == "path" else None
        assert ask("GET", "/api/me").json().get("user_id") == (None if absent else stranger.id)
        assert ask("GET", "/api/threads").json().get("threads", []) == []
        for path in (f"/api/threads/{thread_id}", f"/api/threads/{thread_id}/messages", STATE):
            assert ask("GET", path).status_code == 404, path
        statuses = [
            ask("POST", "/api/threads", title="mine").status_code,
            ask("PUT", STATE, value="mine").status_code,
            ask("DELETE", "/api/me").status_code,
        ]
        assert statuses == [absent or 201, absent or 200, absent or 204]
    assert everything_of(owner) == before


async def say(socket: ClientConnection, place: str, victim: User, request: dict[str, Any]) -> dict[str, Any]:
    """Send a request that claims to come from a victim; return the first answer."""
    return await exchange(socket, claims.message(place, victim, json.dumps(request)))


@pytest.mark.parametrize("place", claims.SOCKET)
@within(15)
async def test_a_connection_is_its_tokens_users(users: Users, place: str) -> None:
    """Its runs and threads are that user's; the named user's threads stay closed to it, and silent."""
    owner, stranger = users.many(2)
    thread_id = await fill(owner)
    before = everything_of(owner)
    async with claims.websocket(place, stranger, owner) as socket:
        for request in (
            {"type": "get_thread", "thread_id": thread_id},
            {"type": "subscribe", "thread_id": thread_id},
            agent_request("triage_agent", "mine now", thread_id=thread_id),
        ):
            answer = await say(socket, place, owner, request)
            assert (answer["type"], answer.get("error")) == ("error", "access denied")
        started = await say(socket, place, owner, agent_request("triage_agent", f"I am {owner.id}"))
        assert started["data"]["user_id"] == stranger.id
        assert [(await receive(socket))["type"] for _ in EVENTS[1:]] == list(EVENTS[1:])
        await nothing_more(socket)
    assert everything_of(owner) == before
