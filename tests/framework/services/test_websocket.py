"""WebSockets whose handshake and frames are among the evidence, against a real server."""

import asyncio
from collections.abc import Iterator

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.http11 import Request, Response

from envmatrix.services.probes.exchanges import EXCHANGES
from envmatrix.services.websocket import open_websocket


@pytest.fixture(autouse=True)
def _no_exchanges() -> Iterator[None]:
    EXCHANGES.clear()
    yield
    EXCHANGES.clear()


async def answer(socket: ServerConnection) -> None:
    """Send two frames back for one, then fail."""
    message = await socket.recv()
    for _ in range(10):
        await socket.send(message)
    await socket.close(1011, "out of memory")


def refuse(connection: ServerConnection, request: Request) -> Response | None:
    """Let nobody in at one path."""
    return connection.respond(401, "who are you") if request.path.startswith("/closed") else None


async def talk(path: str) -> None:
    """Say something, and listen until the other side closes."""
    async with serve(answer, "127.0.0.1", 0, process_request=refuse) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with open_websocket(f"ws://127.0.0.1:{port}{path}?token=secret") as socket:
            await socket.send("a secret")
            async for _ in socket:
                pass


def test_frames_are_counted_and_the_last_are_listed() -> None:
    """By direction, kind and size, with the other side's close code; no text of theirs, no query."""
    with pytest.raises(ConnectionClosedError):
        asyncio.run(talk("/ws"))
    (text,) = map(str, EXCHANGES)
    assert text.startswith("WEBSOCKET /ws → 101; 11 frames: ..., got text 8, ")
    assert text.endswith("got close 1011 (internal error) out of memory")
    assert "secret" not in text


def test_a_refused_handshake_has_its_status() -> None:
    """No frame followed."""
    with pytest.raises(InvalidStatus):
        asyncio.run(talk("/closed"))
    assert list(map(str, EXCHANGES)) == ["WEBSOCKET /closed → 401"]
