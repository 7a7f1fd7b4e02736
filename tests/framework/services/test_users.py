"""Fresh users, made through a real service's own sign-up."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from pydantic import SecretStr

from envmatrix.environments import ServiceSpec, Source, UserRoutes
from envmatrix.exceptions import UserError
from envmatrix.masking import MASKER
from envmatrix.services import Endpoint, get_kind
from envmatrix.services.processes.ports import free_port
from envmatrix.services.users import Target, Users
from tests.framework.project import TINY_SERVER

ROUTES = UserRoutes(service="auth", signup="/signup", login="/login", me="/me")


@contextmanager
def serving() -> Iterator[Endpoint]:
    """Run a real service that makes users."""
    port = free_port()
    spec = ServiceSpec(name="auth", kind="http", source=Source.REMOTE, url=SecretStr(f"http://127.0.0.1:{port}"))
    endpoint = get_kind("http").connect(spec, f"http://127.0.0.1:{port}")
    environment = {"SERVICE": "auth", "ENVIRONMENT": "tiny"}
    process = subprocess.Popen([sys.executable, "-S", str(TINY_SERVER), str(port)], env=environment)
    try:
        for _ in range(1000):
            if get_kind("http").ping(spec, endpoint, 1.0).is_up:
                break
        else:
            pytest.fail("the service did not come up")
        yield endpoint
    finally:
        process.kill()
        process.wait(5)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    """One for the whole module."""
    with serving() as endpoint:
        yield endpoint


@pytest.fixture
def users(endpoint: Endpoint) -> Iterator[Users]:
    """A maker of users."""
    users = Users(Target(ROUTES, endpoint, endpoint), "run-worker")
    yield users
    users.close(delete=False)


def test_each_call_makes_another_user(users: Users) -> None:
    """Ids, addresses, passwords and tokens all differ, also when made at the same time."""
    made = [users("alice"), users("alice"), *users.many(6)]
    for part in ("id", "email", "password", "token"):
        assert len({str(getattr(user, part)) for user in made}) == 8


def test_a_users_clients_carry_its_token(users: Users) -> None:
    """The service recognises each user by its own client."""
    alice, bob = users.many(2)
    with alice.client() as first, bob.client() as second:
        assert first.get("/me").json() == {"user_id": alice.id}
        assert second.get("/me").json() == {"user_id": bob.id}


@pytest.mark.fault("canary-secret")
def test_a_user_shows_no_secret(users: Users) -> None:
    """Neither its repr nor a text that mentions them shows the password or a token."""
    user = users()
    text = f"{user!r} {user.headers!r}" + MASKER.mask(user.token + user.password)
    assert str(user.token) not in text
    assert str(user.password) not in text


def test_a_refusal_says_the_step_the_status_and_the_answer(endpoint: Endpoint) -> None:
    """A service that answers an error to a sign-up: one line with the step, the status and what it said."""
    users = Users(Target(ROUTES.model_copy(update={"signup": "/broken"}), endpoint, endpoint), "x")
    with pytest.raises(UserError, match=r"users: signup answered 500 at /broken: .*broken"):
        users()
    users.close(delete=False)


def test_users_are_deleted_with_a_new_token_where_theirs_expired(endpoint: Endpoint) -> None:
    """Each is logged in again and gone at the end; one that the service won't delete is told by its id."""
    users = Users(Target(ROUTES, endpoint, endpoint), "x")
    alice, kept, bob = users("alice"), users("kept"), users("bob")
    with alice.auth_client() as client:
        client.post("/expire", json={})
    assert users.close(delete=True) == (kept.id,)
    users = Users(Target(ROUTES, endpoint, endpoint), "x")
    for gone in (alice, bob):
        with pytest.raises(UserError, match="login answered 401"):
            users.token_for(gone)
    assert users.token_for(kept)
    assert users.close(delete=True) == ()


def test_a_user_that_its_test_deleted_is_gone(endpoint: Endpoint) -> None:
    """Its token is refused, and so is its login: nobody is told that it may still be there."""
    users = Users(Target(ROUTES, endpoint, endpoint), "x")
    with users("alice").auth_client() as client:
        assert client.delete("/me").status_code == 200
        client.post("/expire", json={})
    assert users.close(delete=True) == ()


def test_what_a_user_made_is_deleted_before_the_user(endpoint: Endpoint) -> None:
    """The product is asked first, as the user, which has to be there for it."""
    routes = ROUTES.model_copy(update={"delete": "/api/me"})
    users = Users(Target(routes, endpoint, endpoint), "x")
    users("carol")
    assert users.close(delete=True) == ()
    erased = httpx.get(f"{endpoint.field('url')}/erased").json()
    assert [path for name, path in erased if name == "carol"] == ["/api/me", "/me"]


def test_users_that_nobody_can_delete_are_told(endpoint: Endpoint) -> None:
    """Without a route to delete them, or with the service gone in between, all that were made may still be there."""
    users = Users(Target(ROUTES.model_copy(update={"me": None}), endpoint, endpoint), "x")
    made = users.many(2)
    assert {*users.close(delete=True)} == {user.id for user in made}
    with serving() as mortal:
        users = Users(Target(ROUTES, mortal, mortal), "x")
        made = users.many(3)
    assert {*users.close(delete=True)} == {user.id for user in made}


def test_a_websocket_where_none_is_declared_is_a_clear_error(users: Users) -> None:
    """One line says what is missing."""
    import asyncio

    async def connect() -> None:
        async with users().websocket():
            pass

    with pytest.raises(UserError, match="users: websocket is not declared in this environment"):
        asyncio.run(connect())
