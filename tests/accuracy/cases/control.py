"""Healthy cases that look odd: a tool that calls them red is as useless as one that never does."""

from envmatrix.runs.outcomes import Outcome
from tests.accuracy.case import Case, Remote, Truth
from tests.accuracy.declare import absent, environment, remote, service

HEALTHY = """
    import asyncio

    import pytest

    def test_orders(real_services):
        assert real_services.http_client_sync.get("/orders").json()["orders"][0]["total"] == 20

    def test_async(real_services):
        async def ask():
            async with real_services.http_client as client:
                return await client.get("/me")
        assert asyncio.run(ask()).status_code == 200

    def test_two_users(users):
        first, second = users.many(2)
        with first.client() as client:
            assert client.get("/me").json()["user_id"] == first.id != second.id

    def test_alone():
        pass
"""

REFUSALS = """
    def test_refusals(real_services):
        client = real_services.http_client_sync
        assert client.get("/nothing").status_code == 404
        assert client.get("/me", headers={"Authorization": "Bearer of-nobody"}).status_code == 401
"""

CASES = (
    Case("healthy", "nothing", Truth.PASSED, HEALTHY, shared="healthy"),
    Case("healthy with two workers", "nothing", Truth.PASSED, HEALTHY, arguments=("-n2",)),
    Case(
        "healthy over TLS",
        "nothing; the certificate is signed by the run's own authority",
        Truth.PASSED,
        HEALTHY,
        environment=environment(
            service(tls=True, env={"CERT_FILE": "{backend.cert_file}", "KEY_FILE": "{backend.key_file}"})
        ),
    ),
    Case(
        "healthy remote deployment",
        "nothing; the service is somebody else's, its authority is declared",
        Truth.PASSED,
        HEALTHY,
        environment=environment(remote(ca_file="${CA_FILE}")),
        remotes=(Remote(tls=True),),
    ),
    Case("slow start within its deadline", "0.6 s until it listens", Truth.PASSED, HEALTHY, faults={"backend": "late"}),
    Case("slow answers", "0.15 s for every answer, health too", Truth.PASSED, HEALTHY, faults={"backend": "slow"}),
    Case(
        "latency spike",
        "one answer takes 0.75 s",
        Truth.PASSED,
        """
    def test_spike(real_services):
        injure.faults("backend", "spike")
        assert real_services.http_client_sync.get("/orders").status_code == 200
"""
        + HEALTHY,
    ),
    Case(
        "refusals that are right", "401 and 404 where the test expects them", Truth.PASSED, REFUSALS, shared="healthy"
    ),
    Case(
        "a rate limit that is asked for",
        "429, which the test expects",
        Truth.PASSED,
        """
        def test_limit(real_services):
            injure.faults("backend", "orders-429")
            assert real_services.http_client_sync.get("/orders").status_code == 429
            injure.faults("backend")
        """,
        shared="healthy",
    ),
    Case(
        "a fault that the product survives",
        "the connection is reset once, and the test tries again",
        Truth.PASSED,
        """
        import httpx
        import pytest

        def test_retry(real_services):
            injure.faults("backend", "orders-reset")
            with pytest.raises(httpx.TransportError):
                real_services.http_client_sync.get("/orders")
            injure.faults("backend")
            assert real_services.http_client_sync.get("/orders").status_code == 200
        """,
        shared="healthy",
    ),
    Case(
        "an expected failure",
        "a known product bug, under xfail",
        Truth.PASSED,
        """
        import pytest

        @pytest.mark.xfail(reason="known")
        def test_known(real_services):
            assert real_services.http_client_sync.get("/nothing").status_code == 200

        def test_orders(real_services):
            assert real_services.http_client_sync.get("/orders").status_code == 200
        """,
        outcome=Outcome.XFAILED,
        also={"test_orders": Truth.PASSED},
        shared="healthy",
    ),
    Case(
        "optional service down, nobody needs it",
        "a service that is declared optional ends at once",
        Truth.PASSED,
        HEALTHY,
        environment=environment(service(), service("mail", required=False, protected=None)),
        faults={"mail": "exits"},
    ),
    Case(
        "optional service down, a test requires it",
        "the same, and one test requires it by marker",
        Truth.PASSED,
        """
        import pytest

        @pytest.mark.requires("mail")
        def test_mail(real_services):
            assert real_services.http_client_sync.get("/orders").status_code == 200

        def test_orders(real_services):
            assert real_services.http_client_sync.get("/orders").status_code == 200
        """,
        outcome=Outcome.SKIPPED,
        also={"test_orders": Truth.PASSED},
        environment=environment(service(), service("mail", required=False, protected=None)),
        faults={"mail": "exits"},
    ),
    Case(
        "a capability that is absent here",
        "nothing; one test requires what this environment does not have",
        Truth.PASSED,
        """
        import pytest

        @pytest.mark.requires("redis")
        def test_redis(real_services):
            raise AssertionError("never reached")

        def test_orders(real_services):
            assert real_services.http_client_sync.get("/orders").status_code == 200
        """,
        outcome=Outcome.SKIPPED,
        also={"test_orders": Truth.PASSED},
        shared="healthy",
    ),
    Case(
        "a service without users",
        "nothing; the environment makes no users, and its API is open",
        Truth.PASSED,
        """
        def test_open(real_services):
            assert real_services.http_client_sync.get("/orders").status_code == 200
        """,
        environment=environment(service(protected=None), absent("redis", "redis"), users=""),
        faults={"backend": "open"},
    ),
)
