"""The auth service refuses bad credentials and discloses nothing about other users."""

import secrets

import httpx
import pytest

from envmatrix.contracts import Reality, RealServices
from envmatrix.services.kinds.http import new_client
from envmatrix.services.users import User, Users

pytestmark = pytest.mark.requires("auth", "multi_user")


@pytest.fixture
def anybody(matrix_reality: Reality) -> httpx.Client:
    """A client of the auth service without a token."""
    with new_client(matrix_reality.endpoints["auth"]) as client:
        yield client


def sign_in(client: httpx.Client, user: User, **changed: str) -> httpx.Response:
    """Log in with a user's credentials, some of them changed."""
    return client.post("/auth/login", json={"email": user.email, "password": str(user.password), **changed})


def test_an_address_signs_up_once(users: Users, anybody: httpx.Client) -> None:
    """The second time is a conflict, in whatever case it is written; the first user's password still counts."""
    user = users()
    for email in (user.email, user.email.upper()):
        assert anybody.post("/auth/signup", json={"email": email, "password": "another one"}).status_code == 409
    assert sign_in(anybody, user).status_code == 200


def test_wrong_password_and_unknown_user_look_the_same(users: Users, anybody: httpx.Client) -> None:
    """Both are 401 with the same words: nobody learns who has an account."""
    user = users()
    wrong = sign_in(anybody, user, password="not the password")
    unknown = sign_in(anybody, user, email=f"nobody-{secrets.token_hex(6)}@example.com")
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert wrong.json() == unknown.json()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "a@example.com"},
        {"email": "a@example.com", "password": "short"},
        {"email": "no address", "password": "long enough"},
        {"email": "a@example.com", "password": "x" * 10_000},
        {"email": "a\x00@example.com", "password": "long enough"},
        {"email": ["a@example.com"], "password": "long enough"},
    ],
    ids=["nothing", "no password", "short password", "no address", "huge password", "null byte", "list"],
)
def test_bad_sign_ups_are_refused(anybody: httpx.Client, body: dict[str, object]) -> None:
    """A malformed address or password gets 422, never a server error."""
    assert anybody.post("/auth/signup", json=body).status_code == 422


def test_a_refresh_token_works_once(users: Users, anybody: httpx.Client) -> None:
    """It is traded for a new pair; used again it is refused, and its session ends."""
    user = users()
    old = {"refresh_token": str(user.refresh_token)}
    fresh = anybody.post("/auth/refresh", json=old)
    assert fresh.status_code == 200
    headers = {"Authorization": f"Bearer {fresh.json()['access_token']}"}
    assert anybody.get("/auth/me", headers=headers).json()["user_id"] == user.id
    assert anybody.post("/auth/refresh", json=old).status_code == 401
    assert anybody.get("/auth/me", headers=headers).status_code == 401
    assert anybody.post("/auth/refresh", json={"refresh_token": fresh.json()["refresh_token"]}).status_code == 401


def test_a_logout_ends_one_session(users: Users) -> None:
    """Its token and its refresh token are worthless at once; the same user's other session lives."""
    user = users()
    other = users.token_for(user)
    with user.auth_client() as client:
        assert client.post("/auth/logout").status_code == 204
        assert client.get("/auth/me").status_code == 401
        assert client.post("/auth/refresh", json={"refresh_token": str(user.refresh_token)}).status_code == 401
        assert client.get("/auth/me", headers={"Authorization": f"Bearer {other}"}).status_code == 200


def test_api_keys_belong_to_their_user(users: Users) -> None:
    """A key is shown once, listed without its secret, and only its owner can see it or take it back."""
    owner, stranger = users.many(2)
    with owner.auth_client() as mine, stranger.auth_client() as theirs:
        made = mine.post("/auth/api-keys", json={"name": "robot"}).json()
        assert theirs.get("/auth/api-keys").json() == {"api_keys": []}
        assert theirs.delete(f"/auth/api-keys/{made['key_id']}").status_code == 404
        listed = mine.get("/auth/api-keys")
        assert [key["name"] for key in listed.json()["api_keys"]] == ["robot"]
        assert made["api_key"] not in listed.text
        verify = {"api_key": made["api_key"]}
        assert mine.post("/auth/api-keys/verify", json=verify).json()["user_id"] == owner.id
        assert mine.delete(f"/auth/api-keys/{made['key_id']}").status_code == 204
        assert mine.post("/auth/api-keys/verify", json=verify).status_code == 401


def test_no_answer_holds_a_password(users: Users) -> None:
    """Neither the password nor its hash is in what the service says of a user."""
    user = users()
    with user.auth_client() as client:
        said = client.get("/auth/me").text
    assert str(user.password) not in said
    assert "argon2" not in said


def test_the_key_set_is_public_and_holds_no_private_key(anybody: httpx.Client) -> None:
    """Whoever verifies tokens needs the public part; no part of the private one is in it."""
    keys = anybody.get("/.well-known/jwks.json").json()["keys"]
    assert keys
    assert all(key["kid"] and not {"d", "p", "q", "k"} & key.keys() for key in keys)


def test_a_deleted_user_is_gone(users: Users, anybody: httpx.Client) -> None:
    """No token and no password of theirs opens anything, and the address is free again."""
    user = users("leaver")
    with user.auth_client() as client:
        assert client.delete("/auth/me").status_code == 204
        assert client.get("/auth/me").status_code == 401
    assert sign_in(anybody, user).status_code == 401


@pytest.mark.requires("backend")
def test_an_api_key_is_its_owner_at_the_backend(real_services: RealServices, users: Users) -> None:
    """With a key instead of a token the backend knows the same user."""
    user = users()
    key = users.api_key_for(user)
    client = real_services.http_client_sync
    request = client.build_request("GET", "/api/me", headers={"X-API-Key": str(key)})
    del request.headers["Authorization"]
    assert client.send(request).json() == {"user_id": user.id, "method": "api_key"}


@pytest.mark.requires("backend")
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_every_path_of_the_api_asks_who_is_there(real_services: RealServices, method: str) -> None:
    """Without a token each is 401, before anything is looked at."""
    paths = ["/api/me", "/api/threads", "/api/state/key", "/api/threads/nonsense", "/api/analytics/events"]
    client = real_services.http_client_sync
    requests = [client.build_request(method, path) for path in paths]
    for request in requests:
        del request.headers["Authorization"]
    answers = [client.send(request).status_code for request in requests]
    assert set(answers) <= {401, 405}
    assert 401 in answers
