"""What the conformance tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Run the asynchronous tests under asyncio: the clients are the same under trio, and tested there elsewhere."""
    return "asyncio"


@pytest.fixture
def after_reset() -> Iterator[list[Callable[[], int]]]:
    """Take counts once `real_services` is gone, and demand that each is zero. Ask for this fixture before that one."""
    counts: list[Callable[[], int]] = []
    yield counts
    assert [count() for count in counts] == [0] * len(counts), "what a test left is still there for the next one"
