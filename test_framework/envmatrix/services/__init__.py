"""Services: one module per kind, each knowing how to start, connect to, ping and isolate; and the supervisor."""

from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.services.kinds.base import Endpoint, Kind, Launch, Left, StartContext
from envmatrix.services.kinds.registry import get_kind, known_kinds

__all__ = ["Endpoint", "Kind", "Launch", "Left", "Ping", "PingStatus", "StartContext", "get_kind", "known_kinds"]
