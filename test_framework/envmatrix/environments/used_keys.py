"""Which keys of a `[services.NAME]` table its kind and its source use: one that does nothing is a mistake."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points

from envmatrix.environments.service import CONTAINERS, ServiceSpec, Source

KIND_GROUP = "envmatrix.kinds"
"""The entry point group of kinds that packages add."""

OUR_KINDS = frozenset({"http", "postgres", "redis", "clickhouse", "openai"})

_STARTED = frozenset({Source.PROCESS, Source.STUB})
_CONNECTED = frozenset({Source.REMOTE, Source.ABSENT})
_SOURCES = {
    **dict.fromkeys(("preload", "start_after", "tls"), _STARTED),
    **dict.fromkeys(("command", "env"), _STARTED | {Source.CONTAINER}),
    "service": frozenset({Source.COMPOSE}),
    "image": frozenset({Source.CONTAINER}),
    "port": CONTAINERS,
    **dict.fromkeys(("url", "ca_file", "verify"), _CONNECTED),
    "start_deadline": _STARTED | CONTAINERS | {Source.EMBEDDED},
    "max_rss": _STARTED | {Source.EMBEDDED},
}
"""Key → the sources that use it."""
_KINDS = {
    **dict.fromkeys(("ready", "api", "protected", "websocket", "openapi", "flags", "p95_ms"), frozenset({"http"})),
    **dict.fromkeys(("health", "identity", "verify"), frozenset({"http", "openai"})),
    **dict.fromkeys(("api_key", "model"), frozenset({"openai"})),
    **dict.fromkeys(("settings", "max_connections"), frozenset({"postgres", "redis"})),
    "extensions": frozenset({"postgres"}),
    "options": frozenset[str](),
}
"""Key → which of our kinds use it; a kind of another package may use any."""


def known_kinds() -> tuple[str, ...]:
    """Return the names of all kinds, ours and those of installed packages, sorted."""
    return tuple(sorted({*OUR_KINDS, *entry_points(group=KIND_GROUP).names}))


def unused_keys(spec: ServiceSpec) -> Iterator[tuple[str, str]]:
    """Yield each declared key that does nothing, with the setting for which it does nothing."""
    for key in sorted(spec.model_fields_set):
        if setting := _unused_for(spec, key):
            yield key, setting


def usable_keys(spec: ServiceSpec) -> list[str]:
    """Return the keys that a service of this kind and source may declare."""
    return [key for key in ServiceSpec.model_fields if key != "name" and not _unused_for(spec, key)]


def _unused_for(spec: ServiceSpec, key: str) -> str:
    """Return the setting for which a key does nothing; empty where it is used."""
    if spec.source not in _SOURCES.get(key, Source):
        return f"source = {spec.source.value!r}"
    if spec.kind in OUR_KINDS and spec.kind not in _KINDS.get(key, OUR_KINDS):
        return f"kind = {spec.kind!r}"
    return ""
