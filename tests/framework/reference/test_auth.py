"""The auth service: sign-up to deletion, and every token that must not count."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, Key, KeySet

from environments.reference import tokens
from tests.framework.reference.conftest import LIFETIME
from tests.framework.reference.deployment import Service, User, until


def me(auth: httpx.Client, token: str) -> httpx.Response:
    """Ask who a token belongs to."""
    return auth.get("/auth/me", headers={"Authorization": f"Bearer {token}"})


def published(auth: httpx.Client) -> KeySet:
    """Return the public keys."""
    return KeySet.import_key_set(auth.get("/.well-known/jwks.json").json())


def claims_of(auth: httpx.Client, token: str) -> dict[str, Any]:
    """Return what a token says, verified."""
    return jwt.decode(token, published(auth), algorithms=["ES256"]).claims


def test_a_new_user_can_log_in_and_see_themselves(auth: httpx.Client, user: User) -> None:
    """Sign-up and login give a token that names the user."""
    assert me(auth, user.token).json() == {"user_id": user.user_id, "email": user.email, "name": ""}


def test_an_address_signs_up_once(auth: httpx.Client, user: User) -> None:
    """A second sign-up with the same address, in whatever case, is a conflict."""
    again = auth.post("/auth/signup", json={"email": user.email.upper(), "password": "another password"})
    assert again.status_code == 409


@pytest.mark.parametrize(
    "body",
    [
        {"email": "no address", "password": "long enough"},
        {"email": "a@b", "password": "Tr0ub4d"},
        {"email": "a\x00@b", "password": "long enough"},
        {"email": "a@b"},
    ],
)
def test_a_bad_sign_up_is_refused_without_repeating_the_password(auth: httpx.Client, body: dict[str, str]) -> None:
    """422, and the answer holds nothing of what was sent as password."""
    answer = auth.post("/auth/signup", json=body)
    assert answer.status_code == 422
    assert body.get("password", "never") not in answer.text


@pytest.mark.parametrize(("email", "password"), [(None, "wrong password"), ("nobody@example.org", None)])
def test_wrong_password_and_unknown_user_look_alike(
    auth: httpx.Client, user: User, email: str | None, password: str | None
) -> None:
    """Both are 401 with the same words."""
    answer = auth.post("/auth/login", json={"email": email or user.email, "password": password or user.password})
    assert (answer.status_code, answer.json()) == (401, {"detail": "wrong email or password"})


def test_a_token_carries_the_claims_that_others_verify(auth: httpx.Client, user: User) -> None:
    """ES256 by a published key, with issuer, audience, subject, id and a lifetime as announced."""
    claims = claims_of(auth, user.token)
    assert (claims["iss"], claims["aud"], claims["sub"]) == ("envmatrix-reference", "backend", user.user_id)
    assert claims["exp"] - claims["iat"] == user.tokens["expires_in"] == LIFETIME
    assert claims["jti"] != claims_of(auth, user.login()["access_token"])["jti"]


def test_the_published_keys_are_public_only(auth: httpx.Client) -> None:
    """The key set has no private part."""
    assert all("d" not in key for key in auth.get("/.well-known/jwks.json").json()["keys"])


@pytest.mark.parametrize(("wanted", "given"), [(1, 1), (LIFETIME * 10, LIFETIME), (None, LIFETIME)])
def test_a_login_may_ask_for_a_shorter_lifetime_only(user: User, wanted: int | None, given: int) -> None:
    """`expires_in` is honoured up to the configured maximum."""
    assert user.login(expires_in=wanted)["expires_in"] == given


def test_an_unknown_audience_is_refused(auth: httpx.Client, user: User) -> None:
    """Only audiences on the list are issued."""
    body = {"email": user.email, "password": user.password, "audience": "elsewhere"}
    assert auth.post("/auth/login", json=body).status_code == 400


def signed_with_public_key(key: Key, claims: dict[str, Any]) -> str:
    """Return an HS256 token whose secret is the published key: what a careless verifier accepts. joserfc won't make it."""
    parts = ({"alg": "HS256", "kid": key.kid}, claims)
    body = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    signature = hmac.digest(key.as_pem(private=False), body, "sha256")
    return b".".join((body, base64.urlsafe_b64encode(signature).rstrip(b"="))).decode()


