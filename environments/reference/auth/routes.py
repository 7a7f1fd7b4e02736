"""The auth service's routes, over whatever store it is given."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, HTTPException, Response
from joserfc.jwk import KeySet

from environments.reference import tokens
from environments.reference.auth import passwords
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
from environments.reference.auth.settings import TokenSettings
from environments.reference.auth.store import Session, Store


def _refused(detail: str) -> HTTPException:
    return HTTPException(401, detail, headers={"WWW-Authenticate": "Bearer"})


class Issuer:
    """Issues tokens and decides which of them still count."""

    def __init__(self, settings: TokenSettings, store: Callable[[], Store]) -> None:
        self.settings = settings
        self._store = store

    @property
    def store(self) -> Store:
        """Return the store, which exists once the service has started."""
        return self._store()

    async def key_set(self) -> KeySet:
        """Return the keys that verify what we sign."""
        return KeySet([await self.store.signing_key()])

    async def pair(self, session: Session, refresh_token: str, wanted: int | None = None) -> TokenPair:
        """Return a new access token for a session, beside its current refresh token."""
        lifetime = min(wanted or self.settings.access_token_seconds, self.settings.access_token_seconds)
        access = tokens.issue(
            await self.store.signing_key(),
            issuer=self.settings.issuer,
            audience=session.audience,
            user_id=session.user_id,
            session_id=session.session_id,
            lifetime=lifetime,
        )
        return TokenPair(access_token=access, refresh_token=refresh_token, expires_in=lifetime, user_id=session.user_id)

    async def claims(self, token: str) -> tokens.Claims:
        """Return what a token says.

        Raises:
            HTTPException: 401, it is not valid, or its session has ended.
        """
        keys, settings = await self.key_set(), self.settings
        try:
            claims = tokens.verify(token, keys, issuer=settings.issuer, audience=settings.audience)
        except tokens.TokenError as error:
            raise _refused(str(error)) from None
        if not await self.store.session_active(claims.session_id):
            raise _refused("token revoked")
        return claims

    async def bearer(self, authorization: Annotated[str, Header()] = "") -> tokens.Claims:
        """Return the claims of the request's bearer token, or refuse the request."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise _refused("bearer token required")
        return await self.claims(token.strip())


def auth_router(settings: TokenSettings, store: Callable[[], Store]) -> APIRouter:
    """Return all routes. The store is asked for with each request: it may begin after the routes."""
    router = APIRouter()
    issuer = Issuer(settings, store)
    bearer = Depends(issuer.bearer)
    _session_routes(router, issuer, bearer)
    _user_routes(router, issuer, bearer)
    _api_key_routes(router, issuer, bearer)
    return router


def _session_routes(router: APIRouter, issuer: Issuer, bearer: Any) -> None:
    settings = issuer.settings

    @router.post("/auth/login")
    async def login(body: Login) -> TokenPair:
        audience = body.audience or settings.audience
        if audience not in {settings.audience, *settings.other_audiences}:
            raise HTTPException(400, "unknown audience")
        known = await issuer.store.credentials(body.email)
        password_hash = known[1] if known else None
        if not await passwords.password_matches(password_hash, body.password.get_secret_value()) or known is None:
            raise _refused("wrong email or password")
        refresh_token = passwords.new_secret()
        session = await issuer.store.open_session(
            known[0], audience, passwords.digest(refresh_token), settings.refresh_token_seconds
        )
        return await issuer.pair(session, refresh_token, body.expires_in)

    @router.post("/auth/refresh")
    async def refresh(body: Refresh) -> TokenPair:
        fresh = passwords.new_secret()
        old_hash = passwords.digest(body.refresh_token.get_secret_value())
        session = await issuer.store.rotate(old_hash, passwords.digest(fresh), settings.refresh_token_seconds)
        if session is None:
            raise _refused("invalid refresh token")
        return await issuer.pair(session, fresh)

    @router.post("/auth/logout", status_code=204)
    async def logout(claims: tokens.Claims = bearer) -> Response:
        await issuer.store.end_session(claims.session_id)
        return Response(status_code=204)

    @router.post("/auth/introspect")
    async def introspect(body: Introspect) -> Introspection:
        try:
            claims = await issuer.claims(body.token.get_secret_value())
        except HTTPException:
            return Introspection(active=False)
        return Introspection(active=True, user_id=claims.user_id)

    @router.get("/.well-known/jwks.json")
    async def jwks() -> dict[str, Any]:
        return dict((await issuer.key_set()).as_dict(private=False))


def _user_routes(router: APIRouter, issuer: Issuer, bearer: Any) -> None:
    @router.post("/auth/signup", status_code=201)
    async def signup(body: Signup) -> User:
        password_hash = await passwords.hash_password(body.password.get_secret_value())
        user_id = await issuer.store.add_user(body.email, body.name, password_hash)
        if user_id is None:
            raise HTTPException(409, "email already in use")
        return User(user_id=user_id, email=body.email, name=body.name)

    @router.get("/auth/me")
    async def me(claims: tokens.Claims = bearer) -> User:
        user = await issuer.store.user(claims.user_id)
        if user is None:
            raise _refused("token revoked")
        return user

    @router.delete("/auth/me", status_code=204)
    async def delete_me(claims: tokens.Claims = bearer) -> Response:
        await issuer.store.delete_user(claims.user_id)
        return Response(status_code=204)


def _api_key_routes(router: APIRouter, issuer: Issuer, bearer: Any) -> None:
    @router.post("/auth/api-keys", status_code=201)
    async def create(body: NewApiKey | None = None, claims: tokens.Claims = bearer) -> ApiKeySecret:
        name = body.name if body else ""
        key_id, secret = secrets.token_hex(8), passwords.new_secret()
        await issuer.store.add_api_key(key_id, claims.user_id, name, passwords.digest(secret))
        return ApiKeySecret(key_id=key_id, name=name, api_key=f"ref_{key_id}_{secret}")

    @router.get("/auth/api-keys")
    async def list_keys(claims: tokens.Claims = bearer) -> dict[str, Sequence[ApiKeyInfo]]:
        return {"api_keys": await issuer.store.api_keys(claims.user_id)}

    @router.delete("/auth/api-keys/{key_id}", status_code=204)
    async def revoke(key_id: str, claims: tokens.Claims = bearer) -> Response:
        if not await issuer.store.delete_api_key(key_id, claims.user_id):
            raise HTTPException(404, "no such key")
        return Response(status_code=204)

    @router.post("/auth/api-keys/verify")
    async def verify(body: ApiKey) -> ApiKeyOwner:
        # Public on purpose: whoever can name the key has it.
        _, _, rest = body.api_key.get_secret_value().partition("_")
        key_id, _, secret = rest.partition("_")
        known = await issuer.store.api_key(key_id)
        if known is None or not passwords.matches(known[1], secret):
            raise _refused("invalid API key")
        return ApiKeyOwner(user_id=known[0], key_id=key_id)
