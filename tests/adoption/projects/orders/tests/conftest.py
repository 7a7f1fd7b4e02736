import time
from uuid import uuid4

import httpx
import pytest
import redis


def pytest_addoption(parser):
    parser.addoption("--base-url", default="http://localhost:8080")
    parser.addoption("--redis-url", default="redis://:changethis@localhost:6379")


@pytest.fixture(scope="session")
def web(request):
    with httpx.Client(base_url=request.config.getoption("--base-url")) as client:
        yield client


@pytest.fixture(scope="session")
def db(request):
    with redis.Redis.from_url(request.config.getoption("--redis-url"), decode_responses=True) as client:
        yield client


@pytest.fixture
def order(web):
    name = uuid4().hex
    assert web.post(f"/cgi-bin/orders?{name}").text.strip() in {"taken", "packed"}
    return name


@pytest.fixture
def packed(web):
    def wait(name):
        end = time.monotonic() + 5
        while (state := web.get(f"/cgi-bin/orders?{name}").text.strip()) != "packed" and time.monotonic() < end:
            time.sleep(0.1)
        return state == "packed"

    return wait