def forged(auth: httpx.Client, user: User) -> dict[str, str]:
    """Return tokens that must not count, by what is wrong with them."""
    claims = claims_of(auth, user.token)
    key = published(auth).keys[0]
    head, body, signature = user.token.split(".")
    none_head = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"
    other = ECKey.generate_key("P-256", {"kid": key.kid})
    return {
        "alg none": f"{none_head}.{body}.",
        "no signature": f"{head}.{body}.",
        "signature of another token": f"{head}.{body}.{user.login()['access_token'].split('.')[2]}",
        "body of another token": f"{head}.{user.login()['access_token'].split('.')[1]}.{signature}",
        "another key under our id": jwt.encode({"alg": "ES256", "kid": key.kid}, claims, other),
        "unknown key": jwt.encode({"alg": "ES256", "kid": "elsewhere"}, claims, other),
        "no key id": jwt.encode({"alg": "ES256"}, claims, other),
        "public key as HMAC secret": signed_with_public_key(key, claims),
        "other audience": user.login(audience="reporting")["access_token"],
        "refresh token": user.tokens["refresh_token"],
        "text": "not a token",
        "empty": "",
    }


def test_a_token_that_is_wrong_in_any_way_is_refused(auth: httpx.Client, backend: httpx.Client, user: User) -> None:
    """Auth service and backend answer 401 to each, and 200 to the real one."""
    bad = forged(auth, user)
    for url, client in (("/auth/me", auth), ("/api/me", backend)):
        answers = {
            what: client.get(url, headers={"Authorization": f"Bearer {token}".strip()}).status_code
            for what, token in bad.items()
        }
        assert answers == dict.fromkeys(bad, 401)
        assert client.get(url, headers=user.bearer).status_code == 200


