"""TCP proxies before services, which let traffic through or make it fail: they make an environment a degraded one.

All proxies of a supervisor share one event loop, in a thread.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections import deque
from collections.abc import Coroutine
from typing import Any, cast

from envmatrix.environments import Fault
from envmatrix.services.processes.ports import HOST

_DEADLINE = 5.0
"""Seconds that the event loop may take for what is asked of it."""
_SLICE = 0.1
"""Seconds between two slices of an answer that drips."""
_FAREWELL = 1.0
"""Seconds that a client gets to read an error: closed at once, with a request half read, the connection would be reset."""
_BUFFER = 1 << 20
"""Bytes that wait to be sent before the other end is read no further: with asyncio's 64 KiB it would be half as fast."""
_NO_LINGER = struct.pack("ii", 1, 0)
"""SO_LINGER of no seconds: closing such a socket resets its connection."""


class ProxyLoop:
    """The event loop of some proxies, in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True).start()

    def run(self, step: Coroutine[Any, Any, None]) -> None:
        """Take a step on the loop, and wait for its end."""
        asyncio.run_coroutine_threadsafe(step, self._loop).result(_DEADLINE)


class FaultProxy:
    """A port of ours that leads to a service."""

    def __init__(self, loop: ProxyLoop, quiet_paths: frozenset[str] = frozenset()) -> None:
        """Take a port; where only some requests get an error of HTTP, those of `quiet_paths` get none."""
        self.fault: Fault | None = None
        self.target = (HOST, 0)
        """The service's own host and port."""
        self.clients: set[_Client] = set()
        self._loop = loop
        self._quiet_paths = {path.encode() for path in quiet_paths}
        self._requests = 0
        self._held = _bound_socket(0)  # bound and not listening, it keeps the port ours
        self.port = int(self._held.getsockname()[1])
        self._server: asyncio.Server | None = None
        self._flapping: asyncio.Task[None] | None = None

    def lead_to(self, host: str, port: int) -> None:
        """Let traffic through to an address."""
        self.target = (host, port)
        self._loop.run(self._listen())

    def set_fault(self, fault: Fault | None) -> None:
        """Make traffic fail in this way, or, without a fault, let all of it through."""
        self._loop.run(self._change(fault))

    async def _change(self, fault: Fault | None) -> None:
        if self._flapping is not None:
            self._flapping.cancel()
        was, self.fault, self._flapping, self._requests = self.fault, fault, None, 0
        if any(each is not None and not each.only_delays for each in (was, fault)):
            self._reset_clients()
        if fault is not None and fault.fault == "down":
            self._refuse()
        else:
            await self._listen()
        if fault is not None and fault.fault == "flap":
            self._flapping = asyncio.create_task(self._flap(fault.interval))

    async def _flap(self, interval: float) -> None:
        while True:
            self._refuse()
            await asyncio.sleep(interval)
            await self._listen()
            await asyncio.sleep(interval)

    async def _listen(self) -> None:
        if self._server is None:
            socket_ = _bound_socket(self.port)
            self._server = await asyncio.get_running_loop().create_server(lambda: _Client(self), sock=socket_)

    def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
        self._server = None
        self._reset_clients()

    def _reset_clients(self) -> None:
        for client in tuple(self.clients):
            client.reset()

    def is_error_due(self, request: bytes) -> bool:
        """Count a request; return whether it is answered with an error in the service's place."""
        fault = self.fault
        if fault is None or fault.fault != "http_error":
            return False
        if not fault.is_outage and request.split(b" ", 2)[1:2] and request.split(b" ", 2)[1] in self._quiet_paths:
            return False
        self._requests += 1
        if fault.first is not None:
            return self._requests <= fault.first
        return int(self._requests * fault.share) > int((self._requests - 1) * fault.share)


def _bound_socket(port: int) -> socket.socket:
    """Return a socket bound to a port, also where one of ours is that does not listen."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((HOST, port))
    return bound


class _End(asyncio.Protocol):
    """One end of a connection through a proxy: what arrives at it leaves at the other."""

    transport: asyncio.Transport | None = None
    other: _End | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(_BUFFER)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None:
            self.other.reset() if exc else self.other.close()

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def send(self, data: bytes) -> None:
        """Send what arrived at the other end."""
        if self.transport is not None:
            self.transport.write(data)

    def close(self) -> None:
        """Close the connection when all is sent."""
        if self.transport is not None:
            self.transport.close()

    def reset(self) -> None:
        """Reset the connection: its peer gets an error, not an end."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self.transport.abort()


