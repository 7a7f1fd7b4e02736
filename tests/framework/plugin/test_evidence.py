"""The contract held against any fixture of its name, and the evidence attached to failures."""

from collections.abc import Mapping

import pytest

from envmatrix.gate import Answer, judge
from envmatrix.runs.cells import Cell
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.project import Project, run_together

LEGACY = """
    import pytest

    @pytest.fixture
    def real_services():
        return {"environment": "tiny", "database_available": True}
"""

BROAD = """
    import pytest

    @pytest.fixture(scope="session")
    def real_services(request):
        from contextlib import ExitStack
        from envmatrix.plugin.values import build
        with ExitStack() as scope:
            yield dict(build(request.config.pluginmanager.getplugin("envmatrix-process"), "real_services", scope).items())
"""

OTHER_SERVER = """
    import httpx
    import pytest

    @pytest.fixture
    def real_services(real_services):
        with httpx.Client(base_url="http://127.0.0.1:9") as client:
            yield {**real_services, "http_client_sync": client}
"""

DROPPED = """
    def test_a(real_services):
        import threading
        from websockets.sync.client import connect
        from websockets.sync.server import serve

        real_services.http_client_sync.get("/me")
        with serve(lambda socket: socket.socket.shutdown(2), "127.0.0.1", 0) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            with connect(f"ws://127.0.0.1:{server.socket.getsockname()[1]}") as socket:
                socket.recv(timeout=20)
"""

ASKS = "def test_a(real_services): real_services.http_client_sync.get({path!r}){more}"

SHARED = {
    "legacy/conftest.py": LEGACY,
    "legacy/test_a.py": "def test_a(real_services): pass",
    "broken/conftest.py": LEGACY.replace("@pytest.fixture", "@pytest.fixture(scope='session')"),
    "broken/test_a.py": "def test_a(real_services): pass\ndef test_b(real_services): pass",
    "expected/conftest.py": LEGACY,
    "expected/test_a.py": """
    import pytest

    @pytest.mark.xfail(reason='known')
    def test_a(real_services): assert 0
    """,
    "skips/conftest.py": "import pytest\n@pytest.fixture\ndef real_services(): pytest.skip('not today')",
    "skips/test_a.py": "def test_a(real_services): pass",
    "other/conftest.py": OTHER_SERVER,
    "other/test_a.py": "def test_a(real_services): pass",
    "broad/conftest.py": BROAD,
    "broad/test_a.py": "def test_a(real_services): assert 0\ndef test_b(real_services): assert 0",
    "logic/test_a.py": "def test_a(real_services):\n    assert real_services.backend_url == 'x'\n",
    "cut/test_a.py": ASKS.format(path="/cut", more=""),
    "half/test_a.py": ASKS.format(path="/half", more=".json()"),
    "dropped/test_a.py": DROPPED,
    "elsewhere/test_a.py": """
    import socket

    def test_a(real_services):
        assert real_services.backend_url
        socket.create_connection(("localhost", 9), 1)
    """,
    "marked/test_a.py": """
    import pytest

    @pytest.mark.requires("backend")
    def test_a(): assert [1, 2] == [1, 3]

    @pytest.mark.real_services
    def test_b(): assert 0

    def test_c(): assert 0
    """,
    "unusable/test_a.py": """
    import pytest

    @pytest.fixture
    def narrow(): return 1

    @pytest.fixture(scope="module")
    def broad(narrow): return narrow

    @pytest.fixture
    async def seed(): return 1

    def test_a(broad): pass

    def test_b(seed): assert seed.id == 1
    """,
    "refusal/test_a.py": """
    def test_a(real_services): real_services.http_client_sync.post("/refused", json={}).raise_for_status()
    """,
}
"""One directory for each test below that leaves every service as it was: they share one start."""


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Cell]:
    """What became of them, by directory and test."""
    found = run_together(tmp_path_factory.mktemp("shared"), SHARED).cells
    return {name.replace("/test_a.py::", "/"): cell for name, cell in found.items()}


