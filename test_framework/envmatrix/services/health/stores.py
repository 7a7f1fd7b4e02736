"""Write, read and delete in a store, in a part of our own that another part must not see."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from envmatrix.environments import ServiceSpec
from envmatrix.services.clients import clickhouse, postgres, redis_client
from envmatrix.services.endpoint import Endpoint
from envmatrix.services.health.checks import CheckError, tried
from envmatrix.services.health.status import Check
from envmatrix.services.kinds.registry import kind_of


@dataclass(frozen=True, slots=True)
class Store:
    """How to use a kind of store: write one thing under a name, and count what is there under it."""

    write: Callable[[Endpoint, str], object]
    count: Callable[[Endpoint, str], int]


def _postgres_write(endpoint: Endpoint, name: str) -> None:
    with postgres(endpoint) as connection:
        connection.execute(f"CREATE TABLE {name} AS SELECT 1 AS id".encode())


def _postgres_count(endpoint: Endpoint, name: str) -> int:
    with postgres(endpoint) as connection:
        if connection.execute("SELECT to_regclass(%s)", [name]).fetchone() == (None,):
            return 0
        row = connection.execute(f"SELECT count(*) FROM {name}".encode()).fetchone()  # noqa: S608  our own name
    return int(row[0]) if row else 0


def _redis_write(endpoint: Endpoint, name: str) -> None:
    with redis_client(endpoint) as client:
        client.set(endpoint.prefix + name, "1")


def _redis_count(endpoint: Endpoint, name: str) -> int:
    with redis_client(endpoint) as client:
        return int(client.exists(endpoint.prefix + name))


def _clickhouse_write(endpoint: Endpoint, name: str) -> None:
    with clickhouse(endpoint) as client:
        client.command(f"CREATE TABLE {name} ENGINE = MergeTree ORDER BY id AS SELECT 1 AS id")


def _clickhouse_count(endpoint: Endpoint, name: str) -> int:
    with clickhouse(endpoint) as client:
        if client.command(f"EXISTS TABLE {name}") != 1:
            return 0
        return client.query(f"SELECT id FROM {name}").row_count  # noqa: S608  our own name


_STORES: Mapping[str, Store] = {
    "postgres": Store(_postgres_write, _postgres_count),
    "redis": Store(_redis_write, _redis_count),
    "clickhouse": Store(_clickhouse_write, _clickhouse_count),
}


def store_checks(spec: ServiceSpec, endpoint: Endpoint) -> Iterator[Check]:
    """Yield whether a store keeps, isolates and deletes; nothing for a service that is none."""
    if store := _STORES.get(spec.kind):
        yield tried(spec.name, "write, read, delete", lambda: _round_trip(store, spec, endpoint))
        yield tried(spec.name, "isolation", lambda: _isolation(store, spec, endpoint))


def _round_trip(store: Store, spec: ServiceSpec, endpoint: Endpoint) -> str:
    name = f"canary_{secrets.token_hex(8)}"
    with kind_of(spec).isolate(spec, endpoint, "health") as part:
        store.write(part.endpoint, name)
        if store.count(part.endpoint, name) != 1:
            raise CheckError("what was written is not there")
        part.reset()
        if store.count(part.endpoint, name):
            raise CheckError("what was deleted is still there")
    return ""


def _isolation(store: Store, spec: ServiceSpec, endpoint: Endpoint) -> str:
    name, isolate = f"canary_{secrets.token_hex(8)}", kind_of(spec).isolate
    with isolate(spec, endpoint, "health") as part, isolate(spec, endpoint, "health") as other:
        store.write(part.endpoint, name)
        if store.count(other.endpoint, name):
            raise CheckError("what one run writes another can read")
        other.reset()
        if not store.count(part.endpoint, name):
            raise CheckError("what one run deletes is gone for another")
    return ""
