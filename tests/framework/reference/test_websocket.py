"""The backend's WebSocket: who gets in, what agents say, who hears it, and what bad input gets."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from environments.reference.backend.protocol import MAX_MESSAGE, Agent
from tests.framework.reference.deployment import PATIENCE, Service, Socket, User, until

Open = Callable[[User], Socket]
FIVE = ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"]


def worker(socket: Socket) -> int:
    """Return which backend worker holds the connection."""
    return socket.ask(type="ping")["data"]["worker"]


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic dTpw"}, {"X-API-Key": "ref_a_b"}],
)
def test_a_handshake_without_valid_credentials_is_refused(
    services: dict[str, Service], headers: dict[str, str]
) -> None:
    """HTTP 401, before any upgrade."""
    url = f"ws://127.0.0.1:{services['backend'].port}/ws"
    with pytest.raises(InvalidStatus) as refused:
        connect(url, additional_headers=headers, proxy=None)
    assert refused.value.response.status_code == 401
    assert refused.value.response.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_in_the_url_does_not_count(services: dict[str, Service], user: User) -> None:
    """URLs end in logs: only headers are looked at."""
    with pytest.raises(InvalidStatus):
        connect(f"ws://127.0.0.1:{services['backend'].port}/ws?token={user.token}", proxy=None)


@pytest.mark.parametrize("agent", list(Agent))
def test_a_run_sends_the_five_events_in_order(open_socket: Open, user: User, agent: str) -> None:
    """Each agent: five events, one thread, times that never go back, the fields that each event promises."""
    socket = open_socket(user)
    events = socket.run(agent, "The costs were 10, 20 and 30")
    assert [event["type"] for event in events] == FIVE
    assert len({event["data"]["thread_id"] for event in events}) == 1
    times = [datetime.fromisoformat(event["timestamp"]) for event in events]
    assert times == sorted(times)
    started, thinking, executing, completed, done = (event["data"] for event in events)
    assert started["user_id"] == user.user_id
    assert thinking["reasoning"]
    assert executing["tool_name"] == completed["tool_name"]
    assert isinstance(executing["parameters"], dict)
    assert isinstance(completed["results"], dict)
    assert completed["duration"] >= 0
    assert done["status"] == "completed"
    assert done["result"]["response"].endswith("You said: The costs were 10, 20 and 30")
    assert socket.silent()


def test_the_tools_compute_something(open_socket: Open, user: User) -> None:
    """The numbers of the message come back added up, and a triage names the right agent."""
    socket = open_socket(user)
    results = socket.run("data_analysis", "10, 20 and 30.5")[3]["data"]["results"]
    assert results == {"count": 3, "sum": 60.5, "mean": 60.5 / 3, "min": 10, "max": 30.5}
    assert socket.run("triage_agent", "How do I save budget?")[3]["data"]["results"] == {"agent": "cost_optimizer"}
    assert socket.run("cost_optimizer", "Summarize")[3]["data"]["results"]["threads"] == 3


def test_a_run_is_kept_in_its_thread(open_socket: Open, backend: httpx.Client, user: User) -> None:
    """Question and answer of both runs are in the thread, over REST and over the WebSocket."""
    socket = open_socket(user)
    first = socket.run("triage_agent", "first")
    thread = first[0]["data"]["thread_id"]
    second = socket.run("data_analysis", "second", context={"thread_id": thread})
    assert second[0]["data"]["thread_id"] == thread
    kept = backend.get(f"/api/threads/{thread}/messages", headers=user.bearer).json()["messages"]
    assert [(message["role"], message["agent"], message["content"]) for message in kept] == [
        ("user", "triage_agent", "first"),
        ("assistant", "triage_agent", first[-1]["data"]["result"]["response"]),
        ("user", "data_analysis", "second"),
        ("assistant", "data_analysis", second[-1]["data"]["result"]["response"]),
    ]
    shown = socket.ask(type="get_thread", thread_id=thread)
    assert (shown["type"], shown["data"]["messages"]) == ("thread", kept)


def test_a_claim_about_the_user_decides_nothing(
    open_socket: Open, backend: httpx.Client, user: User, new_user: Callable[[], User]
) -> None:
    """Wherever a client writes another user's id, the run belongs to the token's user."""
    other = new_user()
    events = open_socket(user).run(
        "triage_agent", "mine", user_id=other.user_id, context={"user_id": other.user_id, "userId": other.user_id}
    )
    assert events[0]["data"]["user_id"] == user.user_id
    assert backend.get("/api/threads", headers=other.bearer).json() == {"threads": []}


def test_another_users_thread_is_closed_on_every_path(
    open_socket: Open, backend: httpx.Client, user: User, new_user: Callable[[], User]
) -> None:
    """Reading, subscribing, continuing and REST all fail, and in the same way as for a thread that never was."""
    thread = backend.post("/api/threads", json={"title": "private"}, headers=user.bearer).json()["thread_id"]
    stranger = new_user()
    socket = open_socket(stranger)
    for target in (thread, str(uuid4())):
        attempts: list[dict[str, Any]] = [
            {"type": "get_thread", "thread_id": target},
            {"type": "subscribe", "thread_id": target},
            {"type": "agent_request", "agent": "triage_agent", "message": "x", "context": {"thread_id": target}},
        ]
        for attempt in attempts:
            answer = socket.ask(**attempt)
            assert (answer["type"], answer["error"]) == ("error", "access denied")
            assert answer["data"]["thread_id"] == target
        for path in (f"/api/threads/{target}", f"/api/threads/{target}/messages"):
            assert backend.get(path, headers=stranger.bearer).status_code == 404
    assert socket.silent()
    assert backend.get(f"/api/threads/{thread}/messages", headers=user.bearer).json() == {"messages": []}


def test_users_at_the_same_time_hear_only_their_own_runs(open_socket: Open, new_user: Callable[[], User]) -> None:
    """Six users, four runs each on one connection, all at once: nothing lost, nothing of another's, each in order."""

    def session(user: User) -> None:
        socket = open_socket(user)
        words = {uuid4().hex: agent for agent in Agent}
        for word, agent in words.items():
            socket.send(type="agent_request", agent=agent, message=word, request_id=word)
        heard: dict[str, list[dict[str, Any]]] = {word: [] for word in words}
        for _ in range(len(FIVE) * len(words)):
            event = socket.receive()
            heard[event["data"]["request_id"]].append(event)
        for word, events in heard.items():
            assert [event["type"] for event in events] == FIVE
            assert len({event["data"]["run_id"] for event in events}) == 1
            assert events[0]["data"]["user_id"] == user.user_id
            assert events[-1]["data"]["result"]["response"].endswith(f"You said: {word}")
        assert socket.silent()

    users = [new_user() for _ in range(6)]
    with ThreadPoolExecutor(len(users)) as pool:
        list(pool.map(session, users))


