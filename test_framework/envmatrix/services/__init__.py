"""Services: how each kind starts, connects, pings and isolates; the supervisor that owns them; their users.

Plugins and kinds of other packages use the names below; the plugin room asks the supervisor's client.
"""

from envmatrix.services.endpoint import Endpoint
from envmatrix.services.kinds.base import Kind, StartContext
from envmatrix.services.kinds.registry import get_kind, known_kinds
from envmatrix.services.ping import Ping, PingStatus
from envmatrix.services.processes.launch import Launch

__all__ = ["Endpoint", "Kind", "Launch", "Ping", "PingStatus", "StartContext", "get_kind", "known_kinds"]
