"""Services: how each kind starts, connects, pings and isolates; the supervisor that owns them; their users.

Plugins and kinds of other packages use the names below; the plugin room asks the supervisor's client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envmatrix.runs.ping import Ping as Ping
    from envmatrix.runs.ping import PingStatus as PingStatus
    from envmatrix.services.endpoint import Endpoint as Endpoint
    from envmatrix.services.kinds.base import Kind as Kind
    from envmatrix.services.kinds.base import StartContext as StartContext
    from envmatrix.services.kinds.left import Left as Left
    from envmatrix.services.kinds.registry import get_kind as get_kind
    from envmatrix.services.kinds.registry import kind_of as kind_of
    from envmatrix.services.kinds.registry import known_kinds as known_kinds
    from envmatrix.services.processes.launch import Launch as Launch

# The supervisor starts the fork server before it imports anything slow: each name is imported when it is first used.
_HOMES = {
    "Ping": "envmatrix.runs.ping",
    "PingStatus": "envmatrix.runs.ping",
    "Endpoint": "envmatrix.services.endpoint",
    "Kind": "envmatrix.services.kinds.base",
    "Launch": "envmatrix.services.processes.launch",
    "Left": "envmatrix.services.kinds.left",
    "StartContext": "envmatrix.services.kinds.base",
    "get_kind": "envmatrix.services.kinds.registry",
    "kind_of": "envmatrix.services.kinds.registry",
    "known_kinds": "envmatrix.services.kinds.registry",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605  one list is enough


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
