"""The backend's REST routes, all under `/api`. Another user's thread is 404: it is not confirmed to exist."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Path, Request, Response
from pydantic import BaseModel, Field

from environments.reference.backend.authenticate import Principal, UnauthorizedError
from environments.reference.backend.parts import Parts
from environments.reference.backend.store import Message, Thread
from environments.reference.text import Text

Key = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.:-]{1,128}$")]


class NewThread(BaseModel):
    """A wish for a thread."""

    title: Annotated[Text, Field(max_length=200)] = ""


class Value(BaseModel):
    """Any JSON value."""

    value: Any


def api_router(parts: Callable[[], Parts]) -> APIRouter:
    """Return all routes; the parts are asked for with each request, for they are opened after the routes are made."""

    async def user(request: Request) -> Principal:
        try:
            return await parts().authenticator.principal(request.headers)
        except UnauthorizedError as error:
            raise HTTPException(401, str(error), headers={"WWW-Authenticate": "Bearer"}) from None

    router = APIRouter(prefix="/api")
    asked_by = Depends(user)
    _user_routes(router, parts, asked_by)
    _thread_routes(router, parts, asked_by)
    _state_routes(router, parts, asked_by)
    return router


def _user_routes(router: APIRouter, parts: Callable[[], Parts], asked_by: Any) -> None:
    @router.get("/me")
    async def me(principal: Principal = asked_by) -> dict[str, str]:
        return {"user_id": principal.user_id, "method": principal.method}

    @router.delete("/me", status_code=204)
    async def forget(principal: Principal = asked_by) -> Response:
        await parts().store.forget(principal.user_id)
        await parts().state.forget(principal.user_id)
        return Response(status_code=204)

    @router.get("/analytics/events")
    async def events(principal: Principal = asked_by) -> dict[str, Any]:
        found = await parts().analytics.events(principal.user_id)
        return {"available": found is not None, "events": found or []}


def _thread_routes(router: APIRouter, parts: Callable[[], Parts], asked_by: Any) -> None:
    @router.post("/threads", status_code=201)
    async def add(body: NewThread | None = None, principal: Principal = asked_by) -> Thread:
        return await parts().store.add_thread(principal.user_id, body.title if body else "")

    @router.get("/threads")
    async def all_threads(principal: Principal = asked_by) -> dict[str, list[Thread]]:
        return {"threads": await parts().store.threads(principal.user_id)}

    @router.get("/threads/{thread_id}")
    async def one(thread_id: UUID, principal: Principal = asked_by) -> Thread:
        found = await parts().store.thread(principal.user_id, thread_id)
        if found is None:
            raise HTTPException(404, "no such thread")
        return found

    @router.get("/threads/{thread_id}/messages")
    async def messages(thread_id: UUID, principal: Principal = asked_by) -> dict[str, list[Message]]:
        await one(thread_id, principal)
        return {"messages": await parts().store.messages(principal.user_id, thread_id)}


def _state_routes(router: APIRouter, parts: Callable[[], Parts], asked_by: Any) -> None:
    @router.get("/state/{key}")
    async def get(key: Key, principal: Principal = asked_by) -> dict[str, Any]:
        try:
            return {"key": key, "value": await parts().state.get(principal.user_id, key)}
        except KeyError:
            raise HTTPException(404, "no such key") from None

    @router.put("/state/{key}")
    async def put(key: Key, body: Value, principal: Principal = asked_by) -> dict[str, Any]:
        await parts().state.put(principal.user_id, key, body.value)
        return {"key": key, "value": body.value}
