import pytest
from tinyredis import Redis

INFO = {}


def pytest_addoption(parser):
    parser.addoption("--redis-url", default="redis://localhost:6379/9", help="Redis connection string")
    parser.addoption("--protocol", type=int, default=2)


def pytest_sessionstart(session):
    client = Redis(session.config.getoption("--redis-url"))
    INFO.update(client.info())
    client.close()


def skip_if_server_version_lt(version):
    found = tuple(map(int, INFO["redis_version"].split(".")))
    return pytest.mark.skipif(found < tuple(map(int, version.split("."))), reason=f"Redis version {version} required")


@pytest.fixture(scope="module")
def server(request):
    client = Redis(request.config.getoption("--redis-url"), request.config.getoption("--protocol"))
    yield client
    client.close()


@pytest.fixture
def r(server):
    server.execute("FLUSHDB")
    yield server
    server.execute("FLUSHDB")
