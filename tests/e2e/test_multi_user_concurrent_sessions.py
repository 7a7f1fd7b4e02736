"""Several users at the same time, each with connections and requests of their own: everyone is served, nobody is mixed up.

`--users N` says how many, 4 by default; what they got through, and how long each agent run took, is in the run file.
"""

import asyncio
import itertools
import time
from collections.abc import Callable

import pytest
from websockets.asyncio.client import ClientConnection

from envmatrix.contracts import RealServices
from envmatrix.runs.samples import percentile
from envmatrix.services.users import User, Users
from tests.e2e.conversation import (
    AGENTS,
    EVENTS,
    AgentRun,
    Event,
    agent_request,
    exchange,
    nothing_more,
    run_agents,
    websockets_of,
    within,
)

pytestmark = [pytest.mark.requires("websocket", "multi_user", "llm"), pytest.mark.anyio]


DEADLINE = 55
"""Seconds for a test of a hundred users; of four each takes less than one."""

Record = Callable[[str, object], None]
"""pytest's `record_property`."""


@pytest.fixture
def people(request: pytest.FixtureRequest, users: Users) -> list[User]:
    """As many users as `--users` says."""
    return users.many(request.config.getoption("--users", 4))


async def ask(user: User, agent: str, message: str, **context: object) -> AgentRun:
    """Run one agent over a connection of its own."""
    async with user.websocket() as socket:
        (run,) = await run_agents(socket, agent_request(agent, message, **context))
    return run


async def ask_together(people: list[User], requests: list[Event], record: Record) -> list[AgentRun]:
    """Run an agent for each user, once all of them are connected; record the throughput and the percentiles."""
    async with websockets_of(people) as sockets:
        began = time.perf_counter()
        timed = await asyncio.gather(*(run_timed(*each, began) for each in zip(sockets, requests, strict=True)))
    times = [seconds for _, seconds in timed]
    record("agent_runs_per_second", round(len(people) / max(times), 2))
    for share in (50, 95, 99):
        record(f"agent_run_p{share}_ms", round(percentile(times, share / 100) * 1000, 1))
    return [run for run, _ in timed]


async def run_timed(socket: ClientConnection, request: Event, began: float) -> tuple[AgentRun, float]:
    """Run one agent; return also how many seconds after the common start it had ended."""
    (run,) = await run_agents(socket, request)
    return run, time.perf_counter() - began


async def messages_of(user: User, thread_id: str) -> list[tuple[str, str]]:
    """Return a thread's messages as the user sees them."""
    async with user.async_client() as client:
        answer = await client.get(f"/api/threads/{thread_id}/messages")
    assert answer.status_code == 200
    return [(message["role"], message["content"]) for message in answer.json()["messages"]]


