"""Cases in which a service breaks in the middle of the suite."""

from envmatrix.runs.outcomes import Outcome
from tests.accuracy.case import Case, Remote, Truth
from tests.accuracy.declare import environment, remote, service

BEFORE = """
    import httpx
    import pytest

    def orders(services, **options):
        answer = services.http_client_sync.get("/orders", **options)
        assert answer.status_code == 200
        return answer.json()["orders"]

    def test_before(real_services):
        assert orders(real_services)[0]["total"] == 20
"""
ALONE = """
    def test_alone():
        pass
"""
_FINE = {"test_before": Truth.PASSED, "test_alone": Truth.PASSED}


def _during(name: str, injected: str, action: str, truth: Truth, rule: str, **more: object) -> Case:
    """Return a case: a test before, one that injects the fault and asks, one that needs nothing."""
    source = f"""{BEFORE}
    def test_during(real_services):
        {action}
        assert orders(real_services, timeout=1)[0]["total"] == 20
{ALONE}"""
    return Case(name, injected, truth, source, rule=rule, also=_FINE, **more)  # type: ignore[arg-type]


def _fault(words: str) -> str:
    return f'injure.faults("backend", "{words}")'


INFRASTRUCTURE, CONTRACT, UNDETERMINED = Truth.INFRASTRUCTURE, Truth.CONTRACT, Truth.UNDETERMINED
QUICK = environment(service(ping_deadline=0.5))
"""Timeout of a ping: a service that hangs makes each one take that long."""
PROXIED = environment(service(env={"UPSTREAM": "{app.url}"}), service("app"))
KILLED_BEFORE = f"""{BEFORE}
    def test_that_kills():
        injure.kill("backend")

    def test_after(real_services):
        orders(real_services)

    def test_after_too(real_services):
        orders(real_services)
{ALONE}"""

