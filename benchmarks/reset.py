"""What emptying a worker's part of a store costs between two tests, against one round trip to the same server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.rows import Row, in_turns, seconds
from envmatrix.environments import load_environment
from envmatrix.services import Endpoint, get_kind
from envmatrix.services.kinds.base import Isolated
from envmatrix.services.supervisor import Owner, SupervisorClient

_DIRECTORY = Path("environments")
_ROUNDS = 50
_TABLES = 20


def measure() -> Iterable[Row]:
    """Reset after each of some rounds of writing; the round trip is the floor that nothing can go below."""
    owner = Owner()
    try:
        endpoints = _endpoints(owner, "database", "redis")
        with _isolated("database", endpoints) as part, _postgres(part.endpoint) as (write, ask):
            yield _row("reset of 20 tables, 2 dirty", part, write, "SELECT 1", ask)
        with _isolated("redis", endpoints) as part, _redis(part.endpoint) as (write, ask):
            yield _row("reset of Redis, 20 keys", part, write, "PING", ask)
    finally:
        owner.close()


def _row(name: str, part: Isolated, write: Callable[[], object], peer: str, ask: Callable[[], object]) -> Row:
    def reset() -> float:
        write()
        return seconds(part.reset)

    reset()
    medians = in_turns(_ROUNDS, {"reset": reset, "round trip": lambda: seconds(ask)})
    ours, floor = medians["reset"] * 1000, medians["round trip"] * 1000
    return Row(name, ours, peer, floor, "ms", "at most 1 ms", _ROUNDS)


def _endpoints(owner: Owner, *names: str) -> dict[str, Endpoint]:
    states = SupervisorClient(owner.run_dir, "local", _DIRECTORY).start(names).states
    for state in states.values():
        if not state.is_up:
            raise state.as_error()
    return {name: state.endpoint for name, state in states.items() if state.endpoint is not None}


@contextmanager
def _isolated(service: str, endpoints: dict[str, Endpoint]) -> Iterator[Isolated]:
    spec = load_environment("local", _DIRECTORY).services[service]
    with get_kind(spec.kind, service).isolate(spec, endpoints[service], "bench") as part:
        yield part


_Actions = tuple[Callable[[], object], Callable[[], object]]


@contextmanager
def _postgres(endpoint: Endpoint) -> Iterator[_Actions]:
    import psycopg

    with psycopg.connect(endpoint.field("url"), autocommit=True) as connection:
        for number in range(_TABLES):
            connection.execute(f"CREATE TABLE table_{number} (id serial PRIMARY KEY, word text)")

        def write() -> None:
            connection.execute("INSERT INTO table_3 (word) VALUES ('dirt')")
            connection.execute("INSERT INTO table_7 (word) VALUES ('dirt')")

        yield write, lambda: connection.execute("SELECT 1").fetchone()


@contextmanager
def _redis(endpoint: Endpoint) -> Iterator[_Actions]:
    import redis

    with redis.Redis.from_url(endpoint.field("url")) as client:

        def write() -> None:
            client.mset({f"{endpoint.prefix}{number}": "dirt" for number in range(_TABLES)})

        yield write, client.ping
