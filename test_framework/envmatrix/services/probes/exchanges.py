"""HTTP exchanges of the running test, recorded by the clients that we hand out: evidence of a failure."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

_MAX_EXCHANGES = 32
"""Requests. The last ones tell why a test failed; a load test must not fill the memory."""

_KEY = "envmatrix_exchange"


@dataclass(slots=True)
class Exchange:
    """One request and its answer, without query and body, which may hold secrets."""

    method: str
    path: str
    status: int = 0
    """0 while there is no answer."""
    is_json: bool = False
    """Whether the answer says that it is JSON; it may be none."""
    sent: float = 0.0
    """When, on the monotonic clock."""
    answered: float = 0.0
    """When its answer began; 0 while there is none."""

    def __str__(self) -> str:
        return f"{self.method} {self.path} → {self.status or 'no answer'}"


EXCHANGES: deque[Exchange] = deque(maxlen=_MAX_EXCHANGES)
"""The exchanges of the running test, oldest first; emptied before each test."""


def hooks(asynchronous: bool = False) -> dict[str, Any]:
    """Return the event hooks by which a client of httpx records its exchanges."""
    if not asynchronous:
        return {"request": [_sent], "response": [_answered]}

    async def sent(request: httpx.Request) -> None:
        _sent(request)

    async def answered(response: httpx.Response) -> None:
        _answered(response)

    return {"request": [sent], "response": [answered]}


def _sent(request: httpx.Request) -> None:
    exchange = Exchange(request.method, request.url.path, sent=time.monotonic())
    request.extensions[_KEY] = exchange
    EXCHANGES.append(exchange)


def _answered(response: httpx.Response) -> None:
    exchange: Exchange | None = response.request.extensions.get(_KEY)
    if exchange is not None:
        exchange.status, exchange.answered = response.status_code, time.monotonic()
        exchange.is_json = "json" in response.headers.get("content-type", "")
