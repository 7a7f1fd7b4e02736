"""Fixtures of the behaviour suite, which knows the product and no environment."""

import pytest


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark all of it, so that `-m e2e` selects it."""
    item.add_marker(pytest.mark.e2e)


@pytest.fixture
def anyio_backend() -> str:
    """Run the asynchronous tests under asyncio."""
    return "asyncio"
