"""Claims to be another user, in every place of a request that can carry one; none of them may decide who asks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from envmatrix.services.probes.tls import client_context
from envmatrix.services.users import User

HTTP = ("query", "header", "cookie", "body", "path")
SOCKET = ("query", "header", "cookie", "subprotocol", "message", "context")
"""The places in which a request, a WebSocket's handshake or its messages can name a user."""

NAMES = ("user_id", "userId", "user", "uid", "sub", "owner", "owner_id")
HEADERS = ("X-User-Id", "X-User", "X-Forwarded-User", "X-Remote-User", "Remote-User", "X-Auth-User", "X-On-Behalf-Of")
SECONDS = 10.0
"""Timeout of a handshake."""


def http_request(
    place: str, victim: User, path: str, *, api: str, body: Mapping[str, Any] | None = None
) -> tuple[str, dict[str, Any]]:
    """Return the path and httpx's options of a request that claims to come from a victim; `api` is the path of the API."""
    claims = dict.fromkeys(NAMES, victim.id)
    options: dict[str, Any] = {"headers": handshake_headers(place, victim)}
    if body is not None or place == "body":
        options["json"] = {**(body or {}), **(claims if place == "body" else {})}
    if place == "query":
        options["params"] = claims
    if place == "path":
        path = f"{api}/users/{victim.id}{path.removeprefix(api)}"
    return path, options


def handshake_headers(place: str, victim: User) -> dict[str, str]:
    """Return the headers that claim to come from a victim; none where the claim is elsewhere."""
    if place == "header":
        return dict.fromkeys(HEADERS, victim.id)
    if place == "cookie":
        return {"Cookie": "; ".join(f"{name}={victim.id}" for name in NAMES)}
    return {}


@asynccontextmanager
async def websocket(place: str, user: User, victim: User) -> AsyncIterator[ClientConnection]:
    """Open a user's WebSocket with a handshake that claims to come from a victim, where the place is in a handshake."""
    url = user.target.websocket_url
    assert url is not None
    claims = urlencode(dict.fromkeys(NAMES, victim.id)) if place == "query" else ""
    offered = [f"user.{victim.id}", f"user_id.{victim.id}", victim.id] if place == "subprotocol" else []
    async with connect(
        f"{url}?{claims}" if claims else url,
        additional_headers={**user.headers, **handshake_headers(place, victim)},
        subprotocols=[Subprotocol(name) for name in offered] or None,
        ssl=client_context(user.target.api) if url.startswith("wss") else None,
        open_timeout=SECONDS,
        close_timeout=SECONDS,
        proxy=None,
    ) as connection:
        yield connection


def message(place: str, victim: User, text: str) -> str:
    """Return a message that claims to come from a victim, where it is a JSON object and the place is in messages."""
    claims = dict.fromkeys(NAMES, victim.id)
    try:
        fields = json.loads(text)
    except ValueError:
        return text
    if not isinstance(fields, dict):
        return text
    if place == "message":
        fields = {**fields, **claims}
    if place == "context":
        fields |= {name: {**claims, **(fields.get(name) or {})} for name in ("context", "data")}
    return json.dumps(fields)
