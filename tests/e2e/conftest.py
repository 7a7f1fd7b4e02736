"""Fixtures of the behaviour suite, which knows the product and no environment."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the number of users that are there at the same time."""
    parser.addoption("--users", type=_at_least_two, default=4, metavar="N", help="users at the same time, at least 2")


def _at_least_two(text: str) -> int:
    if (number := int(text)) < 2:
        raise ValueError(text)
    return number


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark all of it, so that `-m e2e` selects it."""
    item.add_marker(pytest.mark.e2e)


@pytest.fixture
def anyio_backend() -> str:
    """Run the asynchronous tests under asyncio."""
    return "asyncio"
