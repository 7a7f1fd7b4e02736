"""The WebSocket protocol: messages in, events out. README.md describes it for clients."""

from __future__ import annotations

import enum
import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from environments.reference.text import Text

MAX_MESSAGE = 64 * 1024
"""Characters of one incoming message."""


class Agent(enum.StrEnum):
    """Name of an agent."""

    COST_OPTIMIZER = "cost_optimizer"
    DATA_ANALYSIS = "data_analysis"
    BUSINESS_ADVISOR = "business_advisor"
    TRIAGE_AGENT = "triage_agent"


RequestId = Annotated[Text, Field(max_length=128)] | None
"""The client's own word for a request, repeated in everything that answers it."""


class Context(BaseModel):
    """What the client adds to a request. Anything else in it, a user id above all, is ignored."""

    thread_id: UUID | None = None
    """The thread to continue; without it the run begins a new one."""


class AgentRequest(BaseModel):
    """Run an agent."""

    type: Literal["agent_request"]
    agent: Agent
    message: Annotated[Text, Field(min_length=1, max_length=32 * 1024)]
    context: Context = Context()
    request_id: RequestId = None


class GetThread(BaseModel):
    """Show a thread."""

    type: Literal["get_thread"]
    thread_id: str
    request_id: RequestId = None


class Subscribe(BaseModel):
    """Send me the events of a thread, whichever of my connections causes them."""

    type: Literal["subscribe"]
    thread_id: str
    request_id: RequestId = None


class Ping(BaseModel):
    """Are you there?"""

    type: Literal["ping"]
    request_id: RequestId = None


Request = AgentRequest | GetThread | Subscribe | Ping
_REQUEST: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="type")])


class ProtocolError(Exception):
    """A message that cannot be answered otherwise than with an error event. Its text is the event's `error`."""

    def __init__(self, error: str, **data: Any) -> None:
        super().__init__(error)
        self.data = data


def parse(message: str | None) -> Request:
    """Return what the client asks for.

    Raises:
        ProtocolError: no text (None), too large, not JSON, of an unknown type, or not as its type demands.
    """
    if message is None:
        raise ProtocolError("invalid message", detail="text frames only")
    if len(message) > MAX_MESSAGE:
        raise ProtocolError("message too large", limit=MAX_MESSAGE)
    try:
        raw = json.loads(message)
    except (ValueError, RecursionError):
        raise ProtocolError("invalid json") from None
    if not isinstance(raw, dict):
        raise ProtocolError("invalid message", detail="an object is expected")
    try:
        return _REQUEST.validate_python(raw)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        if first["type"].startswith("union_tag"):
            raise ProtocolError("unknown type") from None
        where = ".".join(str(part) for part in first["loc"][1:])
        raise ProtocolError("invalid message", detail=f"{where}: {first['msg']}") from None


def event(kind: str, **data: Any) -> dict[str, Any]:
    """Return an event; the timestamp is UTC, ISO 8601."""
    return {"type": kind, "timestamp": datetime.now(UTC).isoformat(), "data": data}


def error_event(error: str, **data: Any) -> dict[str, Any]:
    """Return an error: an event with the reason beside its type."""
    return {**event("error", **data), "error": error}
