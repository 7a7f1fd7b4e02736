"""Exchanges of the running test, HTTP and WebSocket, recorded by the clients that we hand out: evidence of a failure."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from envmatrix.masking import MASKER, one_line
from envmatrix.safety.unpatched import REAL

if TYPE_CHECKING:
    import httpx
    from websockets.asyncio.client import ClientConnection

GATEWAY_ERRORS = frozenset({502, 503, 504})
"""What a gateway answers for a service that is not there (RFC 9110, 15.6.3 to 15.6.5)."""

REFUSALS = frozenset({401, 403})
"""What a service answers to who may not ask (RFC 9110, 15.5.2 and 15.5.4)."""

_MAX_EXCHANGES = 32
"""Requests. The last ones tell why a test failed; a load test must not fill the memory."""

_MAX_ANSWERS = 4096
"""Requests of one test whose times are kept: as many tell a percentile."""

_MAX_EXCERPT = 120
"""Characters shown of the body of an error."""

_MAX_FRAMES = 8
"""Frames of a WebSocket that are listed, the last; all are counted."""

_KEY = "envmatrix_exchange"


@dataclass(slots=True)
class Exchange:
    """One request and its answer, without its query and its own body, which may hold secrets."""

    method: str
    path: str
    status: int = 0
    """0 while there is no answer."""
    is_json: bool = False
    """Whether the answer says that it is JSON; it may be none."""
    address: str = ""
    """`host:port` of the server."""
    error: httpx.Response | None = None
    """The answer, where it is an error."""
    frames: Frames | None = None
    """The frames that followed, of a WebSocket."""
    sent: float = 0.0
    """When, on the monotonic clock."""
    answered: float = 0.0
    """When its answer began; 0 while there is none."""

    @property
    def is_of_gateway(self) -> bool:
        """Return whether a gateway answered for a service that is not there."""
        return self.status in GATEWAY_ERRORS

    def __str__(self) -> str:
        text = f"{self.method} {self.path} → {self.status or 'no answer'}"
        return text + (f"; {self.frames}" if self.frames else "") + (f": {body}" if (body := self._excerpt()) else "")

    def _excerpt(self) -> str:
        """Return the beginning of an error's body, as far as its client has read it."""
        if self.error is None or not self.error.is_closed:
            return ""
        try:
            return one_line(self.error.text[: 10 * _MAX_EXCERPT])[:_MAX_EXCERPT]
        except Exception:  # noqa: BLE001  the body was streamed, or says that it is of a charset that it is not
            return ""


@dataclass(slots=True)
class Frames:
    """The frames of one WebSocket: how many there were, and what the last were, without their texts."""

    count: int = 0
    last: deque[str] = field(default_factory=lambda: deque(maxlen=_MAX_FRAMES))

    def add(self, direction: str, message: object) -> None:
        """Count a frame; a message in pieces counts once."""
        kind = "text" if isinstance(message, str) else "binary" if isinstance(message, bytes) else "pieces"
        size = f" {len(message)}" if isinstance(message, str | bytes) else ""
        self.count += 1
        self.last.append(f"{direction} {kind}{size}")

    def close(self, connection: ClientConnection) -> None:
        """Note who closed the connection, and with which code and reason; nothing of one that is open."""
        if connection.close_code is None:
            return
        if connection.protocol.close_rcvd is not None:
            self.last.append(one_line(f"got close {connection.protocol.close_rcvd}"))
        elif connection.protocol.close_sent is not None:
            self.last.append(one_line(f"sent close {connection.protocol.close_sent}"))
        else:
            self.last.append("lost without a close frame")

    def __str__(self) -> str:
        dropped = "..., " if self.count > len(self.last) else ""
        return f"{self.count} frame{'s'[: self.count != 1]}: {dropped}{', '.join(self.last)}"


EXCHANGES: deque[Exchange] = deque(maxlen=_MAX_EXCHANGES)
"""The exchanges of the running test, oldest first; emptied before each test."""


ANSWERS: deque[Exchange] = deque(maxlen=_MAX_ANSWERS)
"""The answered exchanges of the running test, of which a run that is sampled keeps the times; emptied with the others."""


def routes(addresses: Mapping[str, str]) -> dict[str, tuple[float, ...]]:
    """Map each route to the milliseconds of its answers, of services by their addresses; ids in paths become `{id}`."""
    names = {address: name for name, address in addresses.items()}
    found: dict[str, list[float]] = {}
    for each in ANSWERS:
        if name := names.get(each.address):
            route = MASKER.mask(f"{name} {each.method} {_ID.sub('{id}', each.path)}")
            found.setdefault(route, []).append(round((each.answered - each.sent) * 1000, 3))
    return {route: tuple(times) for route, times in found.items()}


_ID = re.compile(r"(?<=/)(?:\d+|[0-9a-f]{8}[0-9a-f-]*|(?=[^/]*\d)[^/]{16,})(?=/|$)")
"""A part of a path that names one thing of many: a number, a hexadecimal id, a long word with a digit in it."""


def hooks(asynchronous: bool = False) -> dict[str, Any]:
    """Return the event hooks by which a client of httpx records its exchanges."""
    if not asynchronous:
        return {"request": [_sent], "response": [_answered]}

    async def sent(request: httpx.Request) -> None:
        _sent(request)

    async def answered(response: httpx.Response) -> None:
        _answered(response)

    return {"request": [sent], "response": [answered]}


def exchange_of(answer: Any) -> Exchange | None:
    """Return the exchange that an answer of httpx belongs to; `None` where no client of ours got it."""
    try:
        exchange: Exchange | None = answer.request.extensions.get(_KEY)
    except (AttributeError, RuntimeError):  # no answer, or one that was made without a request
        return None
    return exchange


def _sent(request: httpx.Request) -> None:
    url = request.url
    port = url.port or (443 if url.scheme == "https" else 80)
    exchange = Exchange(request.method, url.path, address=f"{url.host}:{port}", sent=REAL.clock())
    request.extensions[_KEY] = exchange
    EXCHANGES.append(exchange)


def _answered(response: httpx.Response) -> None:
    exchange: Exchange | None = response.request.extensions.get(_KEY)
    if exchange is not None:
        exchange.status, exchange.answered = response.status_code, REAL.clock()
        ANSWERS.append(exchange)
        exchange.is_json = "json" in response.headers.get("content-type", "")
        exchange.error = response if response.is_error else None