def test_a_refused_connection_elsewhere_is_the_tests_own_mistake(cells: Mapping[str, Cell]) -> None:
    """The address that nobody declared is told, with the declared one beside it."""
    evidence = cells["elsewhere/test_a"].evidence
    assert evidence is not None
    assert (cells["elsewhere/test_a"].cause, evidence.rule) == (Cause.LOGIC, "L405")
    assert "localhost:9 is no address of this environment (backend is at 127.0.0.1:" in evidence.summary


def test_a_marker_counts_as_use(cells: Mapping[str, Cell]) -> None:
    """What `requires` names, and all behind `real_services`, is looked at where the fixture is not asked for."""
    for name in ("marked/test_a", "marked/test_b"):
        cell = cells[name]
        assert cell.evidence is not None
        assert "backend" in {ping.service for ping in cell.evidence.pings if ping.is_up}
        assert "backend" in cell.attempts[0].services
    assert cells["marked/test_c"].evidence.pings == ()  # type: ignore[union-attr]


def test_the_summary_tells_where_two_values_differ(cells: Mapping[str, Cell]) -> None:
    """Its first line is cut, and says nothing of long values."""
    assert cells["marked/test_a"].evidence.summary.endswith("; At index 1 diff: 2 != 3")  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["unusable/test_a", "unusable/test_b"])
def test_a_fixture_that_the_test_cannot_use_is_contract(cells: Mapping[str, Cell], name: str) -> None:
    """One of too narrow a scope, and an asynchronous one in a plain test."""
    assert (cells[name].cause, cells[name].evidence.rule) == (Cause.CONTRACT, "C109")  # type: ignore[union-attr]


def test_the_beginning_of_an_errors_body_is_among_the_evidence(cells: Mapping[str, Cell]) -> None:
    """The server says there what it did not like."""
    exchanges = cells["refusal/test_a"].evidence.exchanges  # type: ignore[union-attr]
    assert exchanges[-1] == 'POST /refused → 403: {"error": "/refused"}'


def test_the_look_before_a_test_has_its_age(cells: Mapping[str, Cell]) -> None:
    """What was seen long before says little, and so it is told when it was."""
    (before,) = (ping for ping in cells["logic/test_a"].evidence.pings_before if ping.service == "backend")  # type: ignore[union-attr]
    assert before.age > 0


def test_a_conftest_that_breaks_the_contract_is_named_with_file_and_field(cells: Mapping[str, Cell]) -> None:
    """A legacy dict fixture without a field, or with an untrue flag, gives contract cells that name both."""
    cell = cells["legacy/test_a"]
    assert (cell.outcome, cell.cause) == (Outcome.FAILED, Cause.CONTRACT)
    assert cell.evidence is not None
    assert cell.evidence.rule == "C102"
    assert "legacy/conftest.py:" in cell.evidence.summary
    assert ", auth_url, " in cell.evidence.summary
    assert "C112 database_available is True, but database is not declared (tiny.toml)" in cell.evidence.summary


def test_a_broken_fixture_of_broad_scope_fails_everyone_who_gets_it(cells: Mapping[str, Cell]) -> None:
    """A session fixture is set up once, and its breach reaches the second test too."""
    assert [cells[name].cause for name in ("broken/test_a", "broken/test_b")] == [Cause.CONTRACT, Cause.CONTRACT]


def test_an_async_fixture_that_nobody_awaits_breaks_the_contract(project: Project) -> None:
    """A coroutine handed to a plain test is no RealServices."""
    project.write("conftest.py", "import pytest\n@pytest.fixture\nasync def real_services(): return {}")
    project.write("test_a.py", "def test_a(real_services): pass")
    project.pytest("-W", "ignore")
    cell = project.run.cells["test_a.py::test_a"]
    assert cell.outcome is Outcome.FAILED


