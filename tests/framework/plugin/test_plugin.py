"""The plugin in projects that never declared an environment."""

import sys

import pytest

from tests.framework.project import Project


def test_without_the_option_nothing_heavy_is_imported(project: Project) -> None:
    """A project that only has the package installed pays no import of ours beyond the plugin itself."""
    project.write(
        "test_a.py",
        """
        import sys

        def test_a():
            heavy = {"pydantic", "httpx", "psutil", "rich", "typer", "websockets", "psycopg", "envmatrix.contracts"}
            assert heavy & sys.modules.keys() == set()
        """,
    )
    result = project.pytester.run(
        sys.executable, "-m", "pytest", "-p", "no:valkey", "-p", "no:anyio", "-p", "no:hypothesispytest", "-q"
    )
    result.assert_outcomes(passed=1)


def test_a_run_that_uses_no_service_loads_nothing_for_one(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A selected environment costs no import of what starts, probes or talks to its services."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # other plugins may import anything
    project.write(
        "test_a.py",
        """
        import sys

        def test_a():
            unused = {"dotenv", "httpx", "psutil", "ssl", "websockets", "envmatrix.contracts", "envmatrix.services.kinds"}
            assert unused & sys.modules.keys() == set()
        """,
    )
    options = ["-p", "envmatrix.plugin", "--matrix-environment=tiny", "--matrix-run-file=run.jsonl"]
    project.pytester.run(sys.executable, "-m", "pytest", *options).assert_outcomes(passed=1)


def test_our_options_leave_a_projects_own_alone(project: Project) -> None:
    """`--environment` and `--env` belong to the project's own conftest."""
    project.write(
        "conftest.py",
        "def pytest_addoption(parser):\n    parser.addoption('--environment')\n    parser.addoption('--env')\n",
    )
    project.write("test_a.py", "def test_a(request): assert request.config.getoption('--env') == 'x'")
    project.pytest("--env", "x", "--environment", "y", environment="").assert_outcomes(passed=1)


def test_an_unknown_environment_is_one_line(project: Project) -> None:
    """A mistyped environment is a usage error with the nearest spelling, without a traceback."""
    result = project.pytest(environment="tinny")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: no environment 'tinny' in *Did you mean 'tiny'?"])
    assert "Traceback" not in result.stderr.str()


def test_our_markers_are_registered(project: Project) -> None:
    """`--strict-markers` knows every marker of ours, selected environment or not."""
    project.write(
        "test_a.py",
        """
        import pytest

        @pytest.mark.requires("backend")
        @pytest.mark.destructive
        @pytest.mark.real_services
        @pytest.mark.real_llm
        @pytest.mark.staging
        @pytest.mark.e2e
        def test_a(): pass
        """,
    )
    project.pytest("--strict-markers", environment="").assert_outcomes(passed=1)
