"""One WebSocket: reads requests, works on several at once, writes events in order."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import uuid
from collections.abc import Callable
from typing import Any
from uuid import UUID

from fastapi import WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse

from environments.reference.backend.authenticate import Principal, UnauthorizedError
from environments.reference.backend.parts import Parts
from environments.reference.backend.protocol import (
    AgentRequest,
    GetThread,
    Ping,
    ProtocolError,
    Request,
    Subscribe,
    error_event,
    event,
    parse,
)
from environments.reference.backend.store import Thread
from environments.reference.server import UnavailableError

AT_ONCE = 64
"""Requests of one connection that are worked on at the same time; one more is answered with an error."""
BACKLOG = 1000
"""Events that wait for a slow reader; one more from another connection closes this one (1013)."""

POLICY_VIOLATION, TRY_AGAIN_LATER = 1008, 1013

logger = logging.getLogger("reference")


async def serve(websocket: WebSocket, parts: Parts) -> None:
    """Admit the client or refuse the handshake (401, 503), then talk until one side ends it."""
    try:
        principal = await parts.authenticator.principal(websocket.headers)
    except UnauthorizedError as error:
        headers = {"WWW-Authenticate": "Bearer"}
        await websocket.send_denial_response(JSONResponse({"detail": str(error)}, status_code=401, headers=headers))
    except UnavailableError as error:
        await websocket.send_denial_response(JSONResponse({"detail": str(error)}, status_code=503))
    else:
        await websocket.accept()
        await Connection(websocket, principal, parts).run()


class Connection:
    """An admitted client."""

    def __init__(self, websocket: WebSocket, principal: Principal, parts: Parts) -> None:
        self._websocket = websocket
        self._principal = principal
        self._parts = parts
        self._id = uuid.uuid4().hex
        self._outbox: asyncio.Queue[dict[str, Any] | int] = asyncio.Queue(BACKLOG)
        self._work: set[asyncio.Task[None]] = set()
        self._subscriptions: dict[str, Callable[[], None]] = {}

    async def run(self) -> None:
        """Serve the client until either side closes; leave no task behind."""
        writing = asyncio.create_task(self._write())
        try:
            await self._read()
        except WebSocketDisconnect:
            pass
        finally:
            for stop in self._subscriptions.values():
                stop()
            for task in (writing, *self._work):
                task.cancel()
            await asyncio.gather(writing, *self._work, return_exceptions=True)

    async def _read(self) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                self._begin(parse(message.get("text")))
            except ProtocolError as error:
                await self._outbox.put(error_event(str(error), **error.data))

    def _begin(self, request: Request) -> None:
        if len(self._work) >= AT_ONCE:
            raise ProtocolError("too many requests", limit=AT_ONCE, **_named(request))
        task = asyncio.create_task(self._answer(request))
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _write(self) -> None:
        while True:
            item = await self._outbox.get()
            if isinstance(item, int):
                await self._websocket.close(item)
                return
            await self._websocket.send_text(json.dumps(item))

    async def _answer(self, request: Request) -> None:
        named = _named(request)
        try:
            await self._dispatch(request)
        except ProtocolError as error:
            await self._outbox.put(error_event(str(error), **{**named, **error.data}))
        except UnavailableError as error:
            await self._outbox.put(error_event(str(error), **named))
        except UnauthorizedError as error:
            await self._outbox.put(error_event(str(error), **named))
            await self._outbox.put(POLICY_VIOLATION)
        except Exception:
            logger.exception("a request failed")
            await self._outbox.put(error_event("internal error", **named))

    async def _dispatch(self, request: Request) -> None:
        if isinstance(request, Ping):
            await self._outbox.put(event("pong", worker=os.getpid(), **_named(request)))
            return
        # The token was good when the connection began; it may have expired or been revoked since.
        await self._parts.authenticator.principal(self._websocket.headers)
        user_id = self._principal.user_id
        if isinstance(request, AgentRequest):
            await self._parts.agents.run(user_id, request, self._emit)
            return
        thread = await self._own_thread(request)
        if isinstance(request, GetThread):
            messages = await self._parts.store.messages(user_id, thread.thread_id)
            shown = [message.model_dump(mode="json") for message in messages]
            answer = {**_named(request), **thread.model_dump(mode="json"), "messages": shown}
            await self._outbox.put(event("thread", **answer))
        else:
            name = str(thread.thread_id)
            self._subscriptions[name] = self._parts.hub.subscribe(user_id, name, self._deliver)
            await self._outbox.put(event("subscribed", **_named(request)))

    async def _own_thread(self, request: GetThread | Subscribe) -> Thread:
        """Return the thread. Somebody else's and none at all get the same answer: neither is confirmed to exist."""
        try:
            thread = await self._parts.store.thread(self._principal.user_id, UUID(request.thread_id))
        except ValueError:
            thread = None
        if thread is None:
            raise ProtocolError("access denied", thread_id=request.thread_id)
        return thread

    async def _emit(self, thread_id: UUID, happened: dict[str, Any]) -> None:
        await self._outbox.put(happened)
        await self._parts.hub.publish(self._principal.user_id, str(thread_id), self._id, happened)

    def _deliver(self, origin: str, happened: dict[str, Any]) -> None:
        if origin == self._id:
            return  # its own events it has had already, in order
        try:
            self._outbox.put_nowait(happened)
        except asyncio.QueueFull:
            self._outbox.get_nowait()
            self._outbox.put_nowait(TRY_AGAIN_LATER)


def _named(request: Request) -> dict[str, Any]:
    """Return what an answer repeats of its request."""
    named: dict[str, Any] = {} if request.request_id is None else {"request_id": request.request_id}
    if isinstance(request, GetThread | Subscribe):
        named["thread_id"] = request.thread_id
    elif isinstance(request, AgentRequest) and request.context.thread_id is not None:
        named["thread_id"] = str(request.context.thread_id)
    return named