@pytest.mark.fault("service-dies-mid-suite")
def test_a_killed_service_makes_infrastructure_cells_with_the_ping(project: Project) -> None:
    """When a service dies under a test, the test is infrastructure, and so are those after it that need the service."""
    project.write(
        "test_a.py",
        """
        import httpx
        import pytest

        def test_fine(): pass

        def test_kills(real_services):
            with pytest.raises(httpx.TransportError):
                real_services.http_client_sync.get("/die")
            assert real_services.http_client_sync.get("/me").status_code == 200

        def test_after(real_services): pass

        def test_unrelated(): pass
        """,
    )
    project.pytest()
    cells = {name.partition("::")[2]: cell for name, cell in project.run.cells.items()}
    assert cells["test_fine"].outcome is cells["test_unrelated"].outcome is Outcome.PASSED
    for name in ("test_kills", "test_after"):
        assert cells[name].cause is Cause.INFRASTRUCTURE, cells[name]
        assert "backend" in cells[name].evidence.summary  # type: ignore[union-attr]
    assert cells["test_kills"].evidence.pings[0].status == "down"  # type: ignore[union-attr]
    assert [cells[name].evidence.fell for name in ("test_kills", "test_after")] == [("backend",), ()]  # type: ignore[union-attr]


def test_a_failed_assertion_on_healthy_services_is_logic(cells: Mapping[str, Cell]) -> None:
    """With every service up, the product or the test is wrong; the line and the services are recorded."""
    cell = cells["logic/test_a"]
    assert cell.cause is Cause.LOGIC
    assert cell.evidence is not None
    assert cell.evidence.place == "logic/test_a.py:2"
    assert cell.attempts[0].services == ("backend",)
    assert cell.evidence.pings[0].status == "up"


@pytest.mark.fault("canary-secret")
def test_no_secret_of_a_fixture_reaches_the_run_file_or_the_terminal(project: Project) -> None:
    """A token in locals, output, an exception and a header is masked everywhere."""
    project.write(
        "test_a.py",
        """
        import base64

        def test_a(real_services):
            token = real_services.test_jwt_token
            copied = str(token)[:]
            encoded = base64.b64encode(token.encode()).decode()
            print("out", copied, encoded)
            with open("token.txt", "w") as stream:
                stream.write("".join(token))
            raise RuntimeError(f"Authorization: Bearer {copied} {encoded} http://u:{copied}@host/")
        """,
    )
    result = project.pytest("--showlocals", "-rA")
    token = (project.root / "token.txt").read_text()
    assert token.startswith("tiny-token-")
    assert token not in project.run_file.read_text()
    assert token not in result.stdout.str()
    assert token[11:] not in result.stdout.str()


@pytest.mark.fault("worker-crash")
def test_a_crashed_worker_is_harness_and_the_others_finish(project: Project) -> None:
    """The test under which a worker dies is failed by the harness; every other test still ends."""
    body = "\n".join(f"def test_{number}(): pass" for number in range(6))
    project.write("test_a.py", f"import os\ndef test_crash(): os._exit(7)\n{body}\n")
    project.pytest("-n", "2")
    cells = {name.partition("::")[2]: cell for name, cell in project.run.cells.items()}
    crashed = cells.pop("test_crash")
    assert (crashed.outcome, crashed.cause) == (Outcome.FAILED, Cause.HARNESS)
    assert {cell.outcome for cell in cells.values()} == {Outcome.PASSED}


def test_a_blip_does_not_outlive_itself(project: Project) -> None:
    """A service that was down at one look is asked again before a later test, which passes once it is back."""
    project.write(
        "test_a.py",
        """
        import pathlib
        import time

        GATE = pathlib.Path("unwell.txt")

        def test_blip(real_services):
            GATE.touch()
            assert real_services.http_client_sync.get("/me").status_code == 201

        def test_back(request):
            GATE.unlink()
            time.sleep(1)  # ten times as long as the look took, and then some
            assert request.getfixturevalue("real_services").http_client_sync.get("/me").status_code == 200
        """,
    )
    project.pytest()
    blip, back = project.run.cells.values()
    assert blip.cause is Cause.INFRASTRUCTURE
    assert back.outcome is Outcome.PASSED


