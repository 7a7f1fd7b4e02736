"""Services: one module per kind, each knowing how to start, connect to, ping and isolate; and the supervisor."""

from test_framework.services.base import Endpoint, Kind, Launch, Ping, PingStatus, StartContext
from test_framework.services.registry import get_kind, known_kinds

__all__ = ["Endpoint", "Kind", "Launch", "Ping", "PingStatus", "StartContext", "get_kind", "known_kinds"]