CASES = (
    _during("killed in a test", "SIGKILL, then a request", 'injure.kill("backend")', INFRASTRUCTURE, "I201"),
    Case(
        "killed between two tests",
        "SIGKILL after a test that had the service up",
        INFRASTRUCTURE,
        KILLED_BEFORE,
        also={**_FINE, "test_that_kills": Truth.PASSED},
    ),
    Case(
        "killed under two workers",
        "SIGKILL in one worker while another uses the service",
        INFRASTRUCTURE,
        f"""{BEFORE}
    import time

    @pytest.mark.parametrize("turn", range(6))
    def test_during(real_services, turn):
        injure.kill("backend")
        orders(real_services)
{ALONE}""",
        also={"test_alone": Truth.PASSED},
        arguments=("-n2", "-k", "not before"),
    ),
    Case(
        "killed, the error swallowed",
        "SIGKILL; the test catches the connection error and asserts on something else",
        INFRASTRUCTURE,
        f"""{BEFORE}
    def test_during(real_services):
        injure.kill("backend")
        try:
            found = orders(real_services)
        except httpx.TransportError:
            found = []
        assert found
{ALONE}""",
        rule="I201",
        also=_FINE,
    ),
    Case(
        "killed, asked by a client of the test's own",
        "SIGKILL; the test reads the URL and uses the standard library",
        INFRASTRUCTURE,
        f"""{BEFORE}
    import http.client
    from urllib.parse import urlsplit

    def test_during(real_services):
        injure.kill("backend")
        connection = http.client.HTTPConnection(urlsplit(real_services["backend_url"]).netloc, timeout=1)
        connection.request("GET", "/health")
{ALONE}""",
        rule="I201",
        also=_FINE,
    ),
    # Required and not available is a failure, never a skip: this is how suites stay green for weeks without a backend.
    Case(
        "killed, hidden by the test's own skip",
        "SIGKILL; the test catches the connection error and skips itself",
        INFRASTRUCTURE,
        f"""{BEFORE}
    def test_during(real_services):
        injure.kill("backend")
        try:
            orders(real_services)
        except httpx.TransportError:
            pytest.skip("no backend here")
{ALONE}""",
        also=_FINE,
    ),
    Case(
        "killed in a fixture of the test's own",
        "SIGKILL; a fixture that prepares orders fails in its set-up",
        INFRASTRUCTURE,
        f"""{BEFORE}
    @pytest.fixture
    def prepared(real_services):
        injure.kill("backend")
        real_services.http_client_sync.post("/orders").raise_for_status()

    def test_during(prepared):
        pass
{ALONE}""",
        rule="I201",
        also=_FINE,
    ),
    _during(
        "502 from a proxy in front of the dead backend",
        "the backend is killed, the proxy before it answers; the test fails by an assertion",
        'injure.kill("app")',
        INFRASTRUCTURE,
        "I201",
        environment=PROXIED,
    ),
    _during(
        "502 from a proxy that hides its backend",
        "the same, and only the proxy is declared: it is healthy by its own word",
        'injure.kill("app")',
        INFRASTRUCTURE,
        "I204",
        environment=environment(remote()),
        remotes=(
            Remote("app", "APP_URL"),
            Remote(env={"UPSTREAM": "APP_URL"}),
        ),
    ),
    _during(
        "hangs in a test", "it accepts and never answers", _fault("hang"), INFRASTRUCTURE, "I201", environment=QUICK
    ),
    _during(
        "stopped in a test",
        "SIGSTOP: the kernel accepts, nobody answers",
        'injure.pause_listener(real_services["backend_url"])',
        INFRASTRUCTURE,
        "I201",
        environment=QUICK,
    ),
    _during("crashes on a request", "SIGABRT in the product, each time", _fault("orders-crash"), Truth.LOGIC, "L403"),
    _during(
        "crashes on a request, once",
        "it ends with exit code 3; the next time it answers",
        "injure.crash_once()",
        Truth.LOGIC,
        "L403",
        outcome=Outcome.FAILED,
    ),
    Case(
        "crashes on a request, the next test goes on",
        "SIGABRT in the product; a later test has a service again",
        Truth.LOGIC,
        f"""{BEFORE}
    def test_during(real_services):
        injure.faults("backend", "orders-crash")
        orders(real_services)

    def test_later(real_services):
        injure.faults("backend")
        assert real_services.http_client_sync.get("/me").status_code == 200
{ALONE}""",
        rule="L403",
        also={**_FINE, "test_later": Truth.PASSED},
    ),
    _during("resets every connection", "RST on each, health too", _fault("reset"), INFRASTRUCTURE, "I201"),
    _during(
        "health says no", "all else still answers, and wrongly", _fault("unwell orders-500"), INFRASTRUCTURE, "I201"
    ),
    _during("health lies", "health says 200, all else a maintenance page", _fault("503"), INFRASTRUCTURE, "I204"),
    _during(
        "flapping",
        "every second answer is 503, health's too; the test fails by an assertion",
        _fault("flap") + "; orders(real_services, timeout=1)",
        INFRASTRUCTURE,
        "I207",
    ),
    _during(
        "answer cut short", "a body ends before its announced length", _fault("orders-cut"), INFRASTRUCTURE, "I205"
    ),
    _during("rate limited", "429 while everything is healthy", _fault("orders-429"), INFRASTRUCTURE, "I206"),
    _during(
        "one path resets",
        "RST on one path while every service answers: proxy, product, kernel?",
        _fault("orders-reset"),
        UNDETERMINED,
        "U501",
    ),
    _during(
        "one path resets after another answered",
        "a whole answer, then RST on the next request: nothing was cut short",
        _fault("orders-reset") + '; assert real_services.http_client_sync.get("/me").status_code == 200',
        UNDETERMINED,
        "U501",
    ),
    Case(
        "one path is slower than the test waits",
        "0.6 s on one path, a timeout of 0.2 s: an impatient test or a slow product?",
        UNDETERMINED,
        f"""{BEFORE}
    def test_during(real_services):
        injure.faults("backend", "orders-slow")
        orders(real_services, timeout=0.2)
{ALONE}""",
        rule="U501",
        also=_FINE,
    ),
    _during(
        "a gateway's 502 that has gone",
        "one path says 502 while health and the protected path are fine",
        _fault("orders-502"),
        UNDETERMINED,
        "U502",
    ),
    _during(
        "truncated JSON", "a whole answer, of type JSON, that is none", _fault("orders-truncated"), CONTRACT, "C105"
    ),
    _during(
        "token revoked in a test",
        "the fixture's token is refused from now on",
        _fault("tokens-refused"),
        CONTRACT,
        "C106",
    ),
    Case(
        "redeployed in the middle",
        "another commit answers in the end; every test passes",
        UNDETERMINED,
        f"""{BEFORE}
    def test_during(real_services):
        injure.faults("backend", "redeployed")
        orders(real_services)
""",
        whole=True,
    ),
)
