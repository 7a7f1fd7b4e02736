"""The fixtures: `real_services`, `real_llm`, `users`, `matrix_endpoints` and `matrix_reality`, the same in every environment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from envmatrix.contracts import Contract, Reality, RealLLM, RealServices
    from envmatrix.plugin.endpoints import Endpoints
    from envmatrix.plugin.process import Process
    from envmatrix.services.users import Users


def _process(request: pytest.FixtureRequest) -> Process:
    process: Process | None = request.config.pluginmanager.getplugin("envmatrix-process")
    if process is None:
        pytest.fail(
            f"fixture {request.fixturename!r} needs an environment and none is selected: "
            "pass --matrix-environment NAME, or set MATRIX_ENVIRONMENT",
            pytrace=False,
        )
    return process


def _provide(request: pytest.FixtureRequest, fixture: str) -> Iterator[Contract]:
    process = _process(request)
    from envmatrix.plugin.left_over import LEFT
    from envmatrix.plugin.values import build

    with ExitStack() as scope:
        value = build(process, fixture, scope)
        yield value
        request.node.stash.setdefault(LEFT, []).extend(process.isolation.reset(value.used_meanings))


@pytest.fixture
def real_services(request: pytest.FixtureRequest) -> Iterator[RealServices]:
    """The services of the selected environment: URLs, clients, tokens, and whether each is really there.

    Synchronous on purpose, and a client belongs to the loop that uses it: plain tests, pytest-asyncio and anyio all work.
    """
    yield from _provide(request, "real_services")  # type: ignore[misc]  # the contract of that name


@pytest.fixture
def real_llm(request: pytest.FixtureRequest) -> Iterator[RealLLM]:
    """The language model of the selected environment, with the official client."""
    yield from _provide(request, "real_llm")  # type: ignore[misc]  # the contract of that name


@pytest.fixture
def users(real_services: RealServices) -> Users:
    """Fresh users: each call signs one up; no two tests share one."""
    factory: Users | None = real_services["users"]
    if factory is None:
        pytest.skip(f"environment {real_services['environment']!r} makes no users: it declares no [users]")
    return factory


@pytest.fixture(scope="session")
def matrix_endpoints(request: pytest.FixtureRequest) -> Endpoints:
    """Each service's endpoint by its name, for fixtures of any scope: `matrix_endpoints["redis"].url.get_secret_value()`.

    Of a service that has a wall to offer it is the worker's own part, as a database of its own, which nobody empties.
    """
    return _process(request).endpoints


@pytest.fixture
def matrix_reality(request: pytest.FixtureRequest, real_services: RealServices) -> Reality:
    """The facts that `real_services` is compared with: the declaration, the endpoints, and a ping of each service.

    For tests of an environment rather than of the product in it. A test that asks for it uses every service.
    """
    getattr(real_services, "values", list)()  # reading is what notes the use; a legacy object has no such register
    return _process(request).session.reality()
