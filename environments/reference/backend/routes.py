"""The backend's REST routes, all under `/api`. Another user's thread is 404: it is not confirmed to exist."""

from __future__ import annotations

import json
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Path, Request, Response
from pydantic import AfterValidator, BaseModel, Field

from environments.reference.backend.authenticate import Principal, UnauthorizedError
from environments.reference.backend.parts import Parts
from environments.reference.backend.store import Message, Thread
from environments.reference.text import Text


def _serializable(value: Any) -> Any:
    # What Python reads as JSON is more than JSON: NaN, half a surrogate pair.
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    return value


Key = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.:-]{1,128}$")]


class NewThread(BaseModel):
    """A request for a new thread."""

    title: Annotated[Text, Field(max_length=200)] = ""


class Value(BaseModel):
    """Any JSON value."""

    value: Annotated[Any, AfterValidator(_serializable)]


def parts_of(request: Request) -> Parts:
    """Return the connections of this worker."""
    return request.app.state.parts  # type: ignore[no-any-return]


OpenParts = Annotated[Parts, Depends(parts_of)]


async def user(request: Request, parts: OpenParts) -> Principal:
    """Return the user of the request, or refuse it."""
    try:
        return await parts.authenticator.principal(request.headers)
    except UnauthorizedError as error:
        raise HTTPException(401, str(error), headers={"WWW-Authenticate": "Bearer"}) from None


User = Annotated[Principal, Depends(user)]
router = APIRouter(prefix="/api")


@router.get("/me")
async def me(user: User) -> dict[str, str]:
    """Return the user of the credentials."""
    return {"user_id": user.user_id, "method": user.method}


@router.delete("/me", status_code=204)
async def forget(user: User, parts: OpenParts) -> Response:
    """Delete the user's threads, state and events."""
    await parts.store.forget(user.user_id)
    await parts.state.forget(user.user_id)
    parts.analytics.forget(user.user_id)
    return Response(status_code=204)


@router.get("/analytics/events")
async def events(user: User, parts: OpenParts) -> dict[str, Any]:
    """Return the user's last events, or say that there are no analytics; and how many events were lost."""
    recorded = await parts.analytics.events(user.user_id)
    dropped = parts.analytics.dropped(user.user_id)
    return {"available": recorded is not None, "events": recorded or [], "dropped": dropped}


@router.post("/threads", status_code=201)
async def add_thread(user: User, parts: OpenParts, body: NewThread | None = None) -> Thread:
    """Begin a thread."""
    return await parts.store.add_thread(user.user_id, body.title if body else "")


@router.get("/threads")
async def threads(user: User, parts: OpenParts) -> dict[str, list[Thread]]:
    """Return the user's threads, newest first."""
    return {"threads": await parts.store.threads(user.user_id)}


@router.get("/threads/{thread_id}")
async def thread(thread_id: UUID, user: User, parts: OpenParts) -> Thread:
    """Return a thread of the user's."""
    own_thread = await parts.store.thread(user.user_id, thread_id)
    if own_thread is None:
        raise HTTPException(404, "no such thread")
    return own_thread


@router.get("/threads/{thread_id}/messages")
async def messages(thread_id: UUID, user: User, parts: OpenParts) -> dict[str, list[Message]]:
    """Return a thread's messages in the order they came."""
    await thread(thread_id, user, parts)
    return {"messages": await parts.store.messages(user.user_id, thread_id)}


@router.get("/state/{key}")
async def get_state(key: Key, user: User, parts: OpenParts) -> dict[str, Any]:
    """Return a value."""
    try:
        return {"key": key, "value": await parts.state.get(user.user_id, key)}
    except KeyError:
        raise HTTPException(404, "no such key") from None


@router.put("/state/{key}")
async def put_state(key: Key, body: Value, user: User, parts: OpenParts) -> dict[str, Any]:
    """Set a value."""
    await parts.state.put(user.user_id, key, body.value)
    return {"key": key, "value": body.value}