KILLED = """
    import httpx
    import pytest

    def kill(url):
        with pytest.raises(httpx.TransportError):
            httpx.get(url + "/die", trust_env=False)

    {body}
"""


@pytest.mark.fault("service-dies-mid-suite")
@pytest.mark.parametrize(
    "body",
    [
        """def test_a(users, real_services):
        user = users()
        kill(real_services["backend_url"])
        try:
            user.client().get("/me")
        except httpx.TransportError:
            raise AssertionError("no answer") from None""",
        """@pytest.mark.usefixtures("real_services")
    def test_a(request):
        kill(request.config.pluginmanager.getplugin("envmatrix-process").session.endpoints["backend"].field("url"))
        assert 1 == 2""",
    ],
    ids=["through a user", "through nothing that is read"],
)
def test_a_dead_service_is_found_however_the_test_used_it(project: Project, body: str) -> None:
    """Users, and tests that only ask for the environment, stand on its services too."""
    project.write("test_a.py", KILLED.format(body=body))
    project.pytest()
    (cell,) = project.run.cells.values()
    assert cell.evidence is not None
    assert (cell.cause, cell.evidence.rule) == (Cause.INFRASTRUCTURE, "I201"), cell.evidence


def test_a_fixture_of_broad_scope_gives_evidence_to_every_test(cells: Mapping[str, Cell]) -> None:
    """A session-scoped dict fixture: each failure has the pings, each cell the services."""
    for cell in (cells["broad/test_a"], cells["broad/test_b"]):
        assert cell.evidence is not None
        assert [ping.service for ping in cell.evidence.pings] == ["backend"]
        assert cell.attempts[0].services == ("backend",)


def test_an_expected_failure_does_not_hide_a_broken_contract(cells: Mapping[str, Cell]) -> None:
    """`xfail` expects the test to fail, not the fixture to be broken."""
    cell = cells["expected/test_a"]
    assert (cell.outcome, cell.cause) == (Outcome.FAILED, Cause.CONTRACT)


def test_a_projects_own_contract_is_checked_also_where_the_fixture_is_ours(project: Project) -> None:
    """A field that nobody fills in is a breach, not a None that a test happens to survive."""
    project.write(
        "pyproject.toml",
        "[tool.pytest.ini_options]\npythonpath = ['.']\n"
        "[tool.envmatrix.contracts]\nreal_services = 'shop:ShopServices'\n",
    )
    project.write(
        "shop.py",
        "from envmatrix.contracts import RealServices\nclass ShopServices(RealServices):\n    shelf_count: int\n",
    )
    project.write("test_a.py", "def test_a(real_services): pass")
    project.pytest()
    (cell,) = project.run.cells.values()
    assert cell.cause is Cause.CONTRACT
    assert cell.evidence is not None
    assert "C111 shelf_count is of type NoneType, but the contract says int" in cell.evidence.summary


