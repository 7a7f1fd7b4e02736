"""Cases in which the product or the test is wrong while every service is healthy."""

from dataclasses import replace

from tests.accuracy.case import Case, Truth
from tests.accuracy.declare import environment, service

BEFORE = """
    import pytest

    def test_before(real_services):
        assert real_services.http_client_sync.get("/orders").status_code == 200
"""
ALONE = """
    def test_alone():
        pass
"""
FINE = {"test_before": Truth.PASSED, "test_alone": Truth.PASSED}
TWO = environment(service(), service("mail", protected=None))


def _logic(name: str, injected: str, test: str, rule: str = "L401", **more: object) -> Case:
    """Return a case of a test that passes, the one that fails, and one that uses nothing."""
    return Case(name, injected, Truth.LOGIC, f"{BEFORE}\n{test}\n{ALONE}", rule=rule, **{"also": FINE, **more})  # type: ignore[arg-type]


def _product(name: str, injected: str, fault: str) -> Case:
    test = f"""
    def test_during(real_services):
        injure.faults("backend", "{fault}")
        answer = real_services.http_client_sync.get("/orders")
        assert (answer.status_code, answer.json()["orders"][0]["total"]) == (200, 20)
"""
    return _logic(name, injected, test)


def _mistake(name: str, injected: str, test: str) -> Case:
    """Return a case that leaves its services alone, and so can share a run with the others."""
    return replace(_logic(name, injected, test), shared="mistakes")


def _plain(name: str, injected: str, body: str, argument: str = "real_services") -> Case:
    return _mistake(name, injected, f"\n    def test_during({argument}):\n        {body}\n")


CASES = (
    _product("product answers wrongly", "a wrong total in a whole answer", "orders-wrong"),
    _product("product fails", "500 on one path while health is fine", "orders-500"),
    _product("product lost a path", "404 where the API promises an answer", "orders-404"),
    _plain("wrong assertion", "of a test that uses no service", "assert 1 == 2", argument=""),
    _plain(
        "wrong assertion on a right answer",
        "the test's own mistake",
        "assert real_services.http_client_sync.get('/orders').json()['orders'] == []",
    ),
    _plain(
        "KeyError in the test",
        "a field that the API never had",
        "real_services.http_client_sync.get('/orders').json()['order']",
    ),
    _plain(
        "assertion that speaks of a 502",
        "words that look like an outage",
        "assert 'HTTP 502 Bad Gateway: connection refused' == 'ok'",
    ),
    _plain(
        "test's own 401",
        "a request with a token of nobody; the fixture's own is fine",
        "assert real_services.http_client_sync.get('/me', headers={'Authorization': 'Bearer of-nobody'}).status_code == 200",
    ),
    _plain(
        "test parses what is no JSON",
        "its own text, no answer of a service",
        "import json; json.loads('{broken')",
        argument="",
    ),
    _plain(
        "test parses its own text after an answer",
        "the answer was whole JSON, the test's text is not",
        "import json; real_services.http_client_sync.get('/orders').json(); json.loads('{broken')",
    ),
    _plain(
        "assertion that speaks of a cut answer",
        "words of a client's error, in a text of the test's own",
        "assert 'peer closed connection without sending complete message body' in ''",
        argument="",
    ),
    _plain(
        "assertion that speaks of a timeout",
        "pytest.fail with the first word that pytest-timeout's begins with",
        "pytest.fail('Timeout of an order must be 30 days, and is 20')",
    ),
    _logic(
        "rate limit asked for, its header missing",
        "429 is right here, and the product forgot Retry-After",
        """
    def test_during(real_services):
        injure.faults("backend", "orders-429")
        answer = real_services.http_client_sync.get("/orders")
        assert answer.status_code == 429
        assert answer.headers["Retry-After"] == "1"
""",
    ),
    _mistake(
        "the project's own 429",
        "an exception of the product's code, raised in the test's own process",
        """
    class HTTPException(Exception):
        status_code = 429

    def test_during():
        raise HTTPException("the limiter's third call is one too many")
""",
    ),
    _logic(
        "wrong while an optional service is down",
        "the test reads every field, as tests for dicts do, and is wrong about the orders",
        """
    def test_during(real_services):
        services = dict(real_services)
        assert services["http_client_sync"].get("/orders").json()["orders"] == []
""",
        environment=environment(service(), service("mail", required=False, protected=None)),
        faults={"mail": "exits"},
    ),
    _mistake(
        "the project's own OperationalError",
        "an exception of that name that has nothing to do with a connection",
        """
    class OperationalError(Exception):
        pass

    def test_during(real_services):
        assert real_services.http_client_sync.get("/orders").status_code == 200
        raise OperationalError("the order cannot be shipped")
""",
    ),
    _mistake(
        "the project's own ConnectionError",
        "an exception of that name in a test that uses no service",
        """
    class ConnectionError(Exception):
        pass

    def test_during():
        raise ConnectionError("these two nodes of the graph are not connected")
""",
    ),
    _mistake(
        "built-in TimeoutError of the test",
        "raised by the test's own clock, without any connection",
        """
    def test_during():
        raise TimeoutError("the animation took longer than 16 ms")
""",
    ),
    _logic(
        "no service used while one is down",
        "the backend is killed; a test beside it fails by itself",
        """
    def test_kills():
        injure.kill("backend")

    def test_during():
        assert 1 == 2
""",
        also={**FINE, "test_kills": Truth.PASSED},
    ),
    _logic(
        "a service down that the test did not use",
        "the mail service is killed; the test speaks to the backend alone",
        """
    def test_during(real_services):
        injure.kill("mail")
        assert real_services.http_client_sync.get("/orders").json()["orders"] == []
""",
        environment=TWO,
    ),
    _mistake(
        "fixture of the test's own fails in set-up",
        "a wrong assertion in it",
        """
    @pytest.fixture
    def prepared(real_services):
        assert real_services.http_client_sync.get("/orders").json()["orders"] == []

    def test_during(prepared):
        pass
""",
    ),
    _mistake(
        "fixture of the test's own fails in teardown",
        "after a test that passed",
        """
    @pytest.fixture
    def prepared(real_services):
        yield real_services
        raise RuntimeError("could not tidy up")

    def test_during(prepared):
        assert prepared.http_client_sync.get("/orders").status_code == 200
""",
    ),
    _mistake(
        "passes although strictly expected to fail",
        "the bug is mended, the mark is still there",
        "\n    @pytest.mark.xfail(strict=True)\n    def test_during():\n        pass\n",
    ),
    _logic(
        "socket left behind",
        "a test passes and leaves a connection to the service open",
        """
    import socket
    from urllib.parse import urlsplit

    LEFT = []

    def test_during(real_services):
        place = urlsplit(real_services["backend_url"])
        LEFT.append(socket.create_connection((place.hostname, place.port), 1))
""",
        rule="L402",
    ),
)
