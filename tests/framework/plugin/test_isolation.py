"""A worker's part of a server that is not ours is dropped at once, also when the worker or all of pytest is killed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from envmatrix.environments import ServiceSpec, Source
from envmatrix.services import get_kind
from tests.framework.project import Project
from tests.framework.services.place import eventually
from tests.framework.services.servers import running

KIND = get_kind("redis")


@pytest.fixture
def shared(tmp_path_factory: pytest.TempPathFactory, project: Project) -> Iterator[redis.Redis]:
    """A Redis server that others use too, as its administrator sees it; the project declares it remote."""
    spec = ServiceSpec(name="redis", kind="redis", source=Source.EMBEDDED)
    with running(KIND, spec, tmp_path_factory.mktemp("cache")) as server:
        url = server.endpoint.field("url")
        toml = project.root / "environments/tiny.toml"
        absent = 'kind = "redis"\nsource = "absent"'
        assert absent in toml.read_text()
        toml.write_text(toml.read_text().replace(absent, f'kind = "redis"\nsource = "remote"\nurl = "{url}"'))
        with redis.Redis.from_url(url, decode_responses=True) as admin:
            yield admin


@pytest.mark.fault("lock-held-by-failed-test")
def test_a_failed_tests_open_transaction_is_not_the_next_ones_failure(project: Project) -> None:
    """The next test gets an empty database and passes; a test is told what it left open, whether it passed or failed.

    A real PostgreSQL server: the whole takes its start.
    """
    project.write("environments/tiny.toml", '[services.database]\nkind = "postgres"\nsource = "embedded"\n')
    project.write(
        "test_a.py",
        """
        import psycopg
        import pytest

        KEPT = []

        def connect(services):
            KEPT.append(psycopg.connect(services.database.url.get_secret_value()))
            return KEPT[-1]

        def pay(connection):
            connection.execute("CREATE TABLE IF NOT EXISTS orders (state text)")
            connection.execute("INSERT INTO orders VALUES ('new')")
            connection.commit()
            connection.execute("UPDATE orders SET state = 'paid'")

        def test_pays(real_services):
            pay(connect(real_services))
            assert False

        @pytest.mark.leaves("rows", "sockets")
        def test_next(real_services):
            pay(connect(real_services))

        def test_last(real_services):
            with connect(real_services) as connection:
                assert connection.execute("SELECT count(*) FROM orders").fetchone() == (0,)
        """,
    )
    project.pytest()
    assert {
        name.rpartition("::")[2]: cell.evidence and cell.evidence.rule for name, cell in project.run.cells.items()
    } == {
        "test_pays": "L401",
        "test_next": "L402",
        "test_last": None,
    }
    for test in ("test_pays", "test_next"):
        left = project.run.cells[f"test_a.py::{test}"].evidence
        assert left is not None
        assert left.summary.endswith(f"{test} left behind: 1 transaction not finished of database")


@pytest.mark.usefixtures("shared")
def test_a_part_is_made_for_who_reads_it(project: Project) -> None:
    """A test that reads none waits for none; of threads that read it at once, all get the same."""
    project.write(
        "test_a.py",
        """
        import sys
        from concurrent.futures import ThreadPoolExecutor

        def test_reads_none(real_services):
            assert real_services.redis_available
            assert "redis" not in sys.modules

        def test_reads_it(real_services):
            with ThreadPoolExecutor() as threads:
                users = set(threads.map(lambda _: real_services.redis.user, range(8)))
            (user,) = users
            assert user.startswith("envmatrix_")
        """,
    )
    project.pytest().assert_outcomes(passed=2)


@pytest.mark.fault("runner-sigkill")
@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["pytest", "worker"])
def test_the_part_of_a_killed_process_is_dropped_by_who_survives(
    project: Project, shared: redis.Redis, workers: tuple[str, ...]
) -> None:
    """Its login and its keys go with the run, and nobody else's; it need not wait for a run of tomorrow.

    Each of the two is a whole pytest with a supervisor.
    """
    shared.acl_setuser("somebody", enabled=True, nopass=True)
    shared.set("somebody:key", "1")
    project.write(
        "test_a.py",
        """
        import os
        import redis

        def test_killed(real_services):
            with redis.Redis.from_url(real_services.redis.url.get_secret_value()) as part:
                part.set(f"{real_services.redis.prefix}key", "1")
                assert real_services.redis.user.startswith("envmatrix_")
            os.kill(os.getpid(), 9)
        """,
    )
    project.pytest(*workers)
    assert eventually(lambda: shared.acl_users() == ["default", "somebody"])
    assert shared.keys() == ["somebody:key"]
