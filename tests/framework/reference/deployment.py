"""Real stores and real services for these tests, started as the supervisor starts them."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from websockets.sync.client import ClientConnection, connect

from envmatrix.environments import ServiceSpec, Source
from envmatrix.services import get_kind
from envmatrix.services.processes.fork_server import ForkServer
from envmatrix.services.processes.ports import free_port
from envmatrix.services.processes.supervisor_directory import SupervisorDirectory, cache_dir
from tests.framework.services import servers

PATIENCE = 20.0
"""Seconds; no test waits longer for anything."""

REPOSITORY = Path(__file__).parents[3]

MODULES = [f"environments.reference.{name}" for name in ("auth", "backend", "llm", "stubs")]

QUICK_HASH = {"PASSWORD_MEMORY_KIB": "64", "PASSWORD_PASSES": "1"}
"""Real hashes, at a cost for a hundred users in a hundred tests."""


def until(look: Callable[[], Any], what: str) -> Any:
    """Return the first true answer; fail when the deadline passes without one."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if answer := look():
            return answer
        time.sleep(0.005)
    raise AssertionError(f"waited {PATIENCE} s for {what}")


@contextlib.contextmanager
def store(kind: str, run: SupervisorDirectory) -> Iterator[str]:
    """Start an embedded store and give its URL. It may not answer yet."""
    spec = ServiceSpec(name=kind, kind=kind, source=Source.EMBEDDED)
    with servers.context(cache_dir(run)) as context:
        launch = get_kind(kind, kind).launch(spec, context)
        with servers.process(launch):
            yield launch.endpoint.url.get_secret_value()


@dataclass(frozen=True)
class Service:
    """One of our services, running."""

    module: str
    pid: int
    port: int
    log: Path
    env: Mapping[str, str]
    fork_server: ForkServer

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self.fork_server.exit_code(self.pid)

    def health(self, path: str = "/health") -> httpx.Response | None:
        """Return the answer; None while nobody listens."""
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(self.url + path, trust_env=False)
        return None

    def dependencies(self) -> dict[str, str]:
        """Return the status of each dependency, as the service sees it."""
        answer = self.health("/health/ready")
        assert answer is not None
        return {name: look["status"] for name, look in answer.json()["dependencies"].items()}

    def ready(self) -> Service:
        """Wait until it says that it is ready."""

        def is_ready() -> bool:
            assert self.exit_code is None, self.log.read_text()
            answer = self.health("/health/ready")
            return answer is not None and answer.status_code == 200

        until(is_ready, f"{self.module}: {self.log.read_text()}")
        return self

    def terminate(self) -> None:
        """Send SIGTERM, unless it has ended."""
        with contextlib.suppress(psutil.NoSuchProcess):  # it may end between the look and the signal
            if self.exit_code is None:
                psutil.Process(self.pid).terminate()

    def stop(self) -> float:
        """End it with SIGTERM; return how many seconds that took."""
        begun = time.monotonic()
        self.terminate()
        until(lambda: self.exit_code is not None, f"the end of {self.module}")
        return time.monotonic() - begun


class Services:
    """Starts services from one fork server, in a directory of its own."""

    def __init__(self, fork_server: ForkServer, directory: Path) -> None:
        self._fork_server = fork_server
        self._directory = directory

    @contextlib.contextmanager
    def running(self, module: str, port: int = 0, **env: str) -> Iterator[Service]:
        """Run `python -m environments.reference.MODULE`. It may not be ready yet."""
        port = port or free_port()
        log = self._directory / f"{module}-{port}.log"
        log.touch()
        env = {"PORT": str(port), "ENVIRONMENT": "test", "COMMIT": "abc123", **QUICK_HASH, **env}
        pid = self._fork_server.fork([f"environments.reference.{module}"], env, REPOSITORY, log)
        assert pid is not None
        service = Service(module, pid, port, log, env, self._fork_server)
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

    @property
    def token(self) -> str:
        """The access token."""
        return self.tokens["access_token"]

    @property
    def bearer(self) -> dict[str, str]:
        """The header that carries it."""
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
        """Send a message and wait for nothing."""
        self.connection.send(json.dumps(message))

    def receive(self) -> dict[str, Any]:
        """Return the next thing that comes."""
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
