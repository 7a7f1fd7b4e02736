"""A product in one file that keeps the contract, until it is told to lie: auth service, backend or language model.

It shares nothing with the reference system, so that the conformance suite is shown to know neither.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import sys
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

SERVICE, ENVIRONMENT, SECRET = os.environ["SERVICE"], os.environ["ENVIRONMENT"], os.environ["SECRET"]
KEY_SET = {"keys": [{"kty": "oct", "kid": "1"}]}
LIES: set[str] = set()
USERS: dict[str, str] = {}
GONE: set[str] = set()


async def tell(request: Request) -> Response:
    """Take the lies to tell from now on."""
    LIES.clear()
    GONE.clear()
    LIES.update(await request.json())
    return Response()


async def health(_: Request) -> Response:
    """Say who answers."""
    said = {
        "service": "somebody" if "health: another service" in LIES else SERVICE,
        "environment": "elsewhere" if "health: another environment" in LIES else ENVIRONMENT,
        "scripted": "health: not scripted" not in LIES,
        "provider": "somebody" if "health: another provider" in LIES else "lies",
    }
    return JSONResponse(said, status_code=500 if "health: broken" in LIES else 200)


async def root(_: Request) -> Response:
    """Answer at the URL itself."""
    return Response(status_code=500 if "url: broken" in LIES else 404)


# Users and tokens


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def issue(user_id: str, audience: str, lifetime: float) -> str:
    """Sign a token."""
    claims = {"sub": user_id, "aud": audience, "exp": time.time() + lifetime, "jti": uuid.uuid4().hex}
    head, body = (_base64(json.dumps(part).encode()) for part in ({"alg": "HS256"}, claims))
    return f"{head}.{body}.{_base64(_signature(f'{head}.{body}', SECRET.encode()))}"


def _signature(text: str, key: bytes) -> bytes:
    return hmac.digest(key, text.encode(), hashlib.sha256)


def user_of(authorization: str) -> str | None:
    """Return the user of a valid token, or None."""
    token = authorization.removeprefix("Bearer").strip()
    if "token: refuses everybody" in LIES:
        return None
    if not authorization:
        return "nobody" if "token: admits the anonymous" in LIES else None
    if not token:
        return "nobody" if "token: admits an empty one" in LIES else None
    try:
        head, body, signature = token.split(".")
        header, claims = json.loads(_unbase64(head)), json.loads(_unbase64(body))
        good = _good(header, claims, f"{head}.{body}", _unbase64(signature)) and claims["sub"] not in GONE
        return claims["sub"] if good else None
    except ValueError:
        return "nobody" if "token: admits nonsense" in LIES else None


def _good(header: Mapping[str, Any], claims: Mapping[str, Any], text: str, signature: bytes) -> bool:
    if "jwk" in header:
        return "token: believes the key it brings" in LIES
    if header["alg"] != "HS256":
        return header["alg"].lower() == "none" and "token: admits alg=none" in LIES
    keys = [SECRET.encode()]
    if "token: verifies with the public key" in LIES:
        keys += [json.dumps(KEY_SET, separators=(",", ":")).encode()]
    signed = any(hmac.compare_digest(signature, _signature(text, key)) for key in keys)
    return (
        (signed or "token: verifies no signature" in LIES)
        and (claims["aud"] == "shop" or "token: admits any audience" in LIES)
        and (claims["exp"] > time.time() or "token: admits expired ones" in LIES)
    )


async def signup(request: Request) -> Response:
    """Make a user."""
    email = (await request.json())["email"]
    USERS[email] = "the-same" if "users: one id for all" in LIES else uuid.uuid4().hex
    return JSONResponse({"user_id": USERS[email]}, status_code=201)


async def login(request: Request) -> Response:
    """Issue a token."""
    body = await request.json()
    user_id = USERS[body["email"]]
    token = issue(user_id, body.get("audience", "shop"), body.get("expires_in", 600))
    return JSONResponse({"access_token": token, "user_id": user_id})


async def api_keys(request: Request) -> Response:
    """Make an API key."""
    user_id = user_of(request.headers.get("authorization", ""))
    return JSONResponse({"api_key": f"{user_id}-{hmac.new(SECRET.encode(), b'key', 'sha256').hexdigest()}"})


async def jwks(_: Request) -> Response:
    """Publish the public keys, or a stand-in for them."""
    return JSONResponse(KEY_SET)


async def me(request: Request) -> Response:
    """Return the user of a token or an API key; or delete the user."""
    user_id = user_of(request.headers.get("authorization", ""))
    if user_id is None and (key := request.headers.get("x-key", "")):
        good = key.endswith(hmac.new(SECRET.encode(), b"key", "sha256").hexdigest())
        if (good or "key: admits any" in LIES) and "key: refuses all" not in LIES:
            user_id = key.partition("-")[0]
    if user_id is None:
        return JSONResponse({}, status_code=401)
    if request.method == "DELETE":
        GONE.update(USERS.values() if "users: one goes, all go" in LIES else [user_id])
        return Response(status_code=204)
    return JSONResponse({"user_id": "another" if "users: names another" in LIES else user_id})


NOTES: dict[str, str] = {}
SAID: dict[str, list[str]] = {}
SOCKETS: set[WebSocket] = set()


def claimed(connection: HTTPConnection, body: Any = None) -> str:
    """Return the user that a request claims to come from, where a lie believes it."""
    offered = connection.headers.get("sec-websocket-protocol", "").partition(",")[0]
    claims = {
        "query": connection.query_params.get("user_id"),
        "header": connection.headers.get("x-user-id"),
        "cookie": connection.cookies.get("user_id"),
        "path": connection.path_params.get("user_id"),
        "subprotocol": offered.removeprefix("user."),
        "body": isinstance(body, dict) and body.get("user_id"),
    }
    return next((name for place, name in claims.items() if name and f"claims: believes the {place}" in LIES), "")


async def note(request: Request) -> Response:
    """Keep a user's note, and show it to that user."""
    body = json.loads(await request.body() or b"{}")
    user_id = claimed(request, body) or user_of(request.headers.get("authorization", "")) or ""
    if request.method == "POST":
        NOTES[user_id] = body["text"]
        return JSONResponse({"id": user_id})
    owner = request.path_params.get("id", user_id)
    shown = [NOTES[user_id]] if owner == user_id and user_id in NOTES else []
    if "notes: loses them" in LIES:
        shown = []
    elif "notes: lists everybody's" in LIES and "id" not in request.path_params:
        shown = [*NOTES.values()]
    elif "notes: shows anybody's" in LIES:
        shown = [NOTES[owner]]
    return JSONResponse(shown)