class TestMultiUserConcurrentSessions:
    """Every user must succeed: there is no share of failures that is good enough."""

    @within(DEADLINE)
    async def test_concurrent_users_different_agents(
        self, real_services: RealServices, people: list[User], record_property: Record
    ) -> None:
        """All users ask the four agents in turn, at once: each gets all events of their own agent, in order."""
        assert real_services.websocket_url is not None
        agents = list(itertools.islice(itertools.cycle(AGENTS), len(people)))
        requests = [agent_request(agent, "What now?") for agent in agents]
        runs = await ask_together(people, requests, record_property)
        assert [run.types for run in runs] == [EVENTS] * len(people)
        assert [run.user_id for run in runs] == [user.id for user in people]
        assert [{event["data"]["agent"] for event in run.events} for run in runs] == [{agent} for agent in agents]
        assert len({run.thread_id for run in runs}) == len(people)

    @within(DEADLINE)
    async def test_concurrent_users_same_agent(self, people: list[User], record_property: Record) -> None:
        """All users ask the same agent at once with different figures: each gets the answer to their own."""
        figures = [(number, 2 * number, 3 * number) for number in range(1, len(people) + 1)]
        requests = [agent_request("data_analysis", f"The mean of {given}, please") for given in figures]
        runs = await ask_together(people, requests, record_property)
        assert [run.types for run in runs] == [EVENTS] * len(people)
        assert [run.user_id for run in runs] == [user.id for user in people]
        means = [run.events[-1]["data"]["result"]["tool_results"]["mean"] for run in runs]
        assert means == [2 * number for number in range(1, len(people) + 1)]
        assert all(run.response for run in runs)

    @within(DEADLINE)
    async def test_user_isolation_boundary_enforcement(self, people: list[User]) -> None:
        """Whatever way the others try to reach a user's thread, all at once, they are refused, and the thread is as it was."""
        owner, *strangers = people
        secret = f"the figures of {owner.id}"
        thread_id = (await ask(owner, "triage_agent", secret)).thread_id
        before = await messages_of(owner, thread_id)

        async def try_all(stranger: User) -> None:
            attempts = [
                {"type": "get_thread", "thread_id": thread_id},
                {"type": "subscribe", "thread_id": thread_id},
                agent_request("triage_agent", "mine now", thread_id=thread_id),
                agent_request("triage_agent", "mine now", thread_id=thread_id, user_id=owner.id),
            ]
            async with stranger.websocket() as socket:
                answers = [await exchange(socket, attempt) for attempt in attempts]
                await nothing_more(socket)
            assert [(answer["type"], answer.get("error")) for answer in answers] == [("error", "access denied")] * 4
            async with stranger.async_client() as client:
                paths = [f"/api/threads/{thread_id}", f"/api/threads/{thread_id}/messages"]
                assert [(await client.get(path)).status_code for path in paths] == [404, 404]
                assert (await client.get("/api/threads")).json() == {"threads": []}
            assert secret not in str(answers)

        await asyncio.gather(*map(try_all, strangers))
        assert await messages_of(owner, thread_id) == before

    @pytest.mark.requires("redis")
    @within(DEADLINE)
    async def test_shared_resource_handling(self, people: list[User]) -> None:
        """One store, one model, one name for a key: what users write at the same time stays with whoever wrote it."""

        async def use(user: User) -> tuple[list[int], AgentRun]:
            async with user.async_client() as client, user.websocket() as socket:
                wrote = asyncio.gather(
                    *(client.put(f"/api/state/shared-{n}", json={"value": [user.id, n]}) for n in range(3))
                )
                (run,) = await run_agents(socket, agent_request("triage_agent", f"I am {user.id}"))
                return [answer.status_code for answer in await wrote], run

        async def read(user: User) -> list[object]:
            async with user.async_client() as client:
                return [
                    (await client.get(f"/api/state/shared-{n}")).raise_for_status().json()["value"] for n in range(3)
                ]

        used = await asyncio.gather(*map(use, people))
        assert [codes for codes, _ in used] == [[200] * 3] * len(people)
        assert [run.types for _, run in used] == [EVENTS] * len(people)
        assert await asyncio.gather(*map(read, people)) == [[[user.id, n] for n in range(3)] for user in people]
        assert len({run.thread_id for _, run in used}) == len(people)
        counted = await asyncio.gather(*(ask(user, "cost_optimizer", "What did I use?") for user in people))
        usages = [run.events[-1]["data"]["result"]["tool_results"] for run in counted]
        assert [(usage["threads"], usage["messages"]) for usage in usages] == [(2, 3)] * len(people)

    @within(DEADLINE)
    async def test_websocket_connection_management(self, people: list[User]) -> None:
        """Two connections each, at once; one that is closed, or cut without a goodbye, takes nothing from the others."""
        people = [user for user in people for _ in range(2)]
        async with websockets_of(people) as sockets:
            await asyncio.gather(*map(nothing_more, sockets))
            await sockets[0].close()
            sockets[2].transport.abort()
            await sockets[2].wait_closed()
            left = [1, *range(3, len(people))]
            runs = await asyncio.gather(*(run_agents(sockets[n], agent_request("triage_agent", "hello")) for n in left))
            assert [run.types for (run,) in runs] == [EVENTS] * len(left)
            assert [run.user_id for (run,) in runs] == [people[n].id for n in left]
            async with websockets_of([people[0], people[2]]) as again:
                await asyncio.gather(*map(nothing_more, again))

    @within(DEADLINE)
    async def test_user_session_lifecycle(self, people: list[User], users: Users) -> None:
        """A thread outlives the connection and the token that began it; a logout ends one session and no other."""
        half = len(people) // 2
        runs = await asyncio.gather(*(ask(user, "business_advisor", "What should I do?") for user in people))

        async def leave(user: User, thread_id: str, other_token: str) -> None:
            async with user.async_client() as client:
                assert (await client.get("/api/me")).status_code == 401
                client.headers["Authorization"] = f"Bearer {other_token}"
                history = await client.get(f"/api/threads/{thread_id}/messages")
                assert [message["role"] for message in history.json()["messages"]] == ["user", "assistant"]

        others = [users.token_for(user) for user in people[:half]]
        for user in people[:half]:
            with user.auth_client() as client:
                assert client.post("/auth/logout").status_code == 204
        threads = [run.thread_id for run in runs]
        await asyncio.gather(*map(leave, people[:half], threads[:half], others))
        stayed = await asyncio.gather(*(ask(user, "business_advisor", "And I?") for user in people[half:]))
        assert [run.types for run in stayed] == [EVENTS] * len(stayed)
