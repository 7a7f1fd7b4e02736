"""What a suite that knows nothing of environments is given before pytest reads its first conftest."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

import pytest

from envmatrix.plugin.given import _restore
from envmatrix.runs.cells import Run
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.bare import LEFT_OUT, plain_environment
from tests.framework.project import TINY_TOML, Project

SECRET = "tok-4711-canary-secret"

OLD_CONFTEST = """
    import os
    import urllib.request
    import pytest

    URL = os.environ["BACKEND_URL"]
    urllib.request.urlopen(f"{URL}/health", timeout=5).close()  # up before this is read

    def pytest_addoption(parser):
        parser.addoption("--backend-url")
        parser.addoption("--token", action="append")
        parser.addoption("--size", type=int, default=0)

    def pytest_configure(config):
        config.addinivalue_line("markers", "cluster: needs several servers")

    @pytest.fixture(scope="session")
    def backend(request, matrix_endpoints):
        assert matrix_endpoints["backend"].url.get_secret_value() == URL
        return request.config.getoption("--backend-url")
"""

OLD_SUITE = f"""
    import os
    import urllib.request
    from pathlib import Path
    import pytest

    URL = os.environ["BACKEND_URL"]

    def test_plain(): pass

    def test_option(backend, request):
        assert backend == URL
        assert request.config.getoption("--token") == ["{SECRET}"]
        urllib.request.urlopen(f"{{URL}}/health", timeout=5).close()

    def test_nobody_reads_the_arguments():
        lines = b"".join(Path(f"/proc/{{pid}}/cmdline").read_bytes() for pid in (os.getpid(), os.getppid()))
        assert b"matrix-environment" in lines or "PYTEST_XDIST_WORKER" in os.environ
        assert b"canary" not in lines
        assert "ENVMATRIX_ARGUMENTS" not in os.environ

    def test_contract(real_services): pass

    @pytest.mark.cluster
    def test_cluster(): raise AssertionError
"""


def declare(project: Project, table: str, services: str = TINY_TOML) -> None:
    """Declare what the suite gets."""
    project.write("environments/tiny.toml", f"{services}\n[pytest]\n{table}")


GIVEN = """
args = ["--backend-url={backend.url}", "--token", "${API_TOKEN}"]
env = { BACKEND_URL = "{backend.url}" }
markers = "not cluster"
"""


@pytest.mark.fault("canary-secret")
@pytest.mark.parametrize("workers", ["-pno:xdist", "-n2"])
def test_an_old_suite_gets_its_urls_by_option_variable_and_import(
    workers: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unchanged, also in workers: the service is up, every test counts as its user, and no command line has a secret."""
    monkeypatch.setenv("API_TOKEN", SECRET)
    project.write("conftest.py", OLD_CONFTEST)
    project.write("test_old.py", OLD_SUITE)
    declare(project, GIVEN)
    result = project.pytest(workers)
    run = project.run
    assert result.ret == 0, result.stdout.str() + result.stderr.str()
    assert {test.partition("::")[2]: cell.outcome for test, cell in run.cells.items()} == {
        "test_plain": Outcome.PASSED,
        "test_option": Outcome.PASSED,
        "test_nobody_reads_the_arguments": Outcome.PASSED,
        "test_contract": Outcome.PASSED,
    }
    for test in ("test_plain", "test_contract"):
        assert run.cells[f"test_old.py::{test}"].attempts[-1].services == ("backend",)
    assert run.header.narrowed == ()
    assert SECRET not in project.run_file.read_text()


REDIS = """
[services.redis]
kind = "redis"
source = "embedded"
"""

ALTERING = """
    import os
    import redis

    SERVER = redis.Redis.from_url(os.environ["REDIS_URL"])

    def test_altering():
        assert SERVER.config_set("requirepass", "")

    def test_later():
        assert SERVER.ping() == 2
"""


