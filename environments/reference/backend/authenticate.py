"""Finds the user of a request by its token or API key, never by what the client says about itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from environments.reference import tokens
from environments.reference.backend.settings import BackendSettings
from environments.reference.server import UnavailableError

REFETCH = 1.0
"""Seconds between two looks at the key set, so that tokens with made-up key ids cannot make us ask for ever."""


class UnauthorizedError(Exception):
    """The credentials are missing or refused; the text says which."""


@dataclass(frozen=True)
class Principal:
    """The user behind a request."""

    user_id: str
    method: Literal["jwt", "api_key"]


class Authenticator:
    """Verifies tokens with the auth service's public keys, then asks it whether the session still lives.

    The second step costs a request, and buys that a logout counts everywhere at once, with no store shared.
    """

    def __init__(self, settings: BackendSettings, client: httpx.AsyncClient) -> None:
        self._settings = settings
        self._client = client
        self._keys = KeySet([])
        self._fetched = -REFETCH
        self._fetching = asyncio.Lock()

    async def principal(self, headers: Mapping[str, str]) -> Principal:
        """Return who sent these headers.

        Raises:
            UnauthorizedError: nobody that we know.
            UnavailableError: the auth service does not answer.
        """
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            return await self._by_token(token.strip())
        if api_key := headers.get("x-api-key", ""):
            answer = await self._ask("/auth/api-keys/verify", {"api_key": api_key})
            if answer is None:
                raise UnauthorizedError("invalid API key")
            return Principal(answer["user_id"], "api_key")
        raise UnauthorizedError("bearer token or API key required")

    async def ping(self) -> None:
        """Look whether the auth service is there; raise when it is not."""
        (await self._client.get("/health")).raise_for_status()

    async def _by_token(self, token: str) -> Principal:
        try:
            await self._know(tokens.key_id(token))
            claims = tokens.verify(token, self._keys, issuer=self._settings.issuer, audience=self._settings.audience)
        except tokens.TokenError as error:
            raise UnauthorizedError(str(error)) from None
        answer = await self._ask("/auth/introspect", {"token": token})
        if answer is None or not answer["active"]:
            raise UnauthorizedError("token revoked")
        return Principal(claims.user_id, "jwt")

    async def _know(self, kid: str) -> None:
        """Fetch the key set if it lacks this key."""
        async with self._fetching:
            if any(key.kid == kid for key in self._keys) or time.monotonic() - self._fetched < REFETCH:
                return
            try:
                answer = await self._client.get("/.well-known/jwks.json")
                answer.raise_for_status()
                self._keys = KeySet.import_key_set(answer.json())
            except (httpx.HTTPError, ValueError, KeyError, JoseError) as error:
                raise UnavailableError("auth") from error
            self._fetched = time.monotonic()

    async def _ask(self, path: str, body: dict[str, str]) -> dict[str, Any] | None:
        """Return the answer; None for a refusal."""
        try:
            answer = await self._client.post(path, json=body)
            if answer.status_code in {401, 422}:
                return None
            answer.raise_for_status()
            return answer.json()  # type: ignore[no-any-return]
        except (httpx.HTTPError, ValueError) as error:
            raise UnavailableError("auth") from error
