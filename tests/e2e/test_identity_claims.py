"""Whoever a client says it is, in whatever place, the product serves the user of the token."""

import json
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection

from envmatrix.conformance import claims
from envmatrix.services.users import User, Users
from tests.e2e.conversation import EVENTS, Event, agent_request, exchange, nothing_more, receive, run_agents, within

pytestmark = [pytest.mark.requires("websocket", "multi_user", "llm", "redis"), pytest.mark.anyio]

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


@within(30)
async def test_a_request_is_its_tokens_users(users: Users) -> None:
    """It reads, writes and deletes for that user alone, and the named user's data are as they were."""
    owner, stranger = users.many(2)
    thread_id = await fill(owner)
    before = everything_of(owner)
    private = [f"/api/threads/{thread_id}", f"/api/threads/{thread_id}/messages", STATE]
    with stranger.client() as client:
        for place in claims.HTTP:

            def ask(method: str, path: str, place: str = place, **body: object) -> httpx.Response:
                claimed, options = claims.http_request(place, owner, path, api="/api", body=body or None)
                return client.request(method, claimed, **options)

            me, threads = ask("GET", "/api/me").json(), ask("GET", "/api/threads").json()
            read = [ask("GET", path).status_code for path in private]
            written = [
                ask("POST", "/api/threads", title="mine").status_code,
                ask("PUT", STATE, value="mine").status_code,
                ask("DELETE", "/api/me").status_code,
            ]
            assert read == [404] * 3, place
            if place == "path":  # the product has no such pages
                assert (me, threads, written) == ({"detail": "Not Found"}, {"detail": "Not Found"}, [404] * 3)
            else:
                assert (me["user_id"], threads, written) == (stranger.id, {"threads": []}, [201, 200, 204]), place
            assert everything_of(owner) == before, place


@within(30)
async def test_a_connection_is_its_tokens_users(users: Users) -> None:
    """Its runs and threads are that user's; the named user's threads stay closed to it, and silent."""
    owner, stranger = users.many(2)
    thread_id = await fill(owner)
    before = everything_of(owner)
    for place in claims.SOCKET:
        async with claims.websocket(place, stranger, owner) as socket:

            async def say(request: Event, socket: ClientConnection = socket, place: str = place) -> Event:
                return await exchange(socket, claims.message(place, owner, json.dumps(request)))

            for request in (
                {"type": "get_thread", "thread_id": thread_id},
                {"type": "subscribe", "thread_id": thread_id},
                agent_request("triage_agent", "mine now", thread_id=thread_id),
            ):
                answer = await say(request)
                assert (answer["type"], answer.get("error")) == ("error", "access denied"), place
            started = await say(agent_request("triage_agent", f"I am {owner.id}"))
            assert started["data"]["user_id"] == stranger.id, place
            assert [(await receive(socket))["type"] for _ in EVENTS[1:]] == list(EVENTS[1:])
            await nothing_more(socket)
        assert everything_of(owner) == before, place
