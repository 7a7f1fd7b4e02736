"""Settings of a store against what is declared, and how much of its capacity is in use. Only reads."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from envmatrix.environments import ServiceSpec
from envmatrix.services.clients import postgres, redis_client
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.health.checks import DifferenceError, NotSeenError, NotTriedError, tried
from envmatrix.services.health.status import Check

_FULL = 0.9
"""Share of a capacity from which it is worth a word."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a running server."""

    values: Mapping[str, str]
    """By their names in lower case."""
    shown: tuple[str, ...]
    """Those to show where nothing is declared."""
    used: Mapping[str, tuple[int, int]]
    """What is limited → how much of it is in use, and the limit."""
    extensions: frozenset[str] = frozenset()


def setting_checks(spec: ServiceSpec, endpoint: Endpoint) -> Iterator[Check]:
    """Yield whether a server is configured as declared, and has room left; nothing of one that has no settings."""
    if read := _READERS.get(spec.kind):
        seen = functools.cache(functools.partial(_seen, spec, read, endpoint))
        yield tried(spec.name, "settings", lambda: _compare(spec, seen()))
        yield tried(spec.name, "capacity", lambda: _room(seen()))


def _seen(spec: ServiceSpec, read: Callable[[Endpoint], Settings | None], endpoint: Endpoint) -> Settings:
    if (settings := read(endpoint)) is not None:
        return settings
    what = "its user may not read its settings"
    raise NotSeenError(what) if spec.settings else NotTriedError(what)


def _compare(spec: ServiceSpec, seen: Settings) -> str:
    declared = {name.lower(): str(value) for name, value in spec.settings.items()}
    differences = [
        f"{name} is {seen.values.get(name, 'no setting of it')}, declared {value}"
        for name, value in declared.items()
        if seen.values.get(name) != value
    ]
    differences += [f"extension {name} is not installed" for name in spec.extensions if name not in seen.extensions]
    if differences:
        raise DifferenceError("; ".join(differences))
    return ", ".join(f"{name} {seen.values.get(name) or 'none'}" for name in declared or seen.shown)


def _room(seen: Settings) -> str:
    text = ", ".join(f"{used} of {limit} {what}" for what, (used, limit) in seen.used.items())
    if any(used >= _FULL * limit for used, limit in seen.used.values()):
        raise DifferenceError(text)
    return text


def _postgres(endpoint: Endpoint) -> Settings:
    with postgres(endpoint) as connection:
        values = connection.execute(
            "SELECT lower(name), current_setting(name) FROM pg_settings UNION ALL "
            "SELECT 'lc_collate', datcollate FROM pg_database WHERE datname = current_database() UNION ALL "
            "SELECT 'lc_ctype', datctype FROM pg_database WHERE datname = current_database()"
        ).fetchall()
        extensions = connection.execute("SELECT extname FROM pg_extension").fetchall()
        sessions = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        ).fetchall()
    settings = dict(values)
    return Settings(
        settings,
        ("server_encoding", "timezone", "lc_collate", "max_connections"),
        {"connections": (sessions[0][0], int(settings["max_connections"]))},
        frozenset(name for (name,) in extensions),
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


_READERS: Mapping[str, Callable[[Endpoint], Settings | None]] = {"postgres": _postgres, "redis": _redis}
