"""The golden path: a stranger signs up, logs in, begins a thread, runs an agent, reads the history, and leaves."""

import pytest

from envmatrix.contracts import RealServices
from envmatrix.services.users import Users
from tests.e2e.conversation import EVENTS, agent_request, run_agents, within

pytestmark = [pytest.mark.requires("auth", "websocket", "multi_user", "database", "llm"), pytest.mark.anyio]


@within(15)
async def test_from_sign_up_to_logout(real_services: RealServices, users: Users) -> None:
    """Each step builds on the one before, and after the logout the token is refused everywhere."""
    user = users("newcomer")
    with user.auth_client() as auth:
        assert auth.get("/auth/me").json()["email"] == user.email

        async with user.async_client() as api:
            assert (await api.get("/api/me")).json() == {"user_id": user.id, "method": "jwt"}
            thread = (await api.post("/api/threads", json={"title": "Costs"})).json()

            async with user.websocket() as socket:
                question = agent_request("cost_optimizer", "Where can I save?", thread_id=thread["thread_id"])
                (run,) = await run_agents(socket, question)
            assert run.types == EVENTS
            assert run.thread_id == thread["thread_id"]

            history = (await api.get(f"/api/threads/{thread['thread_id']}/messages")).json()["messages"]
            assert [(message["role"], message["content"]) for message in history] == [
                ("user", "Where can I save?"),
                ("assistant", run.response),
            ]
            listed = (await api.get("/api/threads")).json()["threads"]
            assert [(one["thread_id"], one["title"]) for one in listed] == [(thread["thread_id"], "Costs")]

            assert auth.post("/auth/logout").status_code == 204
            assert (await api.get("/api/threads")).status_code == 401
    assert real_services.auth_url is not None
    again = users.login(user.email, user.password)
    async with user.async_client() as api:
        api.headers["Authorization"] = f"Bearer {again['access_token']}"
        assert (await api.get("/api/threads")).json()["threads"] == listed
