"""One deployment of the reference system for all tests here: real stores, real services, two backend workers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.framework.reference import deployment
from tests.framework.reference.deployment import Service, Socket, User

LLM_KEY = "sk-test"
LIFETIME = 600


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Service]]:
    """Return auth, llm and backend, ready. They start before their stores do, as they may anywhere."""
    directory = tmp_path_factory.mktemp("logs")
    postgres_port, valkey_port, auth_port, llm_port = (deployment.free_port() for _ in range(4))
    database = f"postgresql://postgres@127.0.0.1:{postgres_port}/postgres"
    with contextlib.ExitStack() as stack:

        def start(module: str, port: int | None = None, **env: str) -> Service:
            return stack.enter_context(deployment.running(module, directory, port, **env))

        started = [
            start("auth", auth_port, DATABASE_URL=database, ACCESS_TOKEN_SECONDS=str(LIFETIME)),
            start("llm", llm_port, LLM_API_KEY=LLM_KEY),
            start(
                "backend",
                WORKERS="2",
                DATABASE_URL=database,
                REDIS_URL=f"redis://127.0.0.1:{valkey_port}/0",
                AUTH_URL=f"http://127.0.0.1:{auth_port}",
                LLM_URL=f"http://127.0.0.1:{llm_port}/v1",
                LLM_API_KEY=LLM_KEY,
            ),
        ]
        stack.enter_context(deployment.postgres(postgres_port))
        stack.enter_context(deployment.valkey(valkey_port))
        yield {service.module: service.ready() for service in started}


@pytest.fixture(scope="session")
def auth(services: dict[str, Service]) -> Iterator[httpx.Client]:
    """Return a client of the auth service."""
    with httpx.Client(base_url=services["auth"].url, trust_env=False) as client:
        yield client


@pytest.fixture(scope="session")
def backend(services: dict[str, Service]) -> Iterator[httpx.Client]:
    """Return a client of the backend, without credentials."""
    with httpx.Client(base_url=services["backend"].url, trust_env=False) as client:
        yield client


@pytest.fixture
def new_user(auth: httpx.Client) -> Callable[[], User]:
    """Return a maker of users."""
    return lambda: deployment.sign_up(auth)


@pytest.fixture
def user(new_user: Callable[[], User]) -> User:
    """Return a fresh user."""
    return new_user()


@pytest.fixture
def open_socket(services: dict[str, Service]) -> Iterator[Callable[[User], Socket]]:
    """Return a maker of WebSocket connections, all closed after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda user: stack.enter_context(deployment.open_socket(services["backend"], user))
