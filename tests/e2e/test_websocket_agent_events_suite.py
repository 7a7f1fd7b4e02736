"""Mission critical: the five events of every agent run, to whom they belong, in order, none lost, under concurrency."""

import asyncio
import json
from datetime import timedelta
from uuid import UUID

import pytest
from websockets.exceptions import ConnectionClosed

from envmatrix.contracts import RealServices
from envmatrix.services.users import Users
from tests.e2e.conversation import (
    AGENTS,
    EVENTS,
    NEVER,
    agent_request,
    exchange,
    nothing_more,
    receive,
    run_agents,
    websockets_of,
    within,
    worker_of,
)

pytestmark = [pytest.mark.requires("websocket", "multi_user", "llm"), pytest.mark.anyio]

CONNECTIONS = 16
"""Opened to meet two workers: the chance that two share them out so that one gets none is 1 in 30,000."""


@pytest.mark.parametrize("agent", AGENTS)
@within(10)
async def test_every_agent_tells_all_five_events(users: Users, agent: str) -> None:
    """Each says what it did: who asked, why, with which tool, how long it took, and what came of it."""
    user = users(agent)
    async with user.websocket() as socket:
        (run,) = await run_agents(socket, agent_request(agent, "What do 3 and 5 cost?"))
    assert run.types == EVENTS
    started, thinking, executing, completed, ended = (event["data"] for event in run.events)
    assert started["user_id"] == user.id
    assert thinking["reasoning"]
    assert executing["tool_name"] == completed["tool_name"]
    assert isinstance(executing["parameters"], dict)
    assert isinstance(completed["results"], dict)
    assert completed["duration"] >= 0
    assert ended["status"] == "completed"
    assert ended["result"]["response"]
    assert ended["result"]["tool_results"] == completed["results"]


@within(10)
async def test_timestamps_are_in_utc_and_never_go_back(users: Users) -> None:
    """Each event has a moment with its zone, and none is earlier than the one before it."""
    async with users().websocket() as socket:
        runs = await run_agents(socket, *(agent_request("triage_agent", f"request {n}") for n in range(3)))
    for run in runs:
        assert all(moment.utcoffset() == timedelta(0) for moment in run.timestamps)
        assert run.timestamps == sorted(run.timestamps)


@within(10)
async def test_a_run_has_one_thread_and_may_continue_one(users: Users) -> None:
    """All events of a run name the same thread: a new one, or the one that the request names."""
    async with users().websocket() as socket:
        (first,) = await run_agents(socket, agent_request("triage_agent", "begin"))
        (other,) = await run_agents(socket, agent_request("triage_agent", "begin anew"))
        (second,) = await run_agents(socket, agent_request("triage_agent", "go on", thread_id=first.thread_id))
        thread = await exchange(socket, {"type": "get_thread", "thread_id": first.thread_id})
    assert UUID(first.thread_id) != UUID(other.thread_id)
    assert second.thread_id == first.thread_id
    assert [message["content"] for message in thread["data"]["messages"] if message["role"] == "user"] == [
        "begin",
        "go on",
    ]


@within(10)
async def test_requests_of_one_connection_run_at_the_same_time(users: Users) -> None:
    """Eight at once: each is told completely and in its own order, whatever comes between."""
    async with users().websocket() as socket:
        asked = [agent_request(agent, f"number {n}") for n, agent in enumerate(AGENTS * 2)]
        runs = await run_agents(socket, *asked)
    assert [run.types for run in runs] == [EVENTS] * len(asked)
    assert [run.events[0]["data"]["agent"] for run in runs] == list(AGENTS * 2)
    assert len({run.thread_id for run in runs}) == len(asked)


@within(30)
async def test_nothing_is_lost_or_mixed_up_between_users_and_connections(
    real_services: RealServices, users: Users
) -> None:
    """Eight users, two connections each, two requests on each: every event comes to the connection that asked for it."""
    assert real_services.websocket_url is not None
    people = [user for user in users.many(8) for _ in range(2)]
    async with websockets_of(people) as sockets:
        told = await asyncio.gather(
            *(
                run_agents(socket, *(agent_request("triage_agent", f"{number}: {n}") for n in range(2)))
                for number, socket in enumerate(sockets)
            )
        )
    for user, runs in zip(people, told, strict=True):
        assert [run.types for run in runs] == [EVENTS] * 2
        assert {run.user_id for run in runs} == {user.id}
        text = json.dumps([run.events for run in runs])
        assert not any(other.id in text for other in people if other is not user)
    every = [event for runs in told for run in runs for event in run.events]
    assert len(every) == 160
    assert len({event["data"]["run_id"] for event in every}) == 32


