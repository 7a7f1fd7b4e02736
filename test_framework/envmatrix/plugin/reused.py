"""Leaves out the tests whose cells are reused from an earlier run."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

_KEY = "envmatrix_reused"
"""The key under which the controller gives its xdist workers the tests."""


class ReusedTests:
    """Deselects the reused tests by their node ids; others are run, also new ones."""

    def __init__(self, tests: Collection[str]) -> None:
        self._tests = frozenset(tests)

    @classmethod
    def of_worker(cls, workerinput: dict[str, Any]) -> ReusedTests:
        """Return those that the controller gave a worker of xdist."""
        return cls(workerinput.pop(_KEY))

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Deselect them before anything asks what the tests need."""
        left_out = [item for item in items if item.nodeid in self._tests]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if item.nodeid not in self._tests]

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Give the tests to a new worker of xdist."""
        node.workerinput[_KEY] = sorted(self._tests)
