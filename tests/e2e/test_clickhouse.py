"""The product keeps analytics in ClickHouse, and works without it where it is absent."""

import asyncio
from typing import Any

import pytest

from envmatrix.contracts import Reality, RealServices
from envmatrix.services.clients import clickhouse
from envmatrix.services.users import User, Users
from tests.e2e.conversation import EVENTS, agent_request, run_agents, within

pytestmark = [pytest.mark.requires("websocket", "multi_user", "llm"), pytest.mark.anyio]


async def recorded(user: User, count: int) -> list[dict[str, Any]]:
    """Return a user's analytics once there are that many events: they are written in the background."""
    async with user.async_client() as client:
        while len(events := (await client.get("/api/analytics/events")).json()["events"]) < count:  # noqa: ASYNC110  no event of ours: another process writes
            await asyncio.sleep(0.02)
    return events


@pytest.mark.requires("clickhouse")
@within(10)
async def test_a_run_is_recorded_for_its_user_alone(users: Users) -> None:
    """Its begin and its end are there with the thread and the agent; another user sees their own only."""
    people = users.many(2)
    threads = []
    for user in people:
        async with user.websocket() as socket:
            (run,) = await run_agents(socket, agent_request("triage_agent", "record this"))
            threads.append(run.thread_id)
    for user, thread_id in zip(people, threads, strict=True):
        events = await recorded(user, 2)
        assert [event["event"] for event in events] == ["agent_started", "agent_completed"]
        assert {(event["user_id"], event["thread_id"], event["agent"]) for event in events} == {
            (user.id, thread_id, "triage_agent")
        }
        assert events[1]["duration"] >= events[0]["duration"] >= 0


@pytest.mark.requires("clickhouse")
@within(10)
async def test_what_is_recorded_can_be_queried(
    real_services: RealServices, matrix_reality: Reality, users: Users
) -> None:
    """The official client finds in the product's database what the product says that it recorded."""
    assert real_services.clickhouse_available
    user = users()
    async with user.websocket() as socket:
        await run_agents(socket, *(agent_request("triage_agent", f"number {n}") for n in range(3)))
    await recorded(user, 6)
    with clickhouse(matrix_reality.endpoints["clickhouse"]) as client:
        counted = client.query(
            "SELECT event, count() FROM agent_events WHERE user_id = {user:String} GROUP BY event ORDER BY event",
            parameters={"user": user.id},
        ).result_rows
    assert counted == [("agent_completed", 3), ("agent_started", 3)]


@pytest.mark.requires("clickhouse", "redis")
@within(10)
async def test_who_leaves_takes_their_events_along(users: Users) -> None:
    """A moment later none of theirs is left; another user's are."""
    leaver, staying = users.many(2)
    for user in (leaver, staying):
        async with user.websocket() as socket:
            await run_agents(socket, agent_request("triage_agent", "record this"))
        await recorded(user, 2)
    async with leaver.async_client() as client:
        assert (await client.delete("/api/me")).status_code == 204
        while (await client.get("/api/analytics/events")).json()["events"]:  # noqa: ASYNC110  as above
            await asyncio.sleep(0.02)
    assert len(await recorded(staying, 2)) == 2


@pytest.mark.requires("clickhouse")
@within(10)
async def test_the_advisor_counts_what_was_recorded(users: Users) -> None:
    """An agent's tool reads the user's own analytics."""
    user = users()
    async with user.websocket() as socket:
        await run_agents(socket, agent_request("triage_agent", "first"))
        await recorded(user, 2)
        (run,) = await run_agents(socket, agent_request("business_advisor", "What did I do?"))
    results = run.events[-1]["data"]["result"]["tool_results"]
    assert results["analytics_available"] is True
    assert results["events"] >= 2


@within(10)
async def test_without_clickhouse_the_product_says_so_and_works(
    real_services: RealServices, matrix_reality: Reality, users: Users
) -> None:
    """Analytics are told to be unavailable, the agent that would use them counts elsewhere, and only events are lost.

    Where ClickHouse is declared, and down, each event of the run is counted as dropped; where it is absent, none is made.
    """
    if real_services.clickhouse_available:
        pytest.skip(f"clickhouse is there in {real_services.environment}: what happens without it shows elsewhere")
    user = users()
    async with user.websocket() as socket:
        (run,) = await run_agents(socket, agent_request("business_advisor", "What did I do?"))
    assert run.types == EVENTS
    results = run.events[-1]["data"]["result"]["tool_results"]
    assert (results["analytics_available"], results["threads"]) == (False, 1)
    async with user.async_client() as client:
        lost = 0 if matrix_reality.absent("clickhouse") else 2
        while (answer := (await client.get("/api/analytics/events")).json())["dropped"] < lost:  # noqa: ASYNC110  as above
            await asyncio.sleep(0.1)
    assert answer == {"available": False, "events": [], "dropped": lost}
