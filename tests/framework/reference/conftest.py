"""One deployment of the reference system for each module of tests here: real stores, real services, two backend workers.

Not one for the session: xdist may come back to these tests after minutes of others, that have stopped whatever ran.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator

import httpx
import pytest

from envmatrix.services.processes.fork_server import ForkServer
from envmatrix.services.processes.supervisor_directory import SupervisorDirectory
from tests.framework.reference import deployment
from tests.framework.reference.deployment import Service, Services, Socket, User

LLM_KEY = "sk-test"
LIFETIME = 600


@pytest.fixture(scope="module")
def run_dir() -> Iterator[SupervisorDirectory]:
    """Make a directory in memory, gone after the tests: it has no owner, so another run may sweep it before."""
    run = SupervisorDirectory.create()
    yield run
    shutil.rmtree(run.path, ignore_errors=True)


@pytest.fixture(scope="module")
def launcher(run_dir: SupervisorDirectory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Return what starts services."""
    with contextlib.closing(ForkServer(deployment.MODULES, run_dir)) as fork_server:
        yield Services(fork_server, tmp_path_factory.mktemp("logs"))


@pytest.fixture(scope="module")
def services(launcher: Services, run_dir: SupervisorDirectory) -> Iterator[dict[str, Service]]:
    """Return auth, llm and backend, ready; all began at once."""
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(deployment.store("postgres", run_dir))
        redis = stack.enter_context(deployment.store("redis", run_dir))
        auth = stack.enter_context(
            launcher.running("auth", WORKERS="2", DATABASE_URL=database, ACCESS_TOKEN_SECONDS=str(LIFETIME))
        )
        llm = stack.enter_context(launcher.running("llm", LLM_API_KEY=LLM_KEY))
        backend = stack.enter_context(
            launcher.running(
                "backend",
                WORKERS="2",
                DATABASE_URL=database,
                REDIS_URL=redis,
                AUTH_URL=auth.url,
                LLM_URL=f"{llm.url}/v1",
                LLM_API_KEY=LLM_KEY,
            )
        )
        started = (auth, llm, backend)
        yield {service.module: service.ready() for service in started}
        for service in started:
            service.terminate()


@pytest.fixture(scope="module")
def auth(services: dict[str, Service]) -> Iterator[httpx.Client]:
    """Return a client of the auth service."""
    with httpx.Client(base_url=services["auth"].url, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
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