@pytest.mark.fault("canary-secret")
@pytest.mark.parametrize("workers", ["0", "2"])
def test_no_secret_leaves_by_a_reason_a_long_message_or_a_name(project: Project, workers: str) -> None:
    """Reasons of skips and xfails, an exception cut in the middle of a secret, a parameter: masked, by each worker too."""
    toml = project.root / "environments/tiny.toml"
    toml.write_text(toml.read_text().replace("env = {", 'env = { TOKEN = "declared-canary-1234",'))
    project.write(
        "test_a.py",
        """
        import pytest

        @pytest.mark.parametrize("key", ["declared-canary-1234"])
        def test_named(key): pass

        def test_skip(users):
            token = users().token
            open("skip.txt", "w").write("".join(token))
            pytest.skip(f"because of {token}")

        def test_xfail(users):
            token = users().token
            open("xfail.txt", "w").write("".join(token))
            pytest.xfail(f"because of {token}")

        def test_long(users):
            token = users().token
            open("long.txt", "w").write("".join(token))
            raise RuntimeError("x" * 470 + str(token))
        """,
    )
    result = project.pytest("-n", workers, "-rA")
    recorded = project.run_file.read_text()
    assert len(project.run.cells) == 4
    for name in ("skip.txt", "xfail.txt", "long.txt"):
        token = (project.root / name).read_text()
        assert token[:20] not in recorded
        assert token not in result.stdout.str()
    assert "declared-canary-1234" not in recorded


def failed_cell(project: Project, body: str, name: str = "test_it") -> Cell:
    """What became of a test with this body."""
    project.write(
        "test_a.py",
        f"""
        import pathlib

        def {name}(real_services):
            client = real_services.http_client_sync
            {body}
        """,
    )
    project.pytest()
    cell = project.run.cells[f"test_a.py::{name}"]
    assert cell.outcome is Outcome.FAILED
    assert cell.evidence is not None
    return cell


@pytest.mark.fault("reset-mid-body")
def test_an_answer_that_broke_off_is_infrastructure(cells: Mapping[str, Cell]) -> None:
    """The status came and the body did not: whoever sent it broke off, and the product said nothing wrong."""
    cell = cells["cut/test_a"]
    assert (cell.cause, cell.evidence.rule) == (Cause.INFRASTRUCTURE, "I205")  # type: ignore[union-attr]
    assert cell.evidence.summary.startswith("GET /cut → 200, then RemoteProtocolError")  # type: ignore[union-attr]


@pytest.mark.fault("truncated-json")
def test_half_a_json_answer_is_a_contract_finding_with_an_excerpt(cells: Mapping[str, Cell]) -> None:
    """What calls itself JSON and is none is told with the place at which it ends."""
    cell = cells["half/test_a"]
    assert (cell.cause, cell.evidence.rule) == (Cause.CONTRACT, "C105")  # type: ignore[union-attr]
    assert """'{"orders": [{"id": 1}, {"id":'""" in cell.evidence.summary  # type: ignore[union-attr]


@pytest.mark.fault("expired-token-mid-run")
def test_a_token_revoked_under_a_test_is_contract_and_renewed_once(project: Project) -> None:
    """The test that met the refusal says so; the next one has a token that works, or is told that none can be had."""
    project.write(
        "test_a.py",
        """
        def test_revoked(real_services):
            real_services.http_client_sync.post("/expire", json={})
            assert real_services.http_client_sync.get("/me").status_code == 200

        def test_renewed(real_services):
            assert real_services.http_client_sync.get("/me").status_code == 200
        """,
    )
    project.pytest()
    revoked, renewed = project.run.cells.values()
    assert (revoked.cause, revoked.evidence.rule) == (Cause.CONTRACT, "C106")  # type: ignore[union-attr]
    assert revoked.evidence.exchanges[-2:] == (
        "POST /expire → 200",
        'GET /me → 401: {"error": "who are you"}',
    )  # type: ignore[union-attr]
    assert renewed.outcome is Outcome.PASSED


@pytest.mark.fault("flapping-health")
def test_a_service_that_answers_every_second_look_is_flapping(project: Project) -> None:
    """K of n tells, not the last answer: neither a lucky look clears it, nor an unlucky one condemns it for good."""
    cell = failed_cell(project, """pathlib.Path("flapping.txt").write_text("1"); client.get("/die")""")
    assert cell.evidence.rule == "I201"  # type: ignore[union-attr]  # dead is dead, whatever it did before
    (project.root / "flapping.txt").unlink()
    cell = failed_cell(project, """pathlib.Path("flapping.txt").write_text("1"); client.get("/cut")""")
    assert cell.evidence.rule == "I207"  # type: ignore[union-attr]
    assert "of 5 looks: GET /health answers 503" in cell.evidence.summary  # type: ignore[union-attr]


