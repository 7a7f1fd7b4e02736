"""Talks to the backend's agents over a WebSocket; a late, foreign, lost or surplus message is an error."""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ParamSpec

from websockets.asyncio.client import ClientConnection

from envmatrix.services.users import User

EVENTS = ("agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed")
"""The events of each agent run, in order."""
AGENTS = ("cost_optimizer", "data_analysis", "business_advisor", "triage_agent")

NEVER = "00000000-0000-4000-8000-000000000000"
"""The id of a thread that never was."""

Event = dict[str, Any]
P = ParamSpec("P")

_numbers = itertools.count(1)


def within(seconds: float) -> Callable[[Callable[P, Awaitable[None]]], Callable[P, Awaitable[None]]]:
    """Fail an asynchronous test that has not ended by its deadline."""

    def limit(test: Callable[P, Awaitable[None]]) -> Callable[P, Awaitable[None]]:
        @functools.wraps(test)
        async def limited(*args: P.args, **kwargs: P.kwargs) -> None:
            async with asyncio.timeout(seconds):
                await test(*args, **kwargs)

        return limited

    return limit


@dataclass(frozen=True)
class AgentRun:
    """All events that a connection got for one request."""

    request: Event
    events: tuple[Event, ...]

    @property
    def types(self) -> tuple[str, ...]:
        """The events' types, in the order they came."""
        return tuple(event["type"] for event in self.events)

    @property
    def thread_id(self) -> str:
        """The one thread that every event names."""
        (thread_id,) = {event["data"]["thread_id"] for event in self.events}
        return thread_id

    @property
    def user_id(self) -> str:
        """The user of the run, from the first event."""
        return self.events[0]["data"]["user_id"]

    @property
    def response(self) -> str:
        """What the agent answered."""
        return self.events[-1]["data"]["result"]["response"]

    @property
    def timestamps(self) -> list[datetime]:
        """When each event happened."""
        return [datetime.fromisoformat(event["timestamp"]) for event in self.events]


@asynccontextmanager
async def websockets_of(people: Iterable[User]) -> AsyncIterator[list[ClientConnection]]:
    """Open a WebSocket for each user, all of them before the first is used."""
    async with AsyncExitStack() as stack:
        yield await asyncio.gather(*(stack.enter_async_context(user.websocket()) for user in people))


def agent_request(agent: str, message: str, **context: object) -> Event:
    """Return a request with an id that is unique in this process."""
    name = f"request-{next(_numbers)}"
    return {"type": "agent_request", "agent": agent, "message": message, "context": context, "request_id": name}


async def exchange(socket: ClientConnection, message: Event | str) -> Event:
    """Send one message, and return the next that comes."""
    await socket.send(message if isinstance(message, str) else json.dumps(message))
    return await receive(socket)


async def receive(socket: ClientConnection) -> Event:
    """Return the next message, which is a JSON object."""
    event = json.loads(await socket.recv())
    assert isinstance(event, dict)
    return event


async def run_agents(socket: ClientConnection, *requests: Event) -> list[AgentRun]:
    """Send all requests at once; return the events of each after the last has ended.

    An error, and an event of a request that this connection did not make, fail the test; so does anything that comes
    after the end.
    """
    seen: dict[str, list[Event]] = {request["request_id"]: [] for request in requests}
    for request in requests:
        await socket.send(json.dumps(request))
    while not all(events and events[-1]["type"] == EVENTS[-1] for events in seen.values()):
        event = await receive(socket)
        assert event["type"] in EVENTS, event
        assert event["data"].get("request_id") in seen, f"an event of somebody else's request: {event}"
        seen[event["data"]["request_id"]].append(event)
    await nothing_more(socket)
    return [AgentRun(request, tuple(seen[request["request_id"]])) for request in requests]


async def nothing_more(socket: ClientConnection) -> None:
    """Assert that no message is on its way: the next one answers a request that is sent now, and takes the longest way."""
    name = f"last-{next(_numbers)}"
    event = await exchange(socket, {"type": "get_thread", "thread_id": NEVER, "request_id": name})
    assert (event["type"], event["data"].get("request_id")) == ("error", name), event


async def worker_of(socket: ClientConnection) -> int:
    """Return which worker of the backend serves a connection."""
    return (await exchange(socket, {"type": "ping"}))["data"]["worker"]
