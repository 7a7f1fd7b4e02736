"""A user who leaves takes all of their own data along, and nobody else's; what stays has no end of its own."""

import asyncio
from collections.abc import Callable

import pytest

from envmatrix.contracts import Reality
from envmatrix.services.clients import postgres, redis_client
from envmatrix.services.users import User, Users
from tests.e2e.conversation import within
from tests.e2e.test_identity_claims import STATE, everything_of, fill

pytestmark = [pytest.mark.requires("backend", "multi_user", "redis"), pytest.mark.anyio]


@pytest.fixture
def stored(matrix_reality: Reality) -> Callable[[User], list[int]]:
    """A count of what the product's own stores have of a user: threads, messages, keys."""

    def count(user: User) -> list[int]:
        with (
            postgres(matrix_reality.endpoints["database"]) as connection,
            redis_client(matrix_reality.endpoints["redis"]) as client,
        ):
            rows = connection.execute(
                "SELECT count(DISTINCT t.id), count(m.id) FROM backend.threads t"
                " LEFT JOIN backend.messages m ON m.thread_id = t.id WHERE t.user_id = %s",
                [user.id],
            ).fetchone()
            return [*rows, client.exists(f"state:{user.id}")]

    return count


@pytest.mark.requires("websocket", "llm", "database")
@within(15)
async def test_a_deletion_is_of_ones_own_data_and_of_all_of_it(
    users: Users, stored: Callable[[User], list[int]]
) -> None:
    """Nothing of the leaver is in the API or in a store; what others have is as it was."""
    leaver, *staying = users.many(3)
    await asyncio.gather(*map(fill, (leaver, *staying)))
    before = [everything_of(user) for user in staying]
    with leaver.client() as client:
        assert client.delete("/api/me").status_code == 204
        assert everything_of(leaver) == {"threads": [], "histories": [], "colour": {"detail": "no such key"}}
    assert [stored(user) for user in (leaver, *staying)] == [[0, 0, 0], [1, 2, 1], [1, 2, 1]]
    assert [everything_of(user) for user in staying] == before


def test_what_a_user_stores_does_not_expire(users: Users, matrix_reality: Reality) -> None:
    """A value stays until its user deletes it, or sets another."""
    user = users()
    with user.client() as client, redis_client(matrix_reality.endpoints["redis"]) as store:
        assert client.put(STATE, json={"value": "green"}).status_code == 200
        assert store.ttl(f"state:{user.id}") == -1
