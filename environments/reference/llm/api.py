"""The OpenAI chat API over an engine: models, completions, streams and errors as the official client expects them."""

from __future__ import annotations

import hmac
import json
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import SecretStr

from environments.reference.llm.engine import Chat, Engine, Finish


class ApiError(Exception):
    """A refusal, in the API's own words."""

    def __init__(
        self, status: int, message: str, kind: str, *, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}


@dataclass(frozen=True)
class Served:
    """The engine behind the routes; kept as `app.state.served`."""

    engine: Engine
    model: str
    api_key: SecretStr | None
    """None: anybody may ask."""

    @property
    def card(self) -> dict[str, Any]:
        """Return the model as the API lists it."""
        return {"id": self.model, "object": "model", "created": 0, "owned_by": "envmatrix"}

    def check(self, model: str) -> None:
        """Raise ApiError unless it is our model."""
        if model != self.model:
            message = f"The model {model!r} does not exist."
            raise ApiError(404, message, "invalid_request_error", param="model", code="model_not_found")


def admitted(request: Request) -> Served:
    """Return the engine behind the routes; refuse a request without the key."""
    served: Served = request.app.state.served
    key = request.headers.get("authorization", "").removeprefix("Bearer ")
    if served.api_key and not hmac.compare_digest(key.encode(), served.api_key.get_secret_value().encode()):
        raise ApiError(401, "Incorrect API key provided.", "invalid_request_error", code="invalid_api_key")
    return served


Admitted = Annotated[Served, Depends(admitted)]
router = APIRouter(prefix="/v1")


@router.get("/models")
async def models(served: Admitted) -> dict[str, Any]:
    """List the one model."""
    return {"object": "list", "data": [served.card]}


@router.get("/models/{name:path}")
async def one_model(name: str, served: Admitted) -> dict[str, Any]:
    """Return the model."""
    served.check(name)
    return served.card


@router.post("/chat/completions")
async def complete(chat: Chat, served: Admitted) -> Response:
    """Answer, at once or as a stream."""
    served.check(chat.model)
    head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": served.model}
    if chat.stream:
        return StreamingResponse(_server_sent(served.engine, chat, head), media_type="text/event-stream")
    return JSONResponse(await _whole(served.engine, chat, head))


def answer_errors(app: FastAPI) -> None:
    """Make the application's errors those of the API."""

    @app.exception_handler(ApiError)
    async def refused(_request: Request, error: ApiError) -> JSONResponse:
        return JSONResponse(error.body, status_code=error.status)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "body") or None
        return JSONResponse(ApiError(400, first["msg"], "invalid_request_error", param=where).body, status_code=400)


async def _whole(engine: Engine, chat: Chat, head: dict[str, Any]) -> dict[str, Any]:
    text, end = "", Finish("stop", 0, 0)
    async for piece in engine.stream(chat):
        if isinstance(piece, Finish):
            end = piece
        else:
            text += piece
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": end.reason, "logprobs": None}
    return {**head, "object": "chat.completion", "choices": [choice], "usage": end.usage}


async def _server_sent(engine: Engine, chat: Chat, head: dict[str, Any]) -> AsyncIterator[str]:
    def event(delta: dict[str, str] | None, reason: str | None = None, **extra: Any) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        choices = [] if delta is None else [choice]
        body = {**head, "object": "chat.completion.chunk", "choices": choices, **extra}
        return f"data: {json.dumps(body)}\n\n"

    yield event({"role": "assistant", "content": ""})
    async for piece in engine.stream(chat):
        if isinstance(piece, Finish):
            yield event({}, piece.reason)
            if chat.stream_options and chat.stream_options.include_usage:
                yield event(None, usage=piece.usage)
        else:
            yield event({"content": piece})
    yield "data: [DONE]\n\n"
