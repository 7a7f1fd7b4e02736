"""Checks that `database`, `redis`, `clickhouse` and `users` are isolated between workers, tests and users."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from envmatrix.causes import Breaker
from envmatrix.contracts import Reality, RealServices
from envmatrix.services import Endpoint, kind_of
from envmatrix.services.clients import clickhouse, postgres, redis_client
from envmatrix.services.users import Users

WORKERS = pytest.mark.parametrize("worker", ["neighbour", "main"], ids=["another worker", "another run"])
"""The other readers: a worker of another name, and one of the same name in another run."""


@contextmanager
def another(worker: str, reality: Reality, service: str) -> Iterator[Endpoint]:
    """Yield the part of a service that another worker would get; empty and remove it at the end.

    On a shared server this first removes what killed runs have left over.
    """
    spec = reality.environment.services[service]
    with kind_of(spec).isolate(spec, reality.endpoints[service], worker) as part:
        yield part.endpoint
        part.reset()


def part_of(services: RealServices, service: str) -> Endpoint:
    """Return this worker's part, which must be there where the service is."""
    endpoint: Endpoint | None = services[service]
    assert endpoint is not None, f"{service} is up, and the fixture has no endpoint of it"
    return endpoint


def canary() -> str:
    """Return a unique name."""
    return f"canary_{secrets.token_hex(8)}"


@WORKERS
@pytest.mark.requires("database")
@pytest.mark.promise("another worker sees this one's tables", Breaker.ENVIRONMENT)
def test_database_is_this_workers_own(real_services: RealServices, matrix_reality: Reality, worker: str) -> None:
    """A table made in it is seen there alone, not by another worker or run, and outlives their clean-up."""
    own, name = part_of(real_services, "database"), canary()

    def is_visible(endpoint: Endpoint) -> bool:
        with postgres(endpoint) as connection:
            return connection.execute("SELECT to_regclass(%s)", [name]).fetchone() != (None,)

    with postgres(own) as connection:
        connection.execute(f"CREATE TABLE {name} AS SELECT 1 AS id".encode())
        try:
            with another(worker, matrix_reality, "database") as other:
                parts = (own, other, matrix_reality.endpoints["database"])
                assert [is_visible(part) for part in parts] == [True, False, False]
            rows = connection.execute(f"SELECT id FROM {name}".encode()).fetchall()  # noqa: S608  our own name
            assert rows == [(1,)], "it went with the other"
        finally:
            connection.execute(f"DROP TABLE {name}".encode())


@WORKERS
@pytest.mark.requires("redis")
@pytest.mark.promise("another worker sees this one's keys", Breaker.ENVIRONMENT)
def test_redis_is_this_workers_own(real_services: RealServices, matrix_reality: Reality, worker: str) -> None:
    """A key set in it is seen there alone, not by another worker or run, and outlives their clean-up."""
    own, name = part_of(real_services, "redis"), canary()

    def is_visible(endpoint: Endpoint) -> bool:
        with redis_client(endpoint) as client:
            return client.get(endpoint.prefix + name) is not None

    with redis_client(own) as client:
        client.set(own.prefix + name, "1", ex=60)  # should this be the product's database after all, it goes by itself
        with another(worker, matrix_reality, "redis") as other:
            assert [is_visible(part) for part in (own, other, matrix_reality.endpoints["redis"])] == [
                True,
                False,
                False,
            ]
        assert is_visible(own), "it went with the other"


@WORKERS
@pytest.mark.requires("clickhouse")
@pytest.mark.promise("another worker sees this one's tables", Breaker.ENVIRONMENT)
def test_clickhouse_is_this_workers_own(real_services: RealServices, matrix_reality: Reality, worker: str) -> None:
    """A table made in it is seen there alone, not by another worker or run, and outlives their clean-up."""
    own, name = part_of(real_services, "clickhouse"), canary()

    def is_visible(endpoint: Endpoint) -> bool:
        with clickhouse(endpoint) as client:
            return bool(client.command(f"EXISTS TABLE {name}") == 1)

    with clickhouse(own) as client:
        client.command(f"CREATE TABLE {name} ENGINE = MergeTree ORDER BY id AS SELECT 1 AS id")
        try:
            with another(worker, matrix_reality, "clickhouse") as other:
                parts = (own, other, matrix_reality.endpoints["clickhouse"])
                assert [is_visible(part) for part in parts] == [True, False, False]
            rows = client.query(f"SELECT id FROM {name}").row_count  # noqa: S608  our own name
            assert rows == 1, "it went with the other"
        finally:
            client.command(f"DROP TABLE {name}")


