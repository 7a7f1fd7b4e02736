"""One embedded server for each module of tests: that of its `KIND`, declared by its `SPEC`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from envmatrix.services import Endpoint
from tests.framework.services.servers import Running, running


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that the whole module shares: initdb takes half a second."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def started(request: pytest.FixtureRequest, cache: Path) -> Iterator[Running]:
    """An embedded server, up, with its process."""
    with running(request.module.KIND, request.module.SPEC, cache) as server:
        yield server


@pytest.fixture
def server(started: Running) -> Endpoint:
    """Where it is."""
    return started.endpoint
