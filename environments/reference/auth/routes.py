"""The auth service's routes, over whatever store its issuer has."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, HTTPException, Request, Response

from environments.reference import tokens
from environments.reference.auth import passwords
from environments.reference.auth.issuer import Issuer, RefusedError
from environments.reference.auth.models import (
    ApiKey,
    ApiKeyInfo,
    ApiKeyOwner,
    ApiKeySecret,
    Introspect,
    Introspection,
    Login,
    NewApiKey,
    Refresh,
    Signup,
    TokenPair,
    User,
)

router = APIRouter()


def _refused(detail: str) -> HTTPException:
    return HTTPException(401, detail, headers={"WWW-Authenticate": "Bearer"})


def issuer(request: Request) -> Issuer:
    """Return what this worker issues tokens with."""
    return request.app.state.issuer  # type: ignore[no-any-return]


Issues = Annotated[Issuer, Depends(issuer)]


async def bearer(issuer: Issues, authorization: Annotated[str, Header()] = "") -> tokens.Claims:
    """Return the claims of the request's bearer token, or refuse the request."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise _refused("bearer token required")
    try:
        return await issuer.claims(token.strip())
    except RefusedError as error:
        raise _refused(str(error)) from None


Bearer = Annotated[tokens.Claims, Depends(bearer)]


@router.post("/auth/signup", status_code=201)
async def signup(body: Signup, issuer: Issues) -> User:
    """Make a user."""
    user_id = await issuer.sign_up(body)
    if user_id is None:
        raise HTTPException(409, "email already in use")
    return User(user_id=user_id, email=body.email, name=body.name)


@router.post("/auth/login")
async def login(body: Login, issuer: Issues) -> TokenPair:
    """Open a session."""
    if body.audience not in {None, issuer.settings.audience, *issuer.settings.other_audiences}:
        raise HTTPException(400, "unknown audience")
    try:
        return await issuer.log_in(body)
    except RefusedError as error:
        raise _refused(str(error)) from None


@router.post("/auth/refresh")
async def refresh(body: Refresh, issuer: Issues) -> TokenPair:
    """Trade a refresh token for the next pair."""
    try:
        return await issuer.refresh(body.refresh_token.get_secret_value())
    except RefusedError as error:
        raise _refused(str(error)) from None


@router.post("/auth/logout", status_code=204)
async def logout(claims: Bearer, issuer: Issues) -> Response:
    """End the token's session: every access and refresh token of it."""
    await issuer.store.end_session(claims.session_id)
    return Response(status_code=204)


@router.post("/auth/introspect")
async def introspect(body: Introspect, issuer: Issues) -> Introspection:
    """Say whether a token still counts: for services, which can verify a signature but not know of a logout."""
    try:
        claims = await issuer.claims(body.token.get_secret_value())
    except RefusedError:
        return Introspection(active=False)
    return Introspection(active=True, user_id=claims.user_id)


@router.get("/.well-known/jwks.json")
async def jwks(issuer: Issues) -> dict[str, Any]:
    """Return the public keys."""
    return dict((await issuer.key_set()).as_dict(private=False))


@router.get("/auth/me")
async def me(claims: Bearer, issuer: Issues) -> User:
    """Return the token's user."""
    user = await issuer.store.user(claims.user_id)
    if user is None:
        raise _refused("token revoked")
    return user


@router.delete("/auth/me", status_code=204)
async def delete_me(claims: Bearer, issuer: Issues) -> Response:
    """Delete the token's user, sessions and keys."""
    await issuer.store.delete_user(claims.user_id)
    return Response(status_code=204)


@router.post("/auth/api-keys", status_code=201)
async def create_key(claims: Bearer, issuer: Issues, body: NewApiKey | None = None) -> ApiKeySecret:
    """Make an API key; it is shown this one time."""
    name = body.name if body else ""
    key_id, secret = secrets.token_hex(8), passwords.new_secret()
    await issuer.store.add_api_key(key_id, claims.user_id, name, passwords.digest(secret))
    return ApiKeySecret(key_id=key_id, name=name, api_key=f"ref_{key_id}_{secret}")


@router.get("/auth/api-keys")
async def list_keys(claims: Bearer, issuer: Issues) -> dict[str, Sequence[ApiKeyInfo]]:
    """Return the user's keys without their secrets."""
    return {"api_keys": await issuer.store.api_keys(claims.user_id)}


@router.delete("/auth/api-keys/{key_id}", status_code=204)
async def revoke_key(key_id: str, claims: Bearer, issuer: Issues) -> Response:
    """Revoke a key of the user's."""
    if not await issuer.store.delete_api_key(key_id, claims.user_id):
        raise HTTPException(404, "no such key")
    return Response(status_code=204)


@router.post("/auth/api-keys/verify")
async def verify_key(body: ApiKey, issuer: Issues) -> ApiKeyOwner:
    """Say whose key it is. Public on purpose: whoever can name the key has it."""
    _, _, rest = body.api_key.get_secret_value().partition("_")
    key_id, _, secret = rest.partition("_")
    known = await issuer.store.api_key(key_id)
    if known is None or not passwords.same(known[1], secret):
        raise _refused("invalid API key")
    return ApiKeyOwner(user_id=known[0], key_id=key_id)
