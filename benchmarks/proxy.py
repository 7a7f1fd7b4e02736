"""What the proxy of a degraded variant costs while it has no fault: a request's time and a large answer's throughput.

Against the same server without it. The server is bare asyncio, so that next to nothing but the proxy is measured.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from statistics import median

from benchmarks.rows import Row, in_turns, seconds
from envmatrix.services.proxy import FaultProxy, ProxyLoop

_ROUNDS, _REQUESTS = 7, 1000
_SIZE = 64 << 20
"""Bytes of the large answer."""
_CHUNK = bytes(1 << 18)


def measure() -> Iterable[Row]:
    """Ask for a byte many times, then for many bytes, by each way in turns."""
    with _process(_serve) as direct, _process(_stand_before, direct) as through:
        ways = {"through": through, "direct": direct}
        times = in_turns(_ROUNDS, {way: partial(_request, to) for way, to in ways.items()})
        speeds = in_turns(_ROUNDS, {way: partial(_throughput, to) for way, to in ways.items()})
    added = (times["through"] - times["direct"]) * 1000
    yield Row("what the proxy adds to a request", added, "the goal", 0.2, "ms", "at most 1 x", _ROUNDS)
    yield Row(
        "throughput of the proxy",
        speeds["through"],
        "a direct connection",
        speeds["direct"],
        "MB/s",
        "at least 0.5 x",
        _ROUNDS,
    )


def _request(port: int) -> float:
    """Return the median seconds of a request on one connection."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def ask() -> None:
            connection.sendall(b"1")
            connection.recv(1)

        return median(seconds(ask) for _ in range(_REQUESTS))


def _throughput(port: int) -> float:
    """Return the megabytes a second of one large answer."""
    with socket.create_connection(("127.0.0.1", port)) as connection:

        def ask() -> None:
            connection.sendall(b"*")
            left = _SIZE
            while left:
                left -= len(connection.recv(len(_CHUNK)))

        return _SIZE / seconds(ask) / 1e6


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a byte for each `1`, and the large answer for `*`."""
    while word := await reader.read(1):
        for _ in range(_SIZE // len(_CHUNK) if word == b"*" else 0):
            writer.write(_CHUNK)
            await writer.drain()
        if word == b"1":
            writer.write(word)
    writer.close()


def _serve(ports: Connection) -> None:
    """Serve, and tell the port."""

    async def serve() -> None:
        server = await asyncio.start_server(_answer, "127.0.0.1", 0)
        ports.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


def _stand_before(ports: Connection, port: int) -> None:
    """Put a proxy before a server, and tell its port."""
    proxy = FaultProxy(ProxyLoop())
    proxy.lead_to("127.0.0.1", port)
    ports.send(proxy.port)
    threading.Event().wait()


@contextmanager
def _process(target: Callable[..., None], *arguments: int) -> Iterator[int]:
    """Run a server in a process of its own, as services and their supervisor are; yield its port."""
    ours, theirs = Pipe()
    process = Process(target=target, args=(theirs, *arguments), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()
