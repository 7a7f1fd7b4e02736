"""Fixtures that all conformance tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Run the asynchronous tests under asyncio only; the clients are tested under trio elsewhere."""
    return "asyncio"


@pytest.fixture
def after_reset() -> Iterator[list[Callable[[], int]]]:
    """Call the given counters after `real_services` is torn down; each must return zero. Request it before `real_services`."""
    counts: list[Callable[[], int]] = []
    yield counts
    assert [count() for count in counts] == [0] * len(counts), "what a test left is still there for the next one"
