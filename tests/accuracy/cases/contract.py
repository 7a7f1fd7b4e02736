"""Cases in which a fixture breaks its contract, or the environment refuses what the contract needs."""

from envmatrix.runs.outcomes import Outcome
from tests.accuracy.case import Case, Truth
from tests.accuracy.declare import TINY

USES = """
    def test_orders(real_services):
        assert real_services["http_client_sync"].get("/orders").status_code == 200

    def test_alone():
        pass
"""
TWICE = (
    USES
    + """
    def test_me(real_services):
        assert real_services["http_client_sync"].get("/me").status_code == 200
"""
)
_ALONE = {"test_alone": Truth.PASSED}


def _contract(name: str, injected: str, rule: str, tests: str = USES, **more: object) -> Case:
    return Case(name, injected, Truth.CONTRACT, tests, rule=rule, **{"also": _ALONE, **more})  # type: ignore[arg-type]


def _override(name: str, injected: str, change: str, *, rule: str = "C102", use: str = "") -> Case:
    """Return a case whose fixture yields a dict that differs from ours in one thing.

    Its fixture stands in the test's own module, so that it concerns no other and all of these share a run.
    """
    fixture = f"""
    import httpx
    import pytest

    @pytest.fixture
    def real_services(real_services):
        services = dict(real_services)
        {change}
        return services
"""
    return _contract(name, injected, rule, fixture + (use or TWICE), shared="overrides")


CASES = (
    _contract(
        "fixture missing",
        "a test asks for what nobody provides",
        "C101",
        "def test_orders(real_servces): pass\ndef test_alone(): pass",
        shared="missing fixtures",
    ),
    _contract(
        "fixture missing, asked for at run time",
        "by getfixturevalue",
        "C101",
        'def test_orders(request): request.getfixturevalue("seed_orders")\ndef test_alone(): pass',
        shared="missing fixtures",
    ),
    _contract(
        "fixture missing in a fixture",
        "a fixture of the conftest asks for what nobody provides",
        "C101",
        "def test_orders(seeded): pass\ndef test_alone(): pass",
        conftest="""
            import pytest

            @pytest.fixture
            def seeded(seed_orders):
                return seed_orders
        """,
    ),
    _contract(
        "fixture missing, hidden by skip",
        "the mark would hide it for ever",
        "C101",
        "import pytest\n@pytest.mark.skip(reason='later')\ndef test_orders(seed_orders): pass\ndef test_alone(): pass",
        shared="missing fixtures",
    ),
    _contract(
        "fixture missing, hidden by xfail",
        "expecting a failure is not expecting this one",
        "C101",
        "import pytest\n@pytest.mark.xfail\ndef test_orders(seed_orders): pass\ndef test_alone(): pass",
        shared="missing fixtures",
    ),
    _contract(
        "legacy fixture",
        "a conftest's own dict of three fields",
        "C102",
        TWICE,
        conftest="""
            import httpx
            import pytest

            @pytest.fixture
            def real_services():
                return {"environment": "tiny", "database_available": True, "http_client_sync": httpx.Client()}
        """,
    ),
    _override("field missing", "auth_url is gone", 'del services["auth_url"]'),
    _override("field of a wrong type", "redis_available is a text", 'services["redis_available"] = "no"'),
    _override("flag untrue: available", "says that Redis is there", 'services["redis_available"] = True'),
    _override("flag untrue: required", "says that the database is required", 'services["database_required"] = True'),
    _override(
        "URL of another server", "the backend's URL is staging's", 'services["backend_url"] = "http://127.0.0.1:1"'
    ),
    _override("URL is None", "the service is declared and up", 'services["backend_url"] = None'),
    _override("environment of another name", "says staging", 'services["environment"] = "staging"'),
    _override(
        "client of another server",
        "the client's base URL is typed into the fixture",
        'services["http_client_sync"] = httpx.Client(base_url="http://127.0.0.1:1")',
    ),
    # The test is right to take the fixture's word for it that the token is good.
    _override(
        "token typed into the fixture",
        "a literal instead of a token of this environment; the product refuses it",
        'services["test_jwt_token"] = "eyJ-staging-token"',
        rule="",
        use="""
    def test_orders(real_services):
        headers = {"Authorization": f"Bearer {real_services['test_jwt_token']}"}
        with httpx.Client(base_url=real_services["backend_url"], headers=headers) as client:
            assert client.get("/orders").status_code == 200

    def test_alone():
        pass
""",
    ),
    # A contract's fixture that hands out nothing keeps none of its promises, and a skip would hide it in every run.
    _contract(
        "fixture that skips",
        "a conftest's fixture skips whoever asks for it, though every service is up",
        "",
        conftest="""
            import pytest

            @pytest.fixture
            def real_services():
                pytest.skip("not ported to this environment yet")
        """,
    ),
    _contract(
        "broken fixture, hidden by xfail",
        "expecting a failure is not expecting a broken fixture",
        "C102",
        """
        import pytest

        @pytest.mark.xfail
        def test_orders(real_services):
            raise AssertionError("known")

        def test_alone():
            pass
        """,
        conftest="""
            import pytest

            @pytest.fixture
            def real_services():
                return {"environment": "tiny"}
        """,
    ),
    # With one process the run is refused before it plans anything: no cell, exit code 4, and so no verdict.
    Case(
        "unknown capability in a marker",
        "a typo would skip the test in every environment, for ever; pytest refuses the run",
        Truth.UNDETERMINED,
        "import pytest\n@pytest.mark.requires('databse')\ndef test_orders(): pass\ndef test_alone(): pass",
        whole=True,
    ),
    _contract(
        "unknown capability with two workers",
        "a worker cannot refuse the run: the test itself says it",
        "C104",
        "import pytest\n@pytest.mark.requires('databse')\ndef test_orders(): pass\ndef test_alone(): pass",
        arguments=("-n2",),
    ),
    _contract(
        "token refused from the start",
        "sign-up and login work, the token does not",
        "C106",
        faults={"backend": "tokens-refused"},
    ),
    _contract("sign-up refused", "403: users cannot be made", "C107", faults={"backend": "signup-403"}),
    _contract("login of another shape", "an answer without a token", "C107", faults={"backend": "login-shape"}),
    _contract(
        "users declared at a wrong path",
        "sign-up answers 401 at a path that the service does not have",
        "C107",
        environment=TINY.replace('signup = "/signup"', 'signup = "/register"'),
    ),
    _contract(
        "an API that lets anybody in",
        "the protected path answers 200 without a token; the conformance suite asks",
        "C103",
        "",
        faults={"backend": "open"},
        also={},
        outcome=Outcome.FAILED,
        arguments=(
            "--pyargs",
            "envmatrix.conformance.test_fixture_cross_environment_compatibility",
            "-k",
            "http_client_sync_carries",
        ),
    ),
)
