"""Runs a service as a process: bind, serve, and end soon after SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import FrameType
from typing import NoReturn

import uvicorn
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from environments.reference import __version__
from environments.reference.settings import ServiceSettings

GRACE = 1
"""Seconds that open requests get after SIGTERM; WebSockets are closed at once."""

MAX_FRAME = 1 << 20
"""Bytes of one WebSocket message; beyond it the connection is closed with code 1009."""

logger = logging.getLogger("reference")


class UnavailableError(Exception):
    """A dependency does not answer; the request is answered with 503 and the dependency's name."""

    def __init__(self, dependency: str) -> None:
        super().__init__(f"{dependency} unavailable")
        self.dependency = dependency


Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(service: str, *routers: APIRouter, lifespan: Lifespan | None = None) -> FastAPI:
    """Return an application that answers failures the way all our services do.

    Applications are made on import, so that a fork server has made them before it forks: it takes longer than all else.
    """
    app = FastAPI(title=service, version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    for router in routers:
        app.include_router(router)

    @app.exception_handler(UnavailableError)
    async def unavailable(_request: Request, error: UnavailableError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=503)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        # FastAPI's own answer repeats the input, and the input may hold a password.
        problems = [{"loc": list(e["loc"]), "msg": e["msg"], "type": e["type"]} for e in error.errors()]
        return JSONResponse({"detail": problems}, status_code=422)

    return app


def run(app: FastAPI, settings: ServiceSettings) -> NoReturn:
    """Serve until SIGTERM or SIGINT, then end the process with 0; 1 if the service could not start or a worker died."""
    _log_to_stderr(app.title)
    # uvicorn raises the signal again after its own graceful end: this is where that signal arrives.
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    config = uvicorn.Config(
        app,
        http=H11Protocol,
        ws=WebSocketsSansIOProtocol,
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws_max_size=MAX_FRAME,
        ws_per_message_deflate=False,
        ssl_certfile=settings.tls_cert_file,
        ssl_keyfile=settings.tls_key_file,
    )
    listener = _bind(app.title, settings, settings.port)
    port: int = listener.getsockname()[1]
    scheme = "https" if config.is_ssl else "http"
    logger.info("listening on %s://%s:%d", scheme, settings.host, port)
    server = _Server(config)
    if settings.workers == 1:
        server.run(sockets=[listener])
        sys.exit(0)
    # A socket each: the kernel then spreads connections over the workers, where a shared one feeds whoever wakes first.
    listeners = [listener, *(_bind(app.title, settings, port) for _ in range(settings.workers - 1))]
    _prefork([partial(server.run, sockets=[own]) for own in listeners])


def _bind(service: str, settings: ServiceSettings, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # The protocol is named because asyncio turns Nagle's algorithm off only then; left on, each answer takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if settings.workers > 1:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((settings.host, port))
    except OSError as error:
        listener.close()
        sys.stderr.write(f"{service}: cannot listen on {settings.host}:{port}: {error.strerror}\n")
        raise SystemExit(1) from None
    return listener


class _Server(uvicorn.Server):
    """uvicorn's server, without its naps: it looks ten times a second whether to end, then whether all is closed."""

    async def main_loop(self) -> None:
        """Serve until a signal comes."""
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        ticks = itertools.count(0, 10)  # uvicorn counts tenths of a second
        while not await self.on_tick(next(ticks)):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), 1)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take note of a signal, and wake the loop."""
        super().handle_exit(sig, frame)
        if hasattr(self, "_ending"):  # not before the application has started
            self._loop.call_soon_threadsafe(self._ending.set)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take nothing new, give what is open `GRACE` seconds, then close the application."""
        del sockets  # closed with their servers
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(GRACE):
                while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110  two sets of uvicorn's
                    await asyncio.sleep(0.005)
        except TimeoutError:
            for task in self.server_state.tasks:
                task.cancel()
        await self.lifespan.shutdown()


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


def _prefork(workers: Sequence[Callable[[], None]]) -> NoReturn:
    """Fork the workers: 10 ms each, where uvicorn's own supervisor starts a fresh interpreter for each.

    They end with their parent, however it ends: its death closes the pipe.
    """
    alive, lifeline = os.pipe()
    children: list[int] = []
    try:
        for serve in workers:
            child = os.fork()
            if child == 0:
                _work(serve, alive, lifeline)
            children.append(child)
        dead, status = os.wait()
        children.remove(dead)
        logger.error("worker %d ended: %s", dead, os.waitstatus_to_exitcode(status))
        sys.exit(1)
    finally:
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)
        for child in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)


def _work(serve: Callable[[], None], alive: int, lifeline: int) -> NoReturn:
    code = 1
    try:
        os.close(lifeline)
        threading.Thread(target=_end_with_parent, args=(alive,), daemon=True).start()
        serve()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    finally:
        os._exit(code)


def _end_with_parent(alive: int) -> None:
    os.read(alive, 1)
    os.kill(os.getpid(), signal.SIGTERM)


class _OneLine(logging.Formatter):
    """Every record is one line, tracebacks too: the exception and the place that raised it."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{self.formatTime(record)} {record.levelname} {record.name}: {record.getMessage()}"
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            trace = error.__traceback__
            while trace and trace.tb_next:
                trace = trace.tb_next
            where = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
            line += f" {type(error).__name__}: {error}{where}"
        return " ".join(line.split())


def _log_to_stderr(service: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logger.name = service
    logger.setLevel(logging.INFO)
