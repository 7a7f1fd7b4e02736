"""PostgreSQL: each worker's tests have a part of their own, apart from the product's data."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from envmatrix.contracts import Reality, RealServices
from envmatrix.services import Endpoint, get_kind
from envmatrix.services.clients import postgres
from envmatrix.services.users import Users

pytestmark = pytest.mark.requires("database")


def own_part(services: RealServices) -> Endpoint:
    """Return this worker's part."""
    assert services.database is not None
    return services.database


def test_a_transaction_is_kept_or_undone_as_a_whole(real_services: RealServices) -> None:
    """A failed transaction leaves nothing; a committed one is there for the next connection, in any script."""
    part = own_part(real_services)
    with postgres(part) as connection:
        connection.execute("CREATE TABLE notes (id int PRIMARY KEY, text text)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO notes VALUES (1, 'lost'), (2, 'lost too'), (1, 'twice')")
        with connection.transaction():
            connection.execute("INSERT INTO notes VALUES (1, 'Grüße, 世界 🌍')")
    with postgres(part) as connection:
        assert connection.execute("SELECT * FROM notes").fetchall() == [(1, "Grüße, 世界 🌍")]
        connection.execute("DROP TABLE notes")


def test_many_connections_count_together(real_services: RealServices) -> None:
    """Eight at once add to one row, and no addition is lost."""
    part = own_part(real_services)
    with postgres(part) as connection:
        connection.execute("CREATE TABLE counter AS SELECT 0 AS n")

        def add(_: int) -> None:
            with postgres(part) as other:
                for _ in range(5):
                    other.execute("UPDATE counter SET n = n + 1")

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(add, range(8)))
        assert connection.execute("SELECT n FROM counter").fetchone() == (40,)
        connection.execute("DROP TABLE counter")


@pytest.mark.fault("cross-worker-collision")
def test_neighbours_use_the_same_names(real_services: RealServices, matrix_reality: Reality) -> None:
    """Two workers make the same table at the same time; each has its own rows, and a reset empties one of them."""
    spec, whole = matrix_reality.environment.services["database"], matrix_reality.endpoints["database"]
    part = own_part(real_services)
    with get_kind(spec.kind).isolate(spec, whole, "neighbour") as other:
        for number, endpoint in enumerate((part, other.endpoint)):
            with postgres(endpoint) as connection:
                connection.execute("CREATE TABLE same (n int)")
                connection.execute("INSERT INTO same VALUES (%s)", [number])
        other.reset()
        rows = []
        for endpoint in (part, other.endpoint):
            with postgres(endpoint) as connection:
                rows.append(connection.execute("SELECT n FROM same").fetchall())
                connection.execute("DROP TABLE same")
    assert rows == [[(0,)], []]


@pytest.mark.requires("auth", "multi_user")
def test_the_products_users_are_out_of_a_tests_reach(
    real_services: RealServices, matrix_reality: Reality, users: Users
) -> None:
    """A worker's part holds no table of the product: emptying it between tests cannot hurt anybody."""
    users()
    assert matrix_reality.endpoints["database"].url != own_part(real_services).url
    with postgres(own_part(real_services)) as connection:
        tables = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY(current_schemas(false))"
        ).fetchall()
    assert tables == []


@pytest.mark.requires("backend", "multi_user")
def test_the_backend_keeps_threads_in_postgresql(matrix_reality: Reality, users: Users) -> None:
    """A thread begun over the API is a row of its user's, there to be seen by whoever may look."""
    user = users()
    with user.client() as client:
        thread = client.post("/api/threads", json={"title": "Ünïcode 🌍"}).json()
    with postgres(matrix_reality.endpoints["database"]) as connection:
        row = connection.execute(
            "SELECT user_id::text, title FROM backend.threads WHERE id = %s", [thread["thread_id"]]
        ).fetchone()
    assert row == (user.id, "Ünïcode 🌍")
