"""What is found right after collection, before anything starts."""

import pytest

from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.project import Project

MISSING = """
    import pytest

    def test_plain(kafka_cluster): pass

    @pytest.mark.skip(reason="later")
    def test_skipped(kafka_cluster): pass

    @pytest.mark.xfail(reason="known")
    def test_expected(kafka_cluster): pass

    def test_fine(): pass
"""

PROVIDER = """
    import pytest

    @pytest.fixture
    def kafka_cluster(): return 1
"""


def test_a_fixture_that_nobody_provides_is_a_contract_failure_that_nothing_hides(project: Project) -> None:
    """Neither skip nor xfail hides a missing fixture, and the nearest provider is named."""
    project.write("here/test_a.py", MISSING)
    project.write("elsewhere/conftest.py", PROVIDER)
    result = project.pytest("here")
    result.stdout.fnmatch_lines(["*fixture 'kafka_cluster' is requested by here/test_a.py::test_plain and 2 more*"])
    result.stdout.fnmatch_lines(["*Nearest providers: elsewhere/conftest.py:5*"])
    cells = project.run.cells
    for name in ("test_plain", "test_skipped", "test_expected"):
        cell = cells[f"here/test_a.py::{name}"]
        assert (cell.outcome, cell.cause) == (Outcome.FAILED, Cause.CONTRACT)
        assert cell.evidence is not None
        assert cell.evidence.rule == "C101"
    assert cells["here/test_a.py::test_fine"].outcome is Outcome.PASSED


def test_collect_only_fails_where_a_fixture_is_missing(project: Project) -> None:
    """`--collect-only` lists the missing fixture and exits 1; pytest alone exits 0."""
    project.write("test_a.py", MISSING)
    alone = project.pytest("--co", "-q", environment="")
    ours = project.pytest("--co", "-q")
    assert (alone.ret, ours.ret) == (0, 1)
    assert "kafka_cluster" in ours.stdout.str()
    assert not project.run_file.exists()


def test_a_near_miss_names_the_right_spelling(project: Project) -> None:
    """A fixture's name mistyped is answered with the one that exists."""
    project.write("conftest.py", PROVIDER)
    project.write("test_a.py", "def test_a(kafka_clustr): pass")
    project.pytest().stdout.fnmatch_lines(["*Did you mean 'kafka_cluster'?*"])


def test_what_pytest_itself_supplies_is_not_missing(project: Project) -> None:
    """Parameters, patches, builtin fixtures and request are no fixtures that nobody provides."""
    project.write(
        "test_a.py",
        """
        import pytest
        from unittest import mock

        @pytest.fixture(params=[1, 2])
        def number(request): return request.param

        @pytest.mark.parametrize("x", [1])
        @mock.patch("os.getcwd")
        def test_a(getcwd, x, number, request, tmp_path): pass
        """,
    )
    result = project.pytest()
    result.assert_outcomes(passed=2)


def test_an_absent_capability_skips_with_its_reason(project: Project) -> None:
    """A test that requires what the environment does not have says so, and nothing is started for it."""
    project.write("test_a.py", "import pytest\n@pytest.mark.requires('redis')\ndef test_a(real_services): pass")
    project.pytest().assert_outcomes(skipped=1)
    assert project.run.cells["test_a.py::test_a"].reason == "redis is absent in tiny (tiny.toml)"


def test_a_capability_that_no_environment_declares_is_a_typing_error(project: Project) -> None:
    """A mistyped capability would skip its test for ever; it stops the run with the right spelling."""
    project.write("test_a.py", "import pytest\n@pytest.mark.requires('backnd')\ndef test_a(): pass")
    result = project.pytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*requires 'backnd'*Did you mean 'backend'?*"])


@pytest.mark.fault("prod-guard")
@pytest.mark.parametrize(
    ("declaration", "flags", "reason"),
    [
        ("production = true\ndestructive = true", ["--matrix-destructive"], "production: refused whatever the flags"),
        ("", ["--matrix-destructive"], "does not say destructive = true"),
        ("destructive = true", [], "runs only with --matrix-destructive"),
    ],
)
def test_a_destructive_test_needs_every_yes(project: Project, declaration: str, flags: list[str], reason: str) -> None:
    """Without the declaration, the flag, or outside production, a destructive test does not run."""
    toml = project.root / "environments/tiny.toml"
    toml.write_text(declaration + toml.read_text())
    project.write("test_a.py", "import pytest\n@pytest.mark.destructive\ndef test_a(): raise SystemExit")
    project.pytest(*flags).assert_outcomes(skipped=1)
    assert reason in project.run.cells["test_a.py::test_a"].reason


def test_a_destructive_test_runs_where_all_agree(project: Project) -> None:
    """Declared, asked for, and not production: it runs."""
    toml = project.root / "environments/tiny.toml"
    toml.write_text("destructive = true\n" + toml.read_text())
    project.write("test_a.py", "import pytest\n@pytest.mark.destructive\ndef test_a(): pass")
    project.pytest("--matrix-destructive").assert_outcomes(passed=1)


def test_a_run_of_unit_tests_starts_nothing(project: Project) -> None:
    """Tests that use no service start no supervisor and no service."""
    project.write(
        "test_a.py",
        """
        import psutil

        def test_a():
            assert [child.cmdline() for child in psutil.Process().children(recursive=True)] == []
        """,
    )
    project.pytest().assert_outcomes(passed=1)


@pytest.mark.parametrize(
    "marker",
    ["requires(capability='backend')", "requires()", "requires(['backend'])"],
    ids=["keyword", "empty", "list"],
)
def test_a_marker_that_names_no_capability_is_refused(project: Project, marker: str) -> None:
    """A marker that would be ignored is a usage error that shows how to write it."""
    project.write("test_a.py", f"import pytest\n@pytest.mark.{marker}\ndef test_a(): pass")
    result = project.pytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*Write @pytest.mark.requires*"])


def test_under_xdist_an_unknown_capability_fails_its_test(project: Project) -> None:
    """A worker cannot end the run with a usage error, so the test says it; the others run."""
    project.write("test_a.py", "import pytest\n@pytest.mark.requires('backnd')\ndef test_a(): pass\ndef test_b(): pass")
    project.pytest("-n", "2").assert_outcomes(errors=1, passed=1)
    cell = project.run.cells["test_a.py::test_a"]
    assert cell.evidence is not None
    assert cell.evidence.rule == "C104"
    assert "Did you mean 'backend'?" in cell.evidence.detail


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_contract_that_cannot_be_imported_is_a_usage_error(project: Project, workers: str) -> None:
    """A wrong class in the project's table is one line, with and without workers."""
    project.write("pyproject.toml", "[tool.envmatrix.contracts]\nreal_services = 'nowhere:Nope'\n")
    project.write("test_a.py", "def test_a(real_services): pass")
    result = project.pytest("-n", workers)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: the contract 'nowhere:Nope' cannot be imported*"])
