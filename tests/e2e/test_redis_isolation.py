"""Redis, with the product on one side and the tests of several workers on the other."""

import asyncio

import pytest
import redis

from envmatrix.contracts import Reality, RealServices
from envmatrix.services import Endpoint, get_kind
from envmatrix.services.users import User, Users
from tests.e2e.conversation import within

pytestmark = [pytest.mark.requires("redis"), pytest.mark.anyio]


def connect(endpoint: Endpoint) -> redis.Redis:
    """Return a client of one endpoint."""
    options = {"ssl_ca_certs": endpoint.ca_file} if endpoint.ca_file else {}
    return redis.Redis.from_url(endpoint.url.get_secret_value(), decode_responses=True, socket_timeout=5, **options)


@pytest.mark.fault("cross-worker-collision")
def test_a_tests_keys_are_its_workers_alone(real_services: RealServices, matrix_reality: Reality) -> None:
    """Two neighbours use the same names at the same time, and each reads and deletes only what is theirs."""
    spec, whole = matrix_reality.environment.services["redis"], matrix_reality.endpoints["redis"]
    own = real_services.redis
    assert own is not None
    with (
        get_kind(spec.kind).isolate(spec, whole, "neighbour") as part,
        connect(own) as mine,
        connect(part.endpoint) as theirs,
    ):
        ours, others = own.prefix + "counter", part.endpoint.prefix + "counter"
        assert [mine.incr(ours) for _ in range(3)] == [1, 2, 3]
        assert theirs.incr(others) == 1
        mine.delete(ours)
        assert theirs.get(others) == "1"
        part.reset()
        assert theirs.exists(others) == 0


@pytest.mark.requires("backend", "multi_user")
def test_the_products_keys_are_not_in_a_tests_part(
    real_services: RealServices, matrix_reality: Reality, users: Users
) -> None:
    """What a user stores through the product is in its own database: no reset of ours can reach it."""
    user = users()
    with user.client() as client:
        assert client.put("/api/state/colour", json={"value": "green"}).status_code == 200
        own = real_services.redis
        assert own is not None
        with connect(own) as mine, connect(matrix_reality.endpoints["redis"]) as product:
            assert [key for key in mine.scan_iter(f"{own.prefix}*") if user.id in key] == []
            assert product.exists(f"state:{user.id}") == 1
        assert client.get("/api/state/colour").json() == {"key": "colour", "value": "green"}


@pytest.mark.requires("backend", "multi_user")
@within(10)
async def test_the_same_key_of_several_users_at_once(users: Users) -> None:
    """Thirty writes of one name: each user reads the last of their own, and none of another's."""
    people = users.many(3)

    async def write(user: User) -> object:
        async with user.async_client() as client:
            for number in range(10):
                assert (await client.put("/api/state/one", json={"value": [user.id, number]})).status_code == 200
            return (await client.get("/api/state/one")).json()["value"]

    assert await asyncio.gather(*map(write, people)) == [[user.id, 9] for user in people]


@pytest.mark.requires("backend", "multi_user")
def test_a_key_that_was_never_set_is_not_found(users: Users) -> None:
    """404, also where another user has set it; a name that could be part of a pattern is no name."""
    owner, stranger = users.many(2)
    with owner.client() as mine, stranger.client() as theirs:
        mine.put("/api/state/own", json={"value": 1})
        assert theirs.get("/api/state/own").status_code == 404
        assert theirs.get("/api/state/*").status_code == 422
