"""Services: how each kind starts, connects, pings and isolates; the supervisor that owns them; their users.

Plugins and kinds of other packages use the names below; the plugin room asks the supervisor's client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from envmatrix import lazily

if TYPE_CHECKING:
    from envmatrix.runs.ping import Ping as Ping
    from envmatrix.runs.ping import PingStatus as PingStatus
    from envmatrix.services.endpoint import Endpoint as Endpoint
    from envmatrix.services.kinds.base import Kind as Kind
    from envmatrix.services.kinds.base import StartContext as StartContext
    from envmatrix.services.kinds.left import Left as Left
    from envmatrix.services.kinds.registry import get_kind as get_kind
    from envmatrix.services.kinds.registry import known_kinds as known_kinds
    from envmatrix.services.processes.launch import Launch as Launch

# The supervisor starts the fork server before it imports anything slow.
_HOMES = {
    "Ping": "runs.ping",
    "PingStatus": "runs.ping",
    "Endpoint": "services.endpoint",
    "Kind": "services.kinds.base",
    "Launch": "services.processes.launch",
    "Left": "services.kinds.left",
    "StartContext": "services.kinds.base",
    "get_kind": "services.kinds.registry",
    "known_kinds": "services.kinds.registry",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605  one list is enough

__getattr__ = lazily(__name__, _HOMES)
