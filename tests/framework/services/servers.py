"""Real servers started the way the supervisor starts them, and small ones that have exactly one fault."""

from __future__ import annotations

import contextlib
import json
import pwd
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import SecretStr

from envmatrix.environments import ServiceSpec
from envmatrix.services import Endpoint, Kind, Launch, StartContext
from envmatrix.services.processes.ports import free_port


@contextlib.contextmanager
def context(cache_dir: Path) -> Iterator[StartContext]:
    """Give a place to start a server in, one that any account can reach."""
    memory = Path("/dev/shm")
    run = Path(tempfile.mkdtemp(prefix="em", dir=memory if memory.is_dir() else None))
    run.chmod(0o711)
    state_dir = run / "service"
    state_dir.mkdir()
    try:
        yield StartContext(
            state_dir=state_dir, cache_dir=cache_dir, port=free_port(), password=SecretStr("made-for-one-start")
        )
    finally:
        shutil.rmtree(run)


@contextlib.contextmanager
def process(launch: Launch) -> Iterator[subprocess.Popen[bytes]]:
    """Start a launch, and stop it at the end."""
    account = (
        {"user": launch.user, "group": pwd.getpwnam(launch.user).pw_gid, "extra_groups": ()} if launch.user else {}
    )
    with subprocess.Popen(
        launch.command,
        env=dict(launch.env),
        cwd=launch.cwd,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        **account,
    ) as started:
        try:
            yield started
        finally:
            started.send_signal(launch.stop_signal)
            started.wait(10)


class Running(NamedTuple):
    """A server that is up."""

    launch: Launch
    pid: int

    @property
    def endpoint(self) -> Endpoint:
        """Where it is."""
        return self.launch.endpoint


@contextlib.contextmanager
def running(kind: Kind, spec: ServiceSpec, cache_dir: Path) -> Iterator[Running]:
    """Start a kind's embedded server, wait until it is up, and stop it at the end."""
    with context(cache_dir) as place:
        launch = kind.launch(spec, place)
        with process(launch) as started:
            give_up = time.monotonic() + 30
            while not (ping := kind.ping(spec, launch.endpoint, 2.0)).is_up:
                assert started.poll() is None, "the server ended"
                assert time.monotonic() < give_up, ping.detail
                time.sleep(0.002)
            yield Running(launch, started.pid)


@contextlib.contextmanager
def fake(answer: Callable[[socket.socket], object], tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Listen on a port; each connection is handed to `answer`, then closed."""
    done = threading.Event()

    def handle(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            if tls:
                connection = tls.wrap_socket(connection, server_side=True)
            with connection:
                answer(connection)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while not done.is_set():
                threading.Thread(target=handle, args=(server.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            done.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def silent(connection: socket.socket) -> None:
    """Take what comes and never answer, until the client leaves."""
    while connection.recv(4096):
        pass


def says(data: bytes) -> Callable[[socket.socket], None]:
    """Answer every connection with the same bytes."""

    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(data)

    return answer


def resets_after(data: bytes) -> Callable[[socket.socket], None]:
    """Answer with some bytes, then break the connection instead of closing it."""

    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(data)
        time.sleep(0.05)  # let the client read them first: a reset overtakes what is not read yet
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return answer


def drips(beginning: bytes, end: bytes) -> Callable[[socket.socket], None]:
    """Answer with a beginning, then so many single bytes, a hundred a second, that they take half a second, then an end."""

    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(beginning)
        for _ in range(50):
            connection.sendall(b" ")
            time.sleep(0.01)
        connection.sendall(end)

    return answer


Answer = tuple[Any, ...] | Callable[[Mapping[str, str], bytes], tuple[Any, ...]]


class Web:
    """An HTTP server whose answers are a table; it keeps what it was asked.

    Path → (status, body), of a redirect its location, and perhaps headers; or what makes them of headers and body.
    """

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.answers = dict(answers)
        self.asked: list[tuple[str, str, Mapping[str, str]]] = []
        self.port = 0

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def reply(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        self.asked.append((handler.command, handler.path, dict(handler.headers)))
        sent = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        answer = self.answers.get(handler.path, (404, "not found"))
        status, body, *more = answer(handler.headers, sent) if callable(answer) else answer
        content = (body if isinstance(body, str) else json.dumps(body)).encode()
        handler.send_response(status)
        if not isinstance(body, str) or body.startswith("{"):
            handler.send_header("Content-Type", "application/json")
        if 300 <= status < 400:
            handler.send_header("Location", body if isinstance(body, str) else "http://169.254.169.254/")
        for name, value in dict(*more).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)


@contextlib.contextmanager
def web(answers: Mapping[str, Answer], tls: ssl.SSLContext | None = None) -> Iterator[Web]:
    """Serve a table of answers."""
    site = Web(answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            site.reply(self)

        def do_POST(self) -> None:
            site.reply(self)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: object) -> None:
            """A client that refuses our certificate is what some tests are about."""

    with Server(("127.0.0.1", 0), Handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        site.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join(5)


def at(endpoint: Endpoint, port: int) -> Endpoint:
    """Return an endpoint moved to another port."""
    url = endpoint.field("url").replace(f":{endpoint.port}", f":{port}")
    return endpoint.model_copy(update={"url": SecretStr(url), "port": port})
