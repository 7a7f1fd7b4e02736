"""Takes a forked child out of the run: the run is its parent's, and the threads of the parent are not in the child."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from envmatrix.safety.unpatched import weakly

_OURS = "envmatrix-"
"""The beginning of the names of our plugins."""

_FIXTURES = "envmatrix-fixtures"
"""The one that a child keeps: it has no state, and without it a test would lack its fixtures."""


class ForkedChildren:
    """Unregisters our plugins in a child that a test forks: one that comes back into pytest records nothing."""

    def __init__(self, config: pytest.Config, restore: Callable[[], None] = lambda: None) -> None:
        """`restore`: what else a child is to undo."""
        self._manager = config.pluginmanager
        self._restore = restore
        os.register_at_fork(after_in_child=weakly(self._leave))

    def _leave(self) -> None:
        self._restore()
        for name, plugin in self._manager.list_name_plugin():
            if plugin is not None and name.startswith(_OURS) and name != _FIXTURES:
                self._manager.unregister(plugin)