@within(10)
async def test_a_thread_that_never_was_and_one_of_somebody_else_look_the_same(users: Users) -> None:
    """`access denied` in both cases: nobody learns which threads exist."""
    owner, stranger = users.many(2)
    async with owner.websocket() as socket:
        (run,) = await run_agents(socket, agent_request("triage_agent", "mine"))
    async with stranger.websocket() as socket:
        answers = [
            await exchange(socket, {"type": kind, "thread_id": thread_id})
            for thread_id in (run.thread_id, NEVER)
            for kind in ("get_thread", "subscribe")
        ]
        await nothing_more(socket)
    assert [(answer["type"], answer.get("error")) for answer in answers] == [("error", "access denied")] * 4


MALFORMED = {
    "not JSON": "{",
    "empty": "",
    "a list": "[]",
    "a number": "7",
    "no type": "{}",
    "unknown type": '{"type": "shutdown"}',
    "unknown agent": '{"type": "agent_request", "agent": "root", "message": "hello"}',
    "no message": '{"type": "agent_request", "agent": "triage_agent"}',
    "empty message": '{"type": "agent_request", "agent": "triage_agent", "message": ""}',
    "message of another type": '{"type": "agent_request", "agent": "triage_agent", "message": {"a": 1}}',
    "context of another type": '{"type": "agent_request", "agent": "triage_agent", "message": "a", "context": 3}',
    "thread id that is none": '{"type": "agent_request", "agent": "triage_agent", "message": "a",'
    ' "context": {"thread_id": "../1"}}',
    "null byte": '{"type": "agent_request", "agent": "triage_agent", "message": "a\\u0000b"}',
    "deeply nested": "[" * 20_000 + "]" * 20_000,
    "too large": json.dumps({"type": "agent_request", "agent": "triage_agent", "message": "x" * 100_000}),
}


@within(10)
async def test_malformed_messages_are_answered_and_harm_nothing(users: Users) -> None:
    """Each gets an error, and the connection that sent them all still runs agents."""
    async with users().websocket() as socket:
        answers = {what: await exchange(socket, text) for what, text in MALFORMED.items()}
        await socket.send(b"\x00\xff")
        answers["bytes"] = await receive(socket)
        assert {what: answer["type"] for what, answer in answers.items()} == dict.fromkeys(answers, "error")
        assert all(answer["error"] and answer["timestamp"] for answer in answers.values())
        (run,) = await run_agents(socket, agent_request("triage_agent", "still there?"))
    assert run.types == EVENTS


@pytest.mark.requires("redis")
@within(10)
async def test_events_reach_the_users_other_connections_and_nobody_elses(users: Users) -> None:
    """A subscriber of the thread is told all five, in order; the same user's other threads stay silent."""
    user, stranger = users.many(2)
    async with user.websocket() as asking, user.websocket() as watching, stranger.websocket() as outside:
        (run,) = await run_agents(asking, agent_request("triage_agent", "begin"))
        answer = await exchange(watching, {"type": "subscribe", "thread_id": run.thread_id})
        assert answer["type"] == "subscribed"
        (elsewhere, here) = await run_agents(
            asking,
            agent_request("triage_agent", "another thread"),
            agent_request("triage_agent", "go on", thread_id=run.thread_id),
        )
        assert elsewhere.thread_id != run.thread_id
        assert [await receive(watching) for _ in EVENTS] == list(here.events)
        await nothing_more(watching)
        await nothing_more(outside)


@pytest.mark.requires("redis")
@within(15)
async def test_events_cross_the_borders_between_workers(real_services: RealServices, users: Users) -> None:
    """What runs on one worker of the backend is told to a subscriber on another."""
    user = users()
    async with websockets_of([user] * CONNECTIONS) as sockets:
        by_worker = dict(zip(await asyncio.gather(*map(worker_of, sockets)), sockets, strict=True))
        if len(by_worker) == 1:
            pytest.skip(f"one worker serves all {CONNECTIONS} connections in {real_services.environment}")
        asking, watching, *_ = by_worker.values()
        (first,) = await run_agents(asking, agent_request("triage_agent", "begin"))
        await exchange(watching, {"type": "subscribe", "thread_id": first.thread_id})
        (run,) = await run_agents(asking, agent_request("triage_agent", "go on", thread_id=first.thread_id))
        assert [await receive(watching) for _ in EVENTS] == list(run.events)


@within(10)
async def test_a_session_that_ends_ends_its_connections_work(users: Users) -> None:
    """After a logout a connection that is still open runs nothing more, and is closed for it (1008)."""
    user = users()
    async with user.websocket() as socket:
        await run_agents(socket, agent_request("triage_agent", "one"))
        with user.auth_client() as client:
            assert client.post("/auth/logout").status_code == 204
        answer = await exchange(socket, agent_request("triage_agent", "one more"))
        assert (answer["type"], answer.get("error")) == ("error", "token revoked")
        with pytest.raises(ConnectionClosed) as closed:
            await receive(socket)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