@pytest.mark.fault("latency-spike")
def test_a_slow_answer_is_recorded_and_changes_nothing(project: Project) -> None:
    """A look that took long is in the run file with its seconds, and the verdict is what the tests say."""
    project.write("slow.txt", "0.4")
    project.write("test_a.py", "def test_a(real_services): assert real_services.backend_url")
    project.pytest().assert_outcomes(passed=1)
    assert project.run.attestations[0].services["backend"].latency >= 0.4
    assert project.run.attestations[0].services["backend"].status == "up"
    assert judge(project.run).answer is Answer.COMPATIBLE


@pytest.mark.fault("ws-drop")
def test_a_dropped_websocket_is_a_typed_error_and_no_hang(cells: Mapping[str, Cell]) -> None:
    """The peer is gone without a farewell: the wait ends at once, and the cause says what broke and who still answers."""
    cell = cells["dropped/test_a"]
    assert (cell.cause, cell.evidence.rule) == (Cause.UNDETERMINED, "U501")  # type: ignore[union-attr]
    assert "ConnectionClosedError" in cell.evidence.summary  # type: ignore[union-attr]
    assert "these answer: backend" in cell.evidence.summary  # type: ignore[union-attr]


def test_a_failure_holds_what_surrounds_it(project: Project) -> None:
    """Pings before and after, the requests of the test, and the end of the service's log, secrets masked."""
    server = (project.root / "server.py").read_text()
    project.write(
        "server.py",
        server.replace("def do_GET(self)", "def do_GET(self, noted=print('hello from the log', flush=True))"),
    )
    cell = failed_cell(project, 'assert client.get("/me").status_code == 201')
    evidence = cell.evidence
    assert evidence is not None
    assert [ping.status for ping in (*evidence.pings_before, *evidence.pings)] == ["up", "up"]
    assert evidence.exchanges[-1] == "GET /me → 200"
    assert evidence.logs == {"backend": "hello from the log"}


def test_a_fixture_that_skips_breaks_the_contract(cells: Mapping[str, Cell]) -> None:
    """Skipping is no way to provide a fixture: it would hide every test of it in every run."""
    cell = cells["skips/test_a"]
    assert (cell.outcome, cell.cause) == (Outcome.FAILED, Cause.CONTRACT)
    assert "conftest.py:2: C115 the fixture skips instead of telling what is there: not today" in str(cell.evidence)


@pytest.mark.fault("service-dies-mid-suite")
def test_a_test_that_skips_itself_over_an_outage_is_infrastructure(project: Project) -> None:
    """An outage is no reason to be green; with every service up a test may skip itself."""
    project.write(
        "test_a.py",
        """
        import httpx
        import pytest

        def test_up(real_services):
            if real_services.http_client_sync.get("/me").status_code == 200:
                pytest.skip("nothing to do")

        def test_down(real_services):
            try:
                real_services.http_client_sync.get("/die")
            except httpx.TransportError:
                pytest.skip("no backend")
        """,
    )
    assert project.pytest().ret == 1
    up, down = project.run.cells.values()
    assert up.outcome is Outcome.SKIPPED
    assert (down.outcome, down.cause) == (Outcome.FAILED, Cause.INFRASTRUCTURE)
    assert down.evidence is not None
    assert down.evidence.summary.startswith("skipped itself, and backend is down: ")


def test_a_client_of_another_server_breaks_the_contract(cells: Mapping[str, Cell]) -> None:
    """The fixture's client talks to what the declaration names."""
    evidence = cells["other/test_a"].evidence
    assert evidence is not None
    assert "C114 http_client_sync points to 127.0.0.1:9, but backend is at 127.0.0.1:" in evidence.summary
