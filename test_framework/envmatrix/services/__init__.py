"""Services: one module per kind, each knowing how to start, connect to, ping and isolate; and the supervisor."""

from envmatrix.services.kinds.base import Endpoint, Kind, Launch, Ping, PingStatus, StartContext
from envmatrix.services.kinds.registry import get_kind, known_kinds

__all__ = ["Endpoint", "Kind", "Launch", "Ping", "PingStatus", "StartContext", "get_kind", "known_kinds"]
