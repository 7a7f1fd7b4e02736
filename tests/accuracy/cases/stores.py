"""Cases with real PostgreSQL and Valkey servers."""

from tests.accuracy.case import Case, Truth
from tests.accuracy.declare import environment, table

DATABASE = environment(table("database", kind="postgres", source="embedded", ping_deadline=0.5), users="")
REDIS = environment(table("redis", kind="redis", source="embedded", ping_deadline=0.5), users="")
BOTH = DATABASE + REDIS

ROWS = """
    import psycopg
    import pytest

    def connect(services):
        return psycopg.connect(services["database"].field("url"), connect_timeout=2)

    def test_before(real_services):
        with connect(real_services) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
"""
KEYS = """
    import pytest
    import redis

    def connect(services):
        return redis.Redis.from_url(services["redis"].field("url"), socket_timeout=1, retry=None)

    def test_before(real_services):
        with connect(real_services) as client:
            assert client.ping()
"""
ALONE = """
    def test_alone():
        pass
"""
_FINE = {"test_before": Truth.PASSED, "test_alone": Truth.PASSED}


def _rows(name: str, injected: str, truth: Truth, body: str, rule: str) -> Case:
    source = f"{ROWS}\n    def test_during(real_services):\n        with connect(real_services) as connection:\n{body}\n{ALONE}"
    return Case(name, injected, truth, source, rule=rule, also=_FINE, environment=DATABASE)


CASES = (
    Case(
        "healthy stores",
        "nothing; a database and a Redis of this worker's own",
        Truth.PASSED,
        ROWS + KEYS.replace("connect", "connect_redis").replace("test_before", "test_keys") + ALONE,
        environment=BOTH,
    ),
    _rows(
        "database killed",
        "SIGKILL of the whole server",
        Truth.INFRASTRUCTURE,
        """
            injure.kill_listener(real_services["database"].port)
            connection.execute("select 1")
        """,
        "I201",
    ),
    _rows(
        "database drops one connection",
        "an administrator ends it while the server is fine",
        Truth.UNDETERMINED,
        """
            with connect(real_services) as other:
                other.execute("select pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])
            connection.execute("select 1")
        """,
        "U501",
    ),
    _rows(
        "query of a table that is not there",
        "the test's own mistake, said by the database",
        Truth.LOGIC,
        """
            connection.execute("select * from no_such_table")
        """,
        "L401",
    ),
    _rows(
        "lock that the test itself holds",
        "LOCK … NOWAIT in two connections: an OperationalError by name, and no connection was lost",
        Truth.LOGIC,
        """
            connection.execute("create table locked ()")
            connection.commit()
            connection.execute("lock table locked")
            with connect(real_services) as other:
                other.execute("lock table locked nowait")
        """,
        "L401",
    ),
    Case(
        "redis stopped",
        "SIGSTOP: the kernel accepts, nobody answers",
        Truth.INFRASTRUCTURE,
        f"""{KEYS}
    def test_during(real_services):
        with connect(real_services) as client:
            injure.pause_listener(real_services["redis"].port)
            client.get("anything")
{ALONE}""",
        rule="I201",
        also=_FINE,
        environment=REDIS,
    ),
)
