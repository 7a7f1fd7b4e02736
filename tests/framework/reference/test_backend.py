"""The backend's REST side: threads, state and analytics belong to the token's user."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import httpx
import pytest

from tests.framework.reference.deployment import User


@pytest.mark.parametrize("path", ["/api/me", "/api/threads", "/api/state/x", "/api/analytics/events"])
def test_nothing_is_told_without_credentials(backend: httpx.Client, path: str) -> None:
    """Every route under /api is 401 for the anonymous."""
    answer = backend.get(path)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_a_user_sees_their_own_threads_only(backend: httpx.Client, user: User, new_user: Callable[[], User]) -> None:
    """Newest first, and none of anybody else's."""
    made = [
        backend.post("/api/threads", json={"title": title}, headers=user.bearer).raise_for_status().json()
        for title in ("one", "two")
    ]
    backend.post("/api/threads", headers=new_user().bearer).raise_for_status()
    assert backend.get("/api/threads", headers=user.bearer).json() == {"threads": made[::-1]}
    assert backend.get(f"/api/threads/{made[0]['thread_id']}", headers=user.bearer).json() == made[0]


@pytest.mark.parametrize("value", ["text", 1.5, None, [1, {"a": "ü"}], {"nested": {"deep": True}}])
def test_state_comes_back_as_it_was_put(backend: httpx.Client, user: User, value: object) -> None:
    """Any JSON value survives Redis."""
    backend.put("/api/state/key", json={"value": value}, headers=user.bearer).raise_for_status()
    assert backend.get("/api/state/key", headers=user.bearer).json() == {"key": "key", "value": value}


def test_state_is_per_user(backend: httpx.Client, user: User, new_user: Callable[[], User]) -> None:
    """The same key of another user is a different one."""
    backend.put("/api/state/canary", json={"value": 1}, headers=user.bearer).raise_for_status()
    assert backend.get("/api/state/canary", headers=new_user().bearer).status_code == 404


def test_a_state_key_has_a_plain_name(backend: httpx.Client, user: User) -> None:
    """Names with other characters are refused before Redis sees them."""
    assert backend.get("/api/state/a%20b", headers=user.bearer).status_code == 422


def test_analytics_are_said_to_be_absent(backend: httpx.Client, user: User) -> None:
    """Without ClickHouse the answer is no error and no pretence."""
    answer = backend.get("/api/analytics/events", headers=user.bearer)
    assert (answer.status_code, answer.json()) == (200, {"available": False, "events": [], "dropped": 0})


def test_a_forgotten_user_leaves_nothing(backend: httpx.Client, user: User) -> None:
    """Threads and state are deleted; the account itself is the auth service's."""
    backend.post("/api/threads", headers=user.bearer).raise_for_status()
    backend.put("/api/state/key", json={"value": 1}, headers=user.bearer).raise_for_status()
    assert backend.delete("/api/me", headers=user.bearer).status_code == 204
    assert backend.get("/api/threads", headers=user.bearer).json() == {"threads": []}
    assert backend.get("/api/state/key", headers=user.bearer).status_code == 404


def test_a_thread_that_never_was_is_not_found(backend: httpx.Client, user: User) -> None:
    """404, the same as for another user's."""
    assert backend.get(f"/api/threads/{uuid4()}", headers=user.bearer).status_code == 404
