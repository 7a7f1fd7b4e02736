"""What stores say of themselves: settings, and how much of their capacity is in use. Only reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from envmatrix.services.clients import postgres, redis_client
from envmatrix.services.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a running server."""

    values: Mapping[str, str]
    """By their names in lower case."""
    shown: tuple[str, ...]
    """Those to show where nothing is declared."""
    used: Mapping[str, tuple[int, int]]
    """What is limited → how much of it is in use, and the limit."""
    extensions: Mapping[str, str] = field(default_factory=dict)
    """Extension → version."""


def _postgres(endpoint: Endpoint) -> Settings:
    with postgres(endpoint) as connection:
        values = connection.execute(
            "SELECT lower(name), current_setting(name) FROM pg_settings UNION ALL "
            "SELECT 'lc_collate', datcollate FROM pg_database WHERE datname = current_database() UNION ALL "
            "SELECT 'lc_ctype', datctype FROM pg_database WHERE datname = current_database()"
        ).fetchall()
        extensions = connection.execute("SELECT extname, extversion FROM pg_extension").fetchall()
        sessions = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        ).fetchall()
    settings = dict(values)
    return Settings(
        settings,
        ("server_encoding", "timezone", "lc_collate", "max_connections"),
        {"connections": (sessions[0][0], int(settings["max_connections"]))},
        dict(extensions),
    )


def _redis(endpoint: Endpoint) -> Settings | None:
    from redis.exceptions import ResponseError

    with redis_client(endpoint) as client:
        try:
            found = client.config_get("*")  # older servers take one pattern only
        except ResponseError:  # a managed server, or a user without the right
            return None
        clients, memory = client.info("clients")["connected_clients"], client.info("memory")["used_memory"]
    values = {str(name): str(value or "") for name, value in found.items()}
    used = {"clients": (clients, int(values["maxclients"])), "bytes": (memory, int(values["maxmemory"]))}
    limited = {what: pair for what, pair in used.items() if pair[1]}  # 0 is no limit
    return Settings(values, ("maxmemory-policy", "maxmemory", "appendonly", "save"), limited)


SETTINGS: Mapping[str, Callable[[Endpoint], Settings | None]] = {"postgres": _postgres, "redis": _redis}
"""Kind → what reads its settings; `None` where its user may not read them."""
