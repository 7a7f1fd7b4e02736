"""The fingerprint of services: settings, schema, flags and documents, which two environments may differ in. Only reads."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

from envmatrix.environments import ServiceSpec
from envmatrix.masking import MASKER
from envmatrix.runs.events import Fingerprint
from envmatrix.services.clients import postgres
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.kinds.clickhouse.kind import query
from envmatrix.services.probes.auth import ask
from envmatrix.services.probes.http import HttpProbe
from envmatrix.services.probes.probe import Observation, probe
from envmatrix.services.probes.reason import NoAnswerError
from envmatrix.services.stores import SETTINGS

_DEADLINE = 2.0
"""Seconds for all of it: a run waits for it at its end."""

_MOST_BYTES = 1 << 19
"""Bytes of a document; each run file has it."""

_MOST_NAMES = 5_000
"""Columns, constraints and indexes of a schema; of a larger one nothing is read."""

_RELEVANT = {
    "postgres": (
        *(
            "datestyle",
            "default_transaction_isolation",
            "idle_in_transaction_session_timeout",
            "lc_collate",
            "lc_ctype",
        ),
        *("max_connections", "search_path", "server_encoding", "statement_timeout", "timezone", "wal_level"),
    ),
    "redis": (
        "appendonly",
        "databases",
        "maxclients",
        "maxmemory",
        "maxmemory-policy",
        "notify-keyspace-events",
        "save",
    ),
}
"""Kind → the settings that change what a product sees; those of a declaration come on top."""

_POSTGRES_SCHEMA = b"""
WITH ours AS (
    SELECT c.oid, c.relkind, n.nspname || '.' || c.relname AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^(pg|envmatrix)_' AND n.nspname <> 'information_schema'
)
SELECT 'column ' || ours.name || '.' || attname,
       concat_ws(' ', format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN 'not null' END,
                 'default ' || pg_get_expr(adbin, adrelid))
FROM pg_attribute JOIN ours ON attrelid = ours.oid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p', 'v', 'm', 'f')
UNION ALL
SELECT 'constraint ' || ours.name || '.' || conname, pg_get_constraintdef(pg_constraint.oid)
FROM pg_constraint JOIN ours ON conrelid = ours.oid WHERE contype <> 'n'
UNION ALL
SELECT 'index ' || ours.name, pg_get_indexdef(oid) FROM ours WHERE relkind IN ('i', 'I')
ORDER BY 1 LIMIT %s
"""
"""`not null` stands on the column: that it is a constraint, too (contype n), is new in PostgreSQL 18."""

_CLICKHOUSE_SCHEMA = """
SELECT 'column ' || table || '.' || name, concat(type, if(default_kind = '', '', ' ' || default_kind || ' ' || default_expression))
FROM system.columns WHERE database = currentDatabase() ORDER BY 1 LIMIT {} FORMAT JSONCompact
"""


def take_fingerprint(services: Mapping[str, tuple[ServiceSpec, Endpoint]]) -> Fingerprint:
    """Read what there is to read of services that are up, all at once, within two seconds."""
    jobs = [(*service, part) for service in services.values() for part in _READERS.get(service[0].kind, ())]
    fingerprint = Fingerprint({name: {} for name in services})
    with ThreadPoolExecutor(max_workers=len(jobs) or 1) as pool:
        for (spec, _, part), found in zip(jobs, pool.map(lambda job: _read(*job), jobs), strict=True):
            if isinstance(found, str):
                fingerprint.unread.setdefault(spec.name, {})[part] = found
            else:
                fingerprint.services[spec.name][part] = found
    return fingerprint


def _read(spec: ServiceSpec, endpoint: Endpoint, part: str) -> dict[str, Any] | str:
    """Return a part of the fingerprint, or why it could not be read."""
    found: list[dict[str, Any]] = []

    def observe() -> Observation:
        mask = functools.cache(MASKER.mask)  # a document says the same words a thousand times
        found.append(_masked(_READERS[spec.kind][part](spec, endpoint), mask))
        return Observation()

    ping = probe(spec, _DEADLINE, observe)
    return found[0] if ping.is_up else ping.detail


def _masked(value: Any, mask: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {mask(key): _masked(each, mask) for key, each in value.items()}
    return [_masked(each, mask) for each in value] if isinstance(value, list) else value


def _settings(spec: ServiceSpec, endpoint: Endpoint) -> dict[str, Any]:
    settings = SETTINGS[spec.kind](endpoint)
    if settings is None:
        raise NoAnswerError("its user may not read its settings")
    names = {*_RELEVANT[spec.kind], *map(str.lower, spec.settings)}
    extensions = {f"extension {name}": version for name, version in settings.extensions.items()}
    return {name: settings.values[name] for name in sorted(names & settings.values.keys())} | extensions


def _postgres_schema(spec: ServiceSpec, endpoint: Endpoint) -> dict[str, Any]:
    del spec
    with postgres(endpoint) as connection:
        return _bounded(connection.execute(_POSTGRES_SCHEMA, [_MOST_NAMES + 1]).fetchall())


def _clickhouse_schema(spec: ServiceSpec, endpoint: Endpoint) -> dict[str, Any]:
    del spec
    with HttpProbe(endpoint, _DEADLINE, _MOST_BYTES) as http:
        text = query(http, endpoint, _CLICKHOUSE_SCHEMA.format(_MOST_NAMES + 1))
    return _bounded(json.loads(text)["data"])


def _bounded(rows: list[Any]) -> dict[str, Any]:
    if len(rows) > _MOST_NAMES:
        raise NoAnswerError(f"its schema has more than {_MOST_NAMES} columns, constraints and indexes")
    return dict(rows)


def _openapi(spec: ServiceSpec, endpoint: Endpoint) -> dict[str, Any]:
    return _json_object(endpoint, spec.openapi, is_declared="openapi" in spec.model_fields_set)


def _flags(spec: ServiceSpec, endpoint: Endpoint) -> dict[str, Any]:
    return _json_object(endpoint, spec.flags, is_declared=True) if spec.flags else {}


def _json_object(endpoint: Endpoint, path: str, *, is_declared: bool) -> dict[str, Any]:
    """Return the object at a path; an empty one where there is none, unless the declaration says that there is."""
    with HttpProbe(endpoint, _DEADLINE, _MOST_BYTES) as http:
        answer = ask(http, endpoint, endpoint.field("url") + path)
    found = answer.json_object() if answer.status == HTTPStatus.OK else None
    if found is None and is_declared:
        raise NoAnswerError(f"GET {path} answers {answer.status} without a JSON object")
    return found or {}


_READERS: Mapping[str, Mapping[str, Callable[[ServiceSpec, Endpoint], dict[str, Any]]]] = {
    "postgres": {"settings": _settings, "schema": _postgres_schema},
    "redis": {"settings": _settings},
    "clickhouse": {"schema": _clickhouse_schema},
    "http": {"openapi": _openapi, "flags": _flags},
}
"""Kind → part of the fingerprint → what reads it."""