def test_a_test_that_changes_the_login_is_logic(project: Project) -> None:
    """What we started took the login then: the declaration is not to blame, and what the later test met is told, too."""
    project.write("test_old.py", ALTERING)
    declare(project, 'env = { REDIS_URL = "{redis.url}" }', REDIS)
    project.pytest("-pno:xdist")
    cells = project.run.cells
    assert cells["test_old.py::test_altering"].outcome is Outcome.PASSED
    attempt = cells["test_old.py::test_later"].attempts[-1]
    assert (attempt.cause, attempt.evidence.rule) == (Cause.LOGIC, "L409")
    line = "redis refuses the login that it took at the start; the test met AssertionError: assert True == 2"
    assert attempt.evidence.summary.startswith(line)


def planned(project: Project, *args: str) -> Run:
    """Run a suite of three tests whose option is checked by the first."""
    project.write("pyproject.toml", '[tool.pytest.ini_options]\naddopts = "--size=1"\nmarkers = ["cluster", "slow"]\n')
    project.write("conftest.py", 'def pytest_addoption(parser): parser.addoption("--size", type=int)')
    project.write(
        "test_old.py",
        """
        import pytest

        def test_size(request): raise ValueError(f"size {request.config.getoption('--size')}")

        @pytest.mark.slow
        def test_slow(): pass

        @pytest.mark.cluster
        def test_cluster(): pass
        """,
    )
    declare(project, 'args = ["--size", "2"]\nmarkers = "not cluster"')
    project.pytest(*args)
    return project.run


def detail(run: Run) -> str:
    """What the first test printed of its option."""
    evidence = run.cells["test_old.py::test_size"].evidence
    assert evidence is not None
    return evidence.detail


def test_the_declaration_wins_over_the_settings_and_the_command_line_over_both(project: Project) -> None:
    """An option's last value counts, as ever; an expression of the command line selects among the declared tests."""
    run = planned(project)
    assert (list(run.header.planned), run.header.narrowed) == (["test_old.py::test_size", "test_old.py::test_slow"], ())
    assert "size 2" in detail(run)
    run = planned(project, "--size=3", "-m", "not slow")
    assert list(run.header.planned) == ["test_old.py::test_size"]
    assert run.header.narrowed == ("-m '(not cluster) and (not slow)'",)
    assert run.header.pytest_options[-3:] == ("--size=3", "-m", "not slow")
    assert "size 3" in detail(run)