@pytest.mark.leaves("rows")
@pytest.mark.requires("database")
@pytest.mark.promise("rows of one test are there for the next", Breaker.ENVIRONMENT)
def test_database_is_empty_for_the_next_test(after_reset: list[Callable[[], int]], real_services: RealServices) -> None:
    """Rows that a test leaves are gone once it is over, whatever table they are in."""
    own, name = part_of(real_services, "database"), canary()
    with postgres(own) as connection:
        connection.execute(f"CREATE TABLE {name} AS SELECT 1 AS id".encode())

    def left() -> int:
        with postgres(own) as connection:
            row = connection.execute(f"SELECT count(*) FROM {name}".encode()).fetchone()  # noqa: S608  our own name
            connection.execute(f"DROP TABLE {name}".encode())
        assert row is not None
        return int(row[0])

    after_reset.append(left)


@pytest.mark.leaves("keys")
@pytest.mark.requires("redis")
@pytest.mark.promise("keys of one test are there for the next", Breaker.ENVIRONMENT)
def test_redis_is_empty_for_the_next_test(after_reset: list[Callable[[], int]], real_services: RealServices) -> None:
    """Keys that a test leaves are gone once it is over."""
    own, name = part_of(real_services, "redis"), canary()
    with redis_client(own) as client:
        client.set(own.prefix + name, "1")

    def left() -> int:
        with redis_client(own) as client:
            return int(client.exists(own.prefix + name))

    after_reset.append(left)


@pytest.mark.leaves("rows")
@pytest.mark.requires("clickhouse")
@pytest.mark.promise("rows of one test are there for the next", Breaker.ENVIRONMENT)
def test_clickhouse_is_empty_for_the_next_test(
    after_reset: list[Callable[[], int]], real_services: RealServices
) -> None:
    """Rows that a test leaves are gone once it is over."""
    own, name = part_of(real_services, "clickhouse"), canary()
    with clickhouse(own) as client:
        client.command(f"CREATE TABLE {name} (id Int32) ENGINE = MergeTree ORDER BY id")
        client.command(f"INSERT INTO {name} VALUES (1)")  # noqa: S608  our own name

    def left() -> int:
        with clickhouse(own) as client:
            rows = client.query(f"SELECT id FROM {name}").row_count  # noqa: S608  our own name
            client.command(f"DROP TABLE {name}")
        return rows

    after_reset.append(left)


@pytest.mark.promise("users is there without [users], or missing with it", Breaker.FIXTURE)
def test_users_are_made_exactly_where_it_is_declared_how(real_services: RealServices, matrix_reality: Reality) -> None:
    """`users` is there with a [users] table in the declaration, and is None without one."""
    routes = matrix_reality.environment.users
    there = routes is not None and routes.service in matrix_reality.endpoints
    assert (real_services.users is not None) is there


@pytest.mark.requires("multi_user")
@pytest.mark.promise("two users share an id, an address or a token", Breaker.PRODUCT)
def test_users_are_distinct_also_when_made_at_once(users: Users, matrix_reality: Reality) -> None:
    """However they are made, no two share an id, an address, a password that is not declared, a token or a session."""
    made = [users("alone"), *users.many(3, "together")]
    routes = matrix_reality.environment.users
    fields = ("id", "email") if routes and routes.accounts else ("id", "email", "password")
    for field in fields:
        assert len({getattr(user, field) for user in made}) == len(made), field
    assert len({tuple(sorted(user.headers.items())) for user in made}) == len(made), "headers"


@pytest.mark.requires("multi_user")
@pytest.mark.promise("a token is of another user than the one it was given to", Breaker.PRODUCT)
def test_users_tokens_say_who_they_are(users: Users, matrix_reality: Reality) -> None:
    """Asked with its own token, the service that makes users knows each by its id, and names no other."""
    routes = matrix_reality.environment.users
    if routes is None or routes.me is None:
        pytest.skip("[users] declares no `me`: nobody to ask whose a token is")
    made = users.many(2)
    answers = []
    for user in made:
        with user.auth_client() as client:
            answers.append(client.get(routes.me).text)
    assert [[user.id in text for user in made] for text in answers] == [[True, False], [False, True]]


@pytest.mark.requires("multi_user")
@pytest.mark.promise("a run that ends takes another run's users with it", Breaker.ENVIRONMENT)
def test_users_outlive_another_run(users: Users, matrix_reality: Reality) -> None:
    """When another run ends and removes its users, this run's can still log in."""
    routes = matrix_reality.environment.users
    if routes is None or routes.me is None:
        pytest.skip("[users] declares no `me`: a run could not remove its users")
    user = users("stays")
    other = Users(user.target, "another-run")
    other("goes")
    other.close(delete=True)
    with user.auth_client() as client:
        assert client.get(routes.me).is_success
