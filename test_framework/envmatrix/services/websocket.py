"""A WebSocket client whose handshake and frames are among the evidence of a failure."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from envmatrix.safety.unpatched import REAL
from envmatrix.services.probes.exchanges import ANSWERS, EXCHANGES, Exchange, Frames


class _RecordedConnection(ClientConnection):
    """A connection that notes the size and kind of each message."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.frames = Frames()

    async def send(self, message: Any, *args: Any, **options: Any) -> None:
        self.frames.add("sent", message)
        await super().send(message, *args, **options)

    async def recv(self, *args: Any, **options: Any) -> Any:
        message = await super().recv(*args, **options)
        self.frames.add("got", message)
        return message


@asynccontextmanager
async def open_websocket(url: str, **options: Any) -> AsyncIterator[ClientConnection]:
    """Open a WebSocket, and close it at the end; `options` are those of `websockets.connect`."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    exchange = Exchange("WEBSOCKET", parts.path, address=f"{parts.hostname}:{port}", sent=REAL.clock())
    EXCHANGES.append(exchange)
    try:
        async with connect(url, create_connection=_RecordedConnection, proxy=None, **options) as connection:
            frames = cast("_RecordedConnection", connection).frames
            exchange.status, exchange.frames, exchange.answered = 101, frames, REAL.clock()
            ANSWERS.append(exchange)
            try:
                yield connection
            finally:
                frames.close(connection)
    except InvalidStatus as error:
        exchange.status = error.response.status_code
        raise