def cli(project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    """Run our command line in the project."""
    command = [sys.executable, "-m", "envmatrix", *words]
    environment = plain_environment()
    return subprocess.run(
        command, cwd=project.root, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


BROKEN = TINY_TOML.replace('"server.py", "{backend.port}"', '"-c", "print(chr(27)); import sys; sys.exit(3)"').replace(
    "protected", "start_deadline = 5\nprotected"
)


@pytest.mark.fault("service-never-ready")
def test_a_service_that_does_not_start_is_one_line(project: Project) -> None:
    """No traceback, none of the suite's files is read, and the run is unknown: exit code 3."""
    project.write("conftest.py", "raise SystemError('read it')")
    declare(project, GIVEN.replace("${API_TOKEN}", "x"), BROKEN)
    done = cli(project, "run", "tiny", "--", *LEFT_OUT)
    assert done.returncode == 3, done.stderr
    (line,) = done.stderr.replace("Run files", "\nRun files").strip().splitlines()[:1]
    assert line.startswith("ERROR: service 'backend' ended with exit code 3 before it was ready"), done.stderr
    assert line.endswith("[pytest] of tiny.toml names it")
    assert "Traceback" not in done.stderr + done.stdout
    assert "read it" not in done.stderr + done.stdout
    assert "\x1b" not in line


@pytest.mark.fault("canary-secret")
@pytest.mark.parametrize(
    ("args", "told"),
    [
        ('["--tokn={secret}"]', "neither pytest nor a conftest here knows --tokn"),
        ('["--size={secret}"]', "invalid int value"),
    ],
)
def test_a_wrong_argument_is_told_without_its_value(
    args: str, told: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pytest's own error would print what the declaration filled in."""
    monkeypatch.setenv("API_TOKEN", SECRET)
    project.write("conftest.py", 'def pytest_addoption(parser): parser.addoption("--size", type=int)')
    declare(project, "args = " + args.replace("{secret}", "${API_TOKEN}"))
    result = project.pytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line.startswith("ERROR")]
    assert line.startswith("ERROR: args of [pytest] of tiny.toml: ")
    assert told in line
    assert SECRET not in result.stderr.str()


@pytest.mark.fault("service-down")
def test_an_outage_of_what_is_given_is_infrastructure_for_tests_without_markers(project: Project) -> None:
    """A remote service that does not answer blocks all of them; the files were read, so that none goes missing."""
    remote = '[services.backend]\nkind = "http"\nsource = "remote"\nurl = "http://127.0.0.1:1"\n'
    declare(project, 'env = { BACKEND_URL = "{backend.url}" }', remote)
    project.write("test_old.py", "import os\nURL = os.environ['BACKEND_URL']\ndef test_plain(): pass")
    assert project.pytest().ret == 1
    cell = project.run.cells["test_old.py::test_plain"]
    assert (cell.outcome, cell.cause) == (Outcome.NOT_RUN, Cause.INFRASTRUCTURE)


def test_a_failure_while_what_is_given_is_down_is_infrastructure(project: Project) -> None:
    """The test asked for no fixture of ours, and carries no marker."""
    declare(project, 'env = { BACKEND_URL = "{backend.url}" }')
    project.write(
        "test_old.py",
        """
        import os
        import urllib.request

        def test_before(): open("unwell.txt", "w").close()

        def test_plain(): urllib.request.urlopen(os.environ["BACKEND_URL"] + "/health", timeout=5)
        """,
    )
    project.pytest()
    cell = project.run.cells["test_old.py::test_plain"]
    assert (cell.outcome, cell.cause) == (Outcome.FAILED, Cause.INFRASTRUCTURE)


def test_endpoints_are_there_for_fixtures_of_any_scope(project: Project) -> None:
    """Lazily, by name, secrets masked; only what was read counts as used, and what is absent is not in it."""
    project.write(
        "conftest.py",
        """
        import pytest

        @pytest.fixture(scope="module")
        def url(matrix_endpoints):
            return matrix_endpoints["backend"].url.get_secret_value()
        """,
    )
    project.write(
        "test_old.py",
        """
        import pytest

        def test_url(url, matrix_endpoints):
            assert url.startswith("http://127.0.0.1")
            assert list(matrix_endpoints) == ["backend"] and len(matrix_endpoints) == 1
            assert "redis" not in matrix_endpoints
            assert url not in f"{matrix_endpoints!r} {matrix_endpoints['backend']!r}"
            with pytest.raises(KeyError):
                matrix_endpoints["redis"]

        def test_plain(): pass
        """,
    )
    result = project.pytest()
    cells = project.run.cells
    assert result.ret == 0, result.stdout.str()
    assert cells["test_old.py::test_url"].attempts[-1].services == ("backend",)
    assert cells["test_old.py::test_plain"].attempts[-1].services == ()


def test_a_plugin_that_a_conftest_loads_is_too_late(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than a suite without its URLs there is one line; `-p envmatrix` is the way."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("MATRIX_ENVIRONMENT", "tiny")
    project.write("conftest.py", 'pytest_plugins = ["envmatrix.plugin"]')
    project.write("test_old.py", 'import os\ndef test_plain(): assert os.environ["SIZE"] == "2"')
    declare(project, 'env = { SIZE = "2" }')
    late = project.pytest(environment="")
    assert late.ret == pytest.ExitCode.USAGE_ERROR
    assert "[pytest] of tiny.toml cannot reach pytest here" in late.stderr.str()
    (project.root / "conftest.py").unlink()
    assert project.pytest("-p", "envmatrix", environment="").ret == 0


def test_who_only_asks_about_pytest_starts_nothing(project: Project) -> None:
    """`--help` works where nothing can be started."""
    declare(project, GIVEN.replace("${API_TOKEN}", "x"), BROKEN)
    assert project.pytest("--help").ret == 0


@pytest.mark.parametrize("before", [{"A": None}, {"A": "1"}])
def test_variables_are_as_before_when_pytest_has_ended(
    before: Mapping[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pytest that is called in a process of somebody else's leaves none behind."""
    import os

    monkeypatch.setenv("A", "2")
    _restore(before)
    assert os.environ.get("A") == before["A"]
