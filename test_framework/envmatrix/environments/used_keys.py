"""Which keys of a `[services.NAME]` table its kind and its source use: one that does nothing is a mistake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from urllib.parse import urlsplit

from envmatrix.environments.service import NO_ADDRESS, ServiceSpec, Source

KIND_GROUP = "envmatrix.kinds"
"""The entry point group of kinds that packages add."""

KINDS: Mapping[str, frozenset[str]] = {
    "http": frozenset(
        {
            *("health", "health_status", "health_command", "follow_redirects", "identity", "ready"),
            *("auth", "headers", "timeout", "client_cert", "client_key"),
            *("verify", "api", "protected", "websocket", "openapi", "flags", "p95_ms"),
        }
    ),
    "openai": frozenset({"health", "identity", "verify", "api_key", "model"}),
    "postgres": frozenset({"settings", "max_connections", "extensions"}),
    "redis": frozenset({"settings", "max_connections"}),
    "clickhouse": frozenset(),
    "tcp": frozenset({"banner", "verify"}),
    "job": frozenset(),
    "background": frozenset(),
    "mysql": frozenset(),
    "grpc": frozenset({"identity"}),
    "s3": frozenset({"verify"}),
    "amqp": frozenset({"identity", "management", "verify"}),
}
"""Our kinds → the keys that it uses beside those that no kind claims. A kind of another package may use any key."""

_STARTED = frozenset({"command", "env", "preload", "needs", "start_after", "tls", "start_deadline", "max_rss"})
_OF_ADDRESSES = frozenset({"ping_deadline", "tls", "port"})
"""Keys of all kinds that have an address."""
_CONNECTED = frozenset({"url", "ca_file", "verify"})
SOURCES: Mapping[Source, frozenset[str]] = {
    Source.EMBEDDED: frozenset({"start_deadline", "max_rss"}),
    Source.PROCESS: _STARTED,
    Source.REMOTE: _CONNECTED,
    Source.COMPOSE: frozenset({"service", "port", "needs", "start_deadline"}),
    Source.CONTAINER: frozenset({"image", "port", "command", "env", "needs", "start_deadline"}),
    Source.STUB: _STARTED,
    Source.ABSENT: _CONNECTED,
}
"""Source → the keys that it uses beside those that no source claims."""


_PLAIN = frozenset({"http", "redis", "tcp", "grpc", "amqp"})
"""Schemes of URLs without TLS."""

_CERTIFICATES = frozenset({"ca_file", "client_cert", "client_key", "verify"})
"""Keys that are about certificates."""


def known_kinds() -> tuple[str, ...]:
    """Return the names of all kinds, ours and those of installed packages, sorted."""
    return tuple(sorted({*KINDS, *entry_points(group=KIND_GROUP).names}))


def unused_keys(spec: ServiceSpec) -> Iterator[tuple[str, str]]:
    """Yield each declared key that does nothing, with the setting for which it does nothing."""
    for key in sorted(spec.model_fields_set):
        if setting := _unused_for(spec, key):
            yield key, setting


def usable_keys(spec: ServiceSpec) -> list[str]:
    """Return the keys that a service of this kind and source may declare."""
    return [key for key in ServiceSpec.model_fields if key not in {"name", "driver"} and not _unused_for(spec, key)]


def kinds_with(key: str) -> tuple[str, ...]:
    """Return our kinds that use a key, all of them where none claims it."""
    if key in _OF_ADDRESSES:
        return tuple(kind for kind in KINDS if kind not in NO_ADDRESS)
    return tuple(kind for kind, keys in KINDS.items() if key in keys) or (() if key == "options" else tuple(KINDS))


def sources_with(key: str) -> tuple[Source, ...]:
    """Return the sources that use a key, all of them where none claims it."""
    return tuple(source for source, keys in SOURCES.items() if key in keys) or tuple(Source)


def _unused_for(spec: ServiceSpec, key: str) -> str:
    """Return the setting for which a key does nothing; empty where it is used."""
    if spec.source not in sources_with(key):
        return f"source = {spec.source.value!r}"
    if spec.kind in KINDS and spec.kind not in kinds_with(key):
        return f"kind = {spec.kind!r}"
    scheme = urlsplit(spec.url.get_secret_value()).scheme if spec.url else ""
    if scheme in _PLAIN and key in _CERTIFICATES and (not spec.verify if key == "verify" else getattr(spec, key)):
        return f"url = '{scheme}://…', which has no certificate"
    return ""
