"""The fixtures, as tests of every style use them."""

import pytest

from tests.framework.project import ASYNCIO, Project


def test_without_an_environment_the_fixture_says_what_to_do(project: Project) -> None:
    """No environment selected: one line that names the option."""
    project.write("test_a.py", "def test_a(real_services): pass")
    result = project.pytest(environment="")
    result.stdout.fnmatch_lines(["*pass --matrix-environment NAME, or set MATRIX_ENVIRONMENT*"])


@pytest.mark.parametrize("how", ["variable", "ini"])
def test_the_environment_may_come_from_a_variable_or_the_ini(
    project: Project, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MATRIX_ENVIRONMENT and the ini `matrix_environment` select like the option."""
    if how == "variable":
        monkeypatch.setenv("MATRIX_ENVIRONMENT", "tiny")
    else:
        project.write("pyproject.toml", "[tool.pytest.ini_options]\nmatrix_environment = 'tiny'\n")
    project.write("test_a.py", "def test_a(real_services): assert real_services.environment == 'tiny'")
    project.pytest(environment="").assert_outcomes(passed=1)


def test_a_pytest_that_a_test_starts_is_none_of_the_run(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """MATRIX_ENVIRONMENT selects for this run and its workers, not for what a test starts."""
    monkeypatch.setenv("MATRIX_ENVIRONMENT", "tiny")
    project.write(
        "test_a.py",
        """
        import os

        def test_a(real_services):
            assert real_services.environment == "tiny"
            assert "MATRIX_ENVIRONMENT" not in os.environ
        """,
    )
    project.pytest("-n1", environment="").assert_outcomes(passed=1)


def test_fields_and_keys_are_the_same(project: Project) -> None:
    """A test written for a dict runs unchanged."""
    project.write(
        "test_a.py",
        """
        from collections.abc import Mapping

        def test_a(real_services):
            assert isinstance(real_services, Mapping)
            assert real_services["backend_url"] == real_services.backend_url
            assert real_services.get("nothing", 7) == 7
            assert "backend_url" in dict(real_services.items())
            assert real_services["redis_available"] is False
            assert {**real_services}["environment"] == "tiny"
            headers = {"Authorization": f"Bearer {real_services['test_jwt_token']}"}
            assert real_services["http_client_sync"].get("/me", headers=headers).status_code == 200
            assert "tiny-token" not in repr(dict(real_services))
        """,
    )
    project.pytest().assert_outcomes(passed=1)


ASYNC = """
    import pytest

    {mark}
    async def test_a(real_services):
        assert (await real_services.http_client.get("/me")).status_code == 200

    {mark}
    async def test_b(real_services):
        assert (await real_services.http_client.get("/me")).status_code == 200

    def test_plain(real_services):
        assert real_services.http_client_sync.get("/me").status_code == 200
"""


@pytest.mark.parametrize(
    ("mark", "options"),
    [
        ("@pytest.mark.asyncio", ASYNCIO),
        ("@pytest.mark.asyncio(loop_scope='session')", ASYNCIO),
        ("@pytest.mark.anyio", ("-p", "anyio")),
    ],
)
def test_one_fixture_serves_every_async_framework(project: Project, mark: str, options: tuple[str, ...]) -> None:
    """Plain tests, pytest-asyncio with function and session loops, anyio with asyncio and trio; nothing stays open."""
    project.write("test_a.py", ASYNC.format(mark=mark))
    result = project.pytest("-W", "error", *options)
    result.assert_outcomes(passed=5 if "anyio" in mark else 3)


def test_users_are_fresh_each_time(project: Project) -> None:
    """Two calls, two users; the token of each says who it is."""
    project.write(
        "test_a.py",
        """
        def test_a(users):
            first, second = users(), users()
            assert first.id != second.id
            for user in (first, second):
                with user.client() as client:
                    assert client.get("/me").json()["user_id"] == user.id
        """,
    )
    project.pytest().assert_outcomes(passed=1)


def test_a_project_may_extend_the_contract(project: Project) -> None:
    """A subclass named in the project's table is what the fixture provides; a new field needs no code if its name tells."""
    project.write(
        "pyproject.toml",
        "[tool.pytest.ini_options]\npythonpath = ['.']\n"
        "[tool.envmatrix.contracts]\nreal_services = 'shop:ShopServices'\n",
    )
    project.write(
        "shop.py",
        """
        from envmatrix.contracts import RealServices

        class ShopServices(RealServices):
            queue_url: str | None
            region: str
        """,
    )
    project.write("conftest.py", "def pytest_envmatrix_contract_fields(): return {'region': 'eu'}")
    project.write(
        "test_a.py",
        """
        def test_a(real_services):
            assert type(real_services).__name__ == "ShopServices"
            assert (real_services.queue_url, real_services.region) == (None, "eu")
        """,
    )
    project.pytest().assert_outcomes(passed=1)


def test_one_supervisor_serves_all_workers(project: Project) -> None:
    """Two xdist workers see the same service, started once."""
    project.write(
        "test_a.py",
        """
        import pytest

        @pytest.mark.parametrize("number", range(6))
        def test_a(real_services, number):
            with open("urls.txt", "a") as stream:
                stream.write(real_services.backend_url + "\\n")
        """,
    )
    project.pytest("-n", "2").assert_outcomes(passed=6)
    assert len(set((project.root / "urls.txt").read_text().splitlines())) == 1