class _Client(_End):
    """The end of a client: its requests arrive here."""

    def __init__(self, proxy: FaultProxy) -> None:
        self._proxy = proxy
        self._begun = False
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._proxy.clients.add(self)
        fault = self._proxy.fault
        if self.transport is not None and (fault is None or fault.fault not in {"reset", "blackhole"}):
            self.transport.pause_reading()  # until there is somebody to pass it on to
            self._connecting = asyncio.create_task(self._connect(self.transport))

    async def _connect(self, transport: asyncio.Transport) -> None:
        try:
            loop = asyncio.get_running_loop()
            _, self.other = await loop.create_connection(lambda: _Server(self, self._proxy), *self._proxy.target)
        except OSError:
            self.reset()
            return
        if transport.is_closing():
            self.other.close()
        else:
            transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self._proxy.fault is not None:
            data = self._as_degraded(data, self._proxy.fault)
        if self.other is not None:
            self.other.send(data)

    def _as_degraded(self, data: bytes, fault: Fault) -> bytes:
        """Return what of a client's data is passed on."""
        if fault.fault == "reset":
            self.reset()
        elif fault.fault == "http_error" and not self._begun:
            self._begun = True
            if not self._proxy.is_error_due(data):
                return _as_last_request(data)
            self._answer(fault.status)
        return data

    def _answer(self, status: int) -> None:
        """Answer with an error in the service's place, and read no further than the farewell."""
        if self.other is not None:
            self.other.other = None
            self.other.close()
            self.other = None
        body = b'{"detail": "degraded by envmatrix"}'
        head = f"HTTP/1.1 {status} Degraded\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self.send(f"{head}Connection: close\r\n\r\n".encode() + body)
        asyncio.get_running_loop().call_later(_FAREWELL, self.close)

    def eof_received(self) -> bool:
        """Pass the end of the requests on; the answer may be still to come."""
        if self.other is None or self.other.transport is None or self.other.transport.is_closing():
            return False
        self.other.transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._proxy.clients.discard(self)
        super().connection_lost(exc)


class _Server(_End):
    """The end of the service: its answers arrive here, and are delayed where the fault says so."""

    def __init__(self, client: _Client, proxy: FaultProxy) -> None:
        self.other = client
        self._proxy = proxy
        self._late: deque[bytes] = deque()
        """What is still to be sent, each part by a timer of its own."""
        self._last = 0.0
        """When the last of it is due, on the loop's clock."""
        self._ended: tuple[Exception | None] | None = None

    def data_received(self, data: bytes) -> None:
        fault = self._proxy.fault
        if self._late or (fault is not None and fault.only_delays):
            self._delay(data, fault)
        elif self.other is not None:
            self.other.send(data)

    def _delay(self, data: bytes, fault: Fault | None) -> None:
        loop = asyncio.get_running_loop()
        due, size, pause = loop.time(), len(data), 0.0
        if fault is not None and fault.fault == "latency":
            due += fault.latency
        elif fault is not None and fault.fault == "slow_drip":
            size, pause = max(int(fault.rate * _SLICE), 1), _SLICE
        for start in range(0, len(data), size):
            self._last = max(due, self._last + pause)
            self._late.append(data[start : start + size])
            loop.call_at(self._last, self._send_next)

    def _send_next(self) -> None:
        part = self._late.popleft()
        if self.other is not None:
            self.other.send(part)
        if self._ended is not None and not self._late:
            super().connection_lost(*self._ended)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = (exc,)
        if not self._late:
            super().connection_lost(exc)


def _as_last_request(request: bytes) -> bytes:
    """Return the beginning of a request as the last one of its connection, so that each request can be counted."""
    line, end, rest = request.partition(b"\r\n")
    is_upgrade = b"upgrade:" in rest.lower()
    return request if is_upgrade or not end else line + end + b"Connection: close\r\n" + rest