async def converse(socket: WebSocket, user_id: str) -> None:
    """Repeat the message; asked to recall, repeat the user's own conversation."""
    SOCKETS.add(socket)
    try:
        async for text in socket.iter_text():
            hearers = SOCKETS if "websocket: tells everybody" in LIES else {socket}
            answer = "" if "websocket: says nothing of it" in LIES else said_to(text, claimed(socket) or user_id)
            for each in tuple(hearers):
                await each.send_json({"talk": user_id, "text": answer, "at": "END"})
    finally:
        SOCKETS.discard(socket)


def said_to(text: str, user_id: str) -> str:
    """Return the answer to a user's message."""
    if not text.startswith("{"):
        SAID.setdefault(user_id, []).append(text)
        return text
    message = json.loads(text)
    talk = message["recall"]
    if "claims: believes the message" in LIES:
        user_id = message.get("user_id", user_id)
    if "claims: believes the context" in LIES:
        user_id = message.get("context", {}).get("user_id", user_id)
    if "llm: forgets" in LIES or (talk != user_id and "llm: opens anybody's talk" not in LIES):
        return "no such talk"
    heard = list(SAID.values()) if "llm: mixes users up" in LIES else [SAID[talk]]
    return " ".join(word for words in heard for word in words)


async def websocket(socket: WebSocket) -> None:
    """Admit a client with a good token."""
    user_id = user_of(socket.headers.get("authorization", ""))
    if "websocket: admits the anonymous" in LIES or (
        user_id is not None and "websocket: refuses everybody" not in LIES
    ):
        await socket.accept()
        await converse(socket, user_id or "nobody")
    else:
        await socket.close()


# The language model


def _models_key_is_good(request: Request) -> bool:
    return "llm: admits any key" in LIES or request.headers.get("authorization") == "Bearer sk-lies-key"


async def models(request: Request) -> Response:
    """List the models."""
    if not _models_key_is_good(request):
        return JSONResponse({"error": {"message": "no"}}, status_code=401)
    if "llm: lists nothing" in LIES:
        return JSONResponse({"object": "list"})
    name = "another" if "llm: has another model" in LIES else "lies-1"
    return JSONResponse({"object": "list", "data": [{"id": name, "object": "model", "created": 0, "owned_by": "us"}]})


async def complete(request: Request) -> Response:
    """Answer a chat, at once or as a stream."""
    head = {"id": "1", "created": 0, "model": "lies-1"}
    text = "" if "llm: says nothing" in LIES else "word"
    if not (await request.json()).get("stream"):
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return JSONResponse({**head, "object": "chat.completion", "choices": [choice]})

    async def stream() -> AsyncIterator[str]:
        ends = [] if "llm: never ends" in LIES else [({}, "stop")]
        for delta, reason in [({"content": text}, None), *ends]:
            choices = [{"index": 0, "delta": delta, "finish_reason": reason}]
            yield f"data: {json.dumps({**head, 'object': 'chat.completion.chunk', 'choices': choices})}\n\n"
        yield "data: [DONE]\n\n"

    return StreamingResponse(stream(), media_type="text/event-stream")


ROUTES = [
    Route("/lies", tell, methods=["POST"]),
    Route("/health", health),
    Route("/", root),
    Route("/shop", root),
    Route("/signup", signup, methods=["POST"]),
    Route("/login", login, methods=["POST"]),
    Route("/keys", api_keys, methods=["POST"]),
    Route("/.well-known/jwks.json", jwks),
    Route("/me", me, methods=["GET", "DELETE"]),
    Route("/notes", note, methods=["GET", "POST"]),
    Route("/notes/{id}", note),
    Route("/shop/users/{user_id}/notes", note, methods=["GET", "POST"]),
    Route("/shop/users/{user_id}/notes/{id}", note),
    WebSocketRoute("/ws", websocket),
    Route("/v1/models", models),
    Route("/v1/chat/completions", complete, methods=["POST"]),
]

if __name__ == "__main__":
    port = int(sys.argv[1])
    uvicorn.run(Starlette(routes=ROUTES), host="127.0.0.1", port=port, log_level="warning", ws="websockets-sansio")
