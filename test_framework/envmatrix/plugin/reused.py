"""Leave out the tests whose cells are reused from an earlier run."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

_TESTS = "envmatrix_reused"
"""The key under which the controller gives its xdist workers the tests."""


class LeftOut:
    """Deselects tests by their node ids; what is new beside them is run."""

    def __init__(self, tests: Collection[str]) -> None:
        self._tests = frozenset(tests)

    @classmethod
    def told(cls, workerinput: dict[str, Any]) -> LeftOut:
        """Make that of a worker of xdist, which was told the tests."""
        return cls(workerinput.pop(_TESTS))

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave them out before anybody asks what the tests need."""
        left_out = [item for item in items if item.nodeid in self._tests]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if item.nodeid not in self._tests]

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a new worker of xdist."""
        node.workerinput[_TESTS] = sorted(self._tests)