def test_an_expired_token_is_refused(auth: httpx.Client, backend: httpx.Client, user: User) -> None:
    """A token for one second counts, and no longer than that."""
    token = user.login(expires_in=1)["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    until(lambda: me(auth, token).status_code == 401, "the token to expire")
    assert time.time() >= claims_of(auth, token)["exp"]
    refused = backend.get("/api/me", headers=bearer)
    assert (refused.status_code, refused.json()) == (401, {"detail": "token expired"})


def test_a_refresh_token_works_once_and_its_reuse_ends_the_session(auth: httpx.Client, user: User) -> None:
    """Rotation: the old token is refused, and the theft that this suggests ends every token of the session."""
    first = user.tokens["refresh_token"]
    second = auth.post("/auth/refresh", json={"refresh_token": first}).raise_for_status().json()
    assert me(auth, second["access_token"]).status_code == 200
    assert auth.post("/auth/refresh", json={"refresh_token": first}).status_code == 401
    assert me(auth, second["access_token"]).status_code == 401
    assert auth.post("/auth/refresh", json={"refresh_token": second["refresh_token"]}).status_code == 401


def test_of_many_refreshes_at_once_one_wins(services: dict[str, Service], user: User) -> None:
    """On whichever workers they land: one new pair, refusals, and the session is over."""

    async def race(client: httpx.AsyncClient) -> list[httpx.Response]:
        body = {"refresh_token": user.login()["refresh_token"]}
        answers = await asyncio.gather(*(client.post("/auth/refresh", json=body) for _ in range(8)))
        return sorted(answers, key=lambda answer: answer.status_code)

    async def races() -> list[list[httpx.Response]]:
        async with httpx.AsyncClient(base_url=services["auth"].url, trust_env=False) as client:
            return [await race(client) for _ in range(5)]

    for answers in asyncio.run(races()):
        assert [answer.status_code for answer in answers] == [200] + [401] * 7
        assert me(user.auth, answers[0].json()["access_token"]).status_code == 401


def test_a_refresh_keeps_the_audience(auth: httpx.Client, user: User) -> None:
    """A session for reporting cannot be refreshed into one for the backend."""
    pair = user.login(audience="reporting")
    fresh = auth.post("/auth/refresh", json={"refresh_token": pair["refresh_token"]}).raise_for_status().json()
    assert claims_of(auth, fresh["access_token"])["aud"] == "reporting"


def test_logout_ends_one_session_everywhere(auth: httpx.Client, backend: httpx.Client, user: User) -> None:
    """Access and refresh token are refused by auth and backend at once; the user's other session lives on."""
    other = user.login()
    assert backend.get("/api/me", headers=user.bearer).status_code == 200
    assert auth.post("/auth/logout", headers=user.bearer).status_code == 204
    assert me(auth, user.token).status_code == 401
    assert backend.get("/api/me", headers=user.bearer).json() == {"detail": "token revoked"}
    assert auth.post("/auth/refresh", json={"refresh_token": user.tokens["refresh_token"]}).status_code == 401
    assert me(auth, other["access_token"]).status_code == 200


def test_a_deleted_user_is_gone(auth: httpx.Client, backend: httpx.Client, user: User) -> None:
    """Tokens, API keys and login count no longer, and the address is free again."""
    key = auth.post("/auth/api-keys", headers=user.bearer).json()["api_key"]
    assert auth.delete("/auth/me", headers=user.bearer).status_code == 204
    assert me(auth, user.token).status_code == 401
    assert backend.get("/api/me", headers=user.bearer).status_code == 401
    assert backend.get("/api/me", headers={"X-API-Key": key}).status_code == 401
    credentials = {"email": user.email, "password": user.password}
    assert auth.post("/auth/login", json=credentials).status_code == 401
    assert auth.post("/auth/signup", json=credentials).status_code == 201


def test_an_api_key_stands_for_its_user_until_revoked(auth: httpx.Client, backend: httpx.Client, user: User) -> None:
    """The backend accepts it as the user; after its revocation it does not."""
    made = auth.post("/auth/api-keys", json={"name": "ci"}, headers=user.bearer).raise_for_status().json()
    header = {"X-API-Key": made["api_key"]}
    assert backend.get("/api/me", headers=header).json() == {"user_id": user.user_id, "method": "api_key"}
    listed = auth.get("/auth/api-keys", headers=user.bearer).json()
    assert listed == {"api_keys": [{"key_id": made["key_id"], "name": "ci"}]}
    assert auth.delete(f"/auth/api-keys/{made['key_id']}", headers=user.bearer).status_code == 204
    assert backend.get("/api/me", headers=header).status_code == 401


def test_an_api_key_can_be_revoked_by_its_owner_only(
    auth: httpx.Client, user: User, new_user: Callable[[], User]
) -> None:
    """Another user sees no such key, and it goes on working."""
    made = auth.post("/auth/api-keys", headers=user.bearer).json()
    assert auth.delete(f"/auth/api-keys/{made['key_id']}", headers=new_user().bearer).status_code == 404
    owner = auth.post("/auth/api-keys/verify", json={"api_key": made["api_key"]}).json()
    assert owner == {"user_id": user.user_id, "key_id": made["key_id"]}


@pytest.mark.parametrize("spoil", [lambda key: key[:-1], lambda key: key + "x", lambda _: "ref_a_b", lambda _: "x"])
def test_a_wrong_api_key_is_refused(
    auth: httpx.Client, backend: httpx.Client, user: User, spoil: Callable[[str], str]
) -> None:
    """Nearly right is wrong."""
    key = auth.post("/auth/api-keys", headers=user.bearer).json()["api_key"]
    assert backend.get("/api/me", headers={"X-API-Key": spoil(key)}).status_code == 401


def test_a_fresh_key_is_its_own_thumbprint() -> None:
    """Two keys never share an id, so a token names exactly one."""
    assert tokens.new_key().kid != tokens.new_key().kid