def test_a_subscription_carries_events_between_workers(
    open_socket: Open, user: User, new_user: Callable[[], User], backend: httpx.Client
) -> None:
    """A second connection on the other worker hears the run in order; the asking one hears it once."""
    asking = open_socket(user)
    listening = until(lambda: (other := open_socket(user)) and worker(other) != worker(asking) and other, "two workers")
    thread = backend.post("/api/threads", headers=user.bearer).json()["thread_id"]
    for socket in (asking, listening):
        assert socket.ask(type="subscribe", thread_id=thread)["type"] == "subscribed"
    stranger = open_socket(new_user())
    events = asking.run("business_advisor", "for both", context={"thread_id": thread})
    assert [listening.receive() for _ in FIVE] == events
    assert [event["type"] for event in events] == FIVE
    assert asking.silent()
    assert listening.silent()
    assert stranger.silent()


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        ("", "invalid json"),
        ("{", "invalid json"),
        ("[" * 60_000, "invalid json"),
        ("[]", "invalid message"),
        ("{}", "unknown type"),
        ('{"type": "dance"}', "unknown type"),
        ('{"type": ["ping"]}', "unknown type"),
        ('{"type": "agent_request", "agent": "nobody", "message": "x"}', "invalid message"),
        ('{"type": "agent_request", "agent": "triage_agent"}', "invalid message"),
        ('{"type": "agent_request", "agent": "triage_agent", "message": ""}', "invalid message"),
        ('{"type": "agent_request", "agent": "triage_agent", "message": "\\u0000"}', "invalid message"),
        ('{"type": "agent_request", "agent": "triage_agent", "message": "\\ud800"}', "invalid message"),
        ('{"type": "agent_request", "agent": "triage_agent", "message": "x", "context": {"thread_id": "x"}}', "invalid message"),
        ('{"type": "get_thread", "thread_id": "no uuid"}', "access denied"),
        ('{"type": "get_thread"}', "invalid message"),
        (b"\x00\x01", "invalid message"),
        (json.dumps({"type": "ping", "padding": "x" * MAX_MESSAGE}), "message too large"),
    ],
)  # fmt: skip
def test_bad_input_gets_a_typed_error_and_the_connection_stays(
    open_socket: Open, user: User, raw: str | bytes, error: str
) -> None:
    """One error event, then business as usual."""
    socket = open_socket(user)
    socket.connection.send(raw)
    answer = socket.receive()
    assert (answer["type"], answer["error"]) == ("error", error)
    assert socket.silent()


def test_a_frame_beyond_reason_closes_the_connection(open_socket: Open, user: User) -> None:
    """Two megabytes are not read to the end: close code 1009, and the service is as well as before."""
    socket = open_socket(user)
    with pytest.raises(ConnectionClosed) as closed:
        socket.ask(type="ping", padding="x" * (2 << 20))
    # What was sent and not read makes the kernel reset the connection, and the code may be lost with it.
    assert closed.value.rcvd is None or closed.value.rcvd.code == 1009
    assert open_socket(user).ask(type="ping")["type"] == "pong"


@pytest.mark.fault("expired-token-mid-run")
def test_a_connection_ends_with_its_session(open_socket: Open, auth: httpx.Client, user: User) -> None:
    """After the logout the next request gets the reason, and the connection is closed with 1008."""
    socket = open_socket(user)
    auth.post("/auth/logout", headers=user.bearer).raise_for_status()
    assert socket.ask(type="agent_request", agent="triage_agent", message="x")["error"] == "token revoked"
    with pytest.raises(ConnectionClosed) as closed:
        socket.connection.recv(timeout=PATIENCE)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


def test_one_user_may_hold_many_connections(open_socket: Open, user: User) -> None:
    """Twenty connections of one user each get their own answer."""
    sockets = [open_socket(user) for _ in range(20)]
    for number, socket in enumerate(sockets):
        socket.send(type="agent_request", agent="triage_agent", message=f"number {number}")
    for number, socket in enumerate(sockets):
        events = [socket.receive() for _ in FIVE]
        assert [event["type"] for event in events] == FIVE
        assert events[-1]["data"]["result"]["response"].endswith(f"You said: number {number}")
        assert socket.silent()
