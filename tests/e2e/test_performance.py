"""What users feel: each test takes a time or two, a few times over, and records the medians in the run file.

None has a limit of its own: `envmatrix compare` and the gate hold a number against its own history.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from statistics import median

import pytest
from websockets.asyncio.client import ClientConnection

from envmatrix.services.users import Users
from tests.e2e.conversation import EVENTS, Event, agent_request, receive, websockets_of, within

with_agents = pytest.mark.requires("websocket", "multi_user", "llm")

TIMES = 5
"""Repetitions whose median is recorded: two of them may be disturbed."""

Record = Callable[[str, object], None]
"""pytest's `record_property`."""


@pytest.mark.requires("multi_user")
def test_sign_up(users: Users, record_property: Record) -> None:
    """A stranger signs up, and logs in for the first time."""
    record_property("sign_up_ms", middle(seconds(users) for _ in range(TIMES)))


@pytest.mark.requires("multi_user")
def test_login(users: Users, record_property: Record) -> None:
    """A known user logs in."""
    user = users()
    record_property("login_ms", middle(seconds(lambda: users.token_for(user)) for _ in range(TIMES)))


@with_agents
@pytest.mark.anyio
@within(30)
async def test_agent_run(users: Users, record_property: Record) -> None:
    """An agent's first event says that it works on the question, the last one has the answer."""
    async with users().websocket() as socket:
        runs = [await run_timed(socket, agent_request("cost_optimizer", "Where can I save?")) for _ in range(TIMES)]
    record_property("first_event_ms", middle(first for first, _ in runs))
    record_property("agent_run_ms", middle(whole for _, whole in runs))


@with_agents
@pytest.mark.anyio
@within(30)
async def test_history(users: Users, record_property: Record) -> None:
    """A thread of ten messages is read back."""
    user = users()
    async with user.websocket() as socket, user.async_client() as client:
        thread_id = (await client.post("/api/threads", json={"title": "Costs"})).json()["thread_id"]
        for _ in range(5):
            await run_timed(socket, agent_request("triage_agent", "And now?", thread_id=thread_id))
        times = []
        for _ in range(TIMES):
            began = time.perf_counter()
            answer = await client.get(f"/api/threads/{thread_id}/messages")
            times.append(time.perf_counter() - began)
            assert len(answer.json()["messages"]) == 10
    record_property("history_ms", middle(times))


@with_agents
@pytest.mark.anyio
@within(30)
async def test_ten_users_at_once(users: Users, record_property: Record) -> None:
    """Ten users ask at the same moment: how long the last of them waits, and how many runs that makes a second."""
    people, lasts = users.many(10), []
    async with websockets_of(people) as sockets:
        for _ in range(3):
            requests = [agent_request("business_advisor", "What should I do?") for _ in people]
            runs = await asyncio.gather(*(run_timed(*each) for each in zip(sockets, requests, strict=True)))
            lasts.append(max(whole for _, whole in runs))
    record_property("ten_users_ms", middle(lasts))
    record_property("ten_users_runs_per_second", round(len(people) / median(lasts), 2))


def seconds(action: Callable[[], object]) -> float:
    """Return how long a call takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


async def run_timed(socket: ClientConnection, request: Event) -> tuple[float, float]:
    """Run one agent; return the seconds until its first event, and until its last."""
    began = time.perf_counter()
    await socket.send(json.dumps(request))
    moments = []
    for expected in EVENTS:
        event = await receive(socket)
        moments.append(time.perf_counter() - began)
        assert event["type"] == expected, event
    return moments[0], moments[-1]


def middle(times: Iterable[float]) -> float:
    """Return the median of some seconds, in milliseconds."""
    return round(median(times) * 1000, 3)
