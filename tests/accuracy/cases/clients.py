"""Cases in which a server refuses a client in words, or a client asks somebody who is not there."""

from dataclasses import replace

from tests.accuracy.case import Case, Remote, Truth
from tests.accuracy.cases.logic import ALONE, BEFORE, FINE
from tests.accuracy.cases.stores import REDIS
from tests.accuracy.declare import environment, remote, service, table

_CLOSES = """
    def test_during(real_services):
        import threading
        from websockets.sync.client import connect
        from websockets.sync.server import serve

        assert real_services.http_client_sync.get("/orders").status_code == 200
        with serve(lambda socket: socket.close({code}, "no"), "127.0.0.1", 0) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            with connect(f"ws://127.0.0.1:{{server.socket.getsockname()[1]}}") as socket:
                socket.recv(timeout=5)
"""
TLS = environment(service(tls=True, env={"CERT_FILE": "{backend.cert_file}", "KEY_FILE": "{backend.key_file}"}))


def _case(name: str, injected: str, truth: Truth, test: str, rule: str, **more: object) -> Case:
    """Return a case of a test that passes, the one that fails, and one that uses nothing."""
    return Case(name, injected, truth, f"{BEFORE}\n{test}\n{ALONE}", rule=rule, **{"also": FINE, **more})  # type: ignore[arg-type]


def _refused(name: str, injected: str, body: str, rule: str, **more: object) -> Case:
    """Return a case of a test's own client."""
    test = f"\n    def test_during(real_services):\n        assert real_services.backend_url\n        {body}\n"
    return _case(name, injected, Truth.LOGIC, test, rule, **{"shared": "clients", **more})


def _store(name: str, injected: str, declaration: str, body: str) -> Case:
    """Return a case of a test's own client of a store that is healthy."""
    tests = f"\n    def test_during(real_services):\n        {body}\n{ALONE}"
    also = {"test_alone": Truth.PASSED}
    return Case(name, injected, Truth.LOGIC, tests, rule="L404", environment=declaration, also=also)


CASES = (
    *(
        replace(
            _case(f"WebSocket closed with {code}", why, Truth.LOGIC, _CLOSES.format(code=code), "L404"),
            shared="clients",
        )
        for code, why in (
            (1008, "the server says that its policy is violated"),
            (1011, "the server says that it failed"),
        )
    ),
    _case(
        "WebSocket closed for a restart",
        "1012, while every service answers: the evidence conflicts",
        Truth.UNDETERMINED,
        _CLOSES.format(code=1012),
        "U501",
    ),
    _refused(
        "hard-coded address",
        "nobody listens where the test's own constant points",
        "import socket; socket.create_connection(('localhost', 9), 1)",
        "L405",
    ),
    _refused(
        "hard-coded Redis",
        "a client of Redis asks an address that the environment does not declare",
        "import redis; redis.Redis('localhost', 9, retry=None).ping()",
        "L405",
    ),
    _refused(
        "hard-coded database",
        "a client of PostgreSQL asks an address that the environment does not declare",
        "import psycopg; psycopg.connect('postgresql://x@localhost:9/x')",
        "L405",
    ),
    _refused(
        "unknown host", "a name that nobody knows", "import httpx; httpx.get('http://backend.invalid/orders')", "L405"
    ),
    _refused("no such protocol", "a URL without http", "import httpx; httpx.get('backend.example/orders')", "L405"),
    _refused(
        "own client does not trust the certificate",
        "a client of the test's own without the environment's authority",
        "import httpx; httpx.get(real_services.backend_url + '/orders', trust_env=False)",
        "L404",
        shared="",
        environment=TLS,
    ),
    _store(
        "wrong password of the test's own",
        "a client with a password of its own, which Redis refuses",
        REDIS,
        "import redis; r = real_services.redis; redis.Redis(r.host, r.port, password='wrong', retry=None).ping()",
    ),
    Case(
        "declared key refused",
        "the declaration has another API key than the language model's server takes",
        Truth.CONTRACT,
        f"{BEFORE}\n{ALONE}",
        rule="C108",
        environment=environment(
            remote(), table("llm", kind="openai", source="remote", url="${BACKEND_URL}/v1", api_key="wrong")
        ),
        remotes=(Remote(),),
        also={"test_alone": Truth.PASSED},
    ),
    Case(
        "remote certificate is not trusted",
        "its authority is none of the system's, and the declaration names no other",
        Truth.CONTRACT,
        f"{BEFORE}\n{ALONE}",
        rule="C108",
        environment=environment(remote()),
        remotes=(Remote(tls=True),),
        also={"test_alone": Truth.PASSED},
    ),
    _case(
        "a service that a marker names is killed",
        "SIGKILL; the test requires the service, and does not ask for the fixture",
        Truth.INFRASTRUCTURE,
        """
    @pytest.mark.requires("backend")
    def test_during():
        injure.kill("backend")
        assert 1 == 2
""",
        "I201",
    ),
    _case(
        "all services by the marker, one is killed",
        "SIGKILL; the test is marked with real_services, and does not ask for the fixture",
        Truth.INFRASTRUCTURE,
        """
    @pytest.mark.real_services
    def test_during():
        injure.kill("backend")
        assert 1 == 2
""",
        "I201",
    ),
    _case(
        "fixture of a narrower scope",
        "a module's fixture asks for a function's",
        Truth.CONTRACT,
        """
    @pytest.fixture
    def narrow():
        return 1

    @pytest.fixture(scope="module")
    def broad(narrow):
        return narrow

    def test_during(broad):
        pass
""",
        "C109",
        shared="unusable fixtures",
    ),
    _case(
        "asynchronous fixture in a plain test",
        "nothing awaits it",
        Truth.CONTRACT,
        """
    @pytest.fixture
    async def seed():
        return {"id": 1}

    def test_during(seed):
        assert seed["id"] == 1
""",
        "C109",
        shared="unusable fixtures",
    ),
)
