"""What the product promises while something that it needs is out of order: shown in the variants of `local`."""

import pytest

from envmatrix.contracts import RealLLM, RealServices
from envmatrix.services.users import Users
from tests.e2e.conversation import EVENTS, agent_request, exchange, receive, run_agents, within

pytestmark = [pytest.mark.requires("websocket", "multi_user"), pytest.mark.anyio]


@pytest.mark.requires("llm")
@within(10)
async def test_without_redis_agents_answer_and_only_fan_out_is_lost(real_services: RealServices, users: Users) -> None:
    """Who asks gets all five events; who would listen to another connection is told that it cannot be."""
    if real_services.redis_available:
        pytest.skip(f"redis is there in {real_services.environment}: see local+redis_down")
    async with users().websocket() as socket:
        (run,) = await run_agents(socket, agent_request("triage_agent", "begin"))
        answer = await exchange(socket, {"type": "subscribe", "thread_id": run.thread_id})
    assert run.types == EVENTS
    assert (answer["type"], answer["error"]) == ("error", "redis unavailable")


@within(20)
async def test_a_model_that_is_slow_or_down_ends_a_run_with_a_typed_error(real_llm: RealLLM, users: Users) -> None:
    """The run stops after its tool; the connection goes on."""
    if real_llm.llm_available or real_llm.base_url is None:
        pytest.skip(f"the model answers in {real_llm.environment}, or there is none: see local+llm_slow")
    async with users().websocket() as socket:
        answer = await exchange(socket, agent_request("triage_agent", "begin"))
        types = [answer["type"]]
        while answer["type"] not in {"error", EVENTS[-1]}:
            answer = await receive(socket)
            types.append(answer["type"])
        assert (types, answer.get("error")) == ([*EVENTS[:-1], "error"], "llm unavailable")
        assert (await exchange(socket, {"type": "ping"}))["type"] == "pong"
