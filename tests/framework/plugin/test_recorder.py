"""The run file that a run leaves."""

import pytest

from envmatrix.gate import Answer, judge
from envmatrix.runs.outcomes import Outcome
from tests.framework.project import Project

EVERY_OUTCOME = """
    import pytest

    def test_passed(): pass
    def test_failed(): assert 1 == 2
    @pytest.mark.skip(reason="not today")
    def test_skipped(): pass
    @pytest.mark.xfail(reason="known")
    def test_xfailed(): assert False
    @pytest.mark.xfail(reason="fixed")
    def test_xpassed(): pass
    @pytest.fixture
    def broken(): yield; raise RuntimeError("teardown")
    def test_teardown(broken): pass
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_every_outcome_is_recorded_with_and_without_workers(project: Project, workers: str) -> None:
    """Each test ends in one cell, whatever the number of workers; the reason of a skip is kept."""
    project.write("test_a.py", EVERY_OUTCOME)
    project.pytest("-n", workers)
    run = project.run
    assert {name.partition("::")[2]: cell.outcome for name, cell in run.cells.items()} == {
        "test_passed": Outcome.PASSED,
        "test_failed": Outcome.FAILED,
        "test_skipped": Outcome.SKIPPED,
        "test_xfailed": Outcome.XFAILED,
        "test_xpassed": Outcome.XPASSED,
        "test_teardown": Outcome.FAILED,
    }
    assert run.cells["test_a.py::test_skipped"].reason == "not today"
    assert run.complete
    assert run.footer is not None
    assert run.footer.exit_code == 1
    assert run.header.sources == {"backend": "process", "redis": "absent"}


def test_what_was_planned_and_not_reached_is_not_run(project: Project) -> None:
    """After `-x` the rest is `not_run`, with the reason."""
    project.write("test_a.py", "def test_a(): assert 0\ndef test_b(): pass")
    project.pytest("-x")
    cell = project.run.cells["test_a.py::test_b"]
    assert cell.outcome is Outcome.NOT_RUN
    assert cell.reason == "stopping after 1 failures"


def test_deselected_tests_are_not_planned(project: Project) -> None:
    """`-k` narrows the plan itself, and the header says so; with the whole suite it says nothing."""
    project.write("test_a.py", "def test_a(): pass\ndef test_b(): pass")
    project.pytest("-k", "test_b")
    assert list(project.run.cells) == ["test_a.py::test_b"]
    assert project.run.header.narrowed == ("-k test_b",)
    project.pytest("--matrix-shard=1/2", "-v")
    assert project.run.header.narrowed == ()


def test_last_failed_works(project: Project) -> None:
    """`--lf` runs what failed last."""
    project.write("test_a.py", "def test_a(): pass\ndef test_b(): assert 0")
    project.pytest()
    project.pytest("--lf")
    assert list(project.run.cells) == ["test_a.py::test_b"]


def test_a_module_that_cannot_be_collected_is_a_finding(project: Project) -> None:
    """A broken import is said in the run file: what it would have planned is unknown."""
    project.write("test_a.py", "def test_a(): pass")
    project.write("test_b.py", "import no_such_module")
    project.pytest()
    (finding,) = project.run.findings
    assert finding.rule == "H304"
    assert "test_b.py" in finding.message
    assert "no_such_module" in finding.message


@pytest.mark.fault("raising-sessionfinish")
@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize(
    ("ending", "code", "why"),
    [
        ("raise RuntimeError('the upload failed')", 1, "RuntimeError: the upload failed"),
        ("pytest.exit('enough', 7)", 7, "Exit: enough"),
        ("sys.exit(0)", 0, "SystemExit: 0"),
    ],
)
def test_what_a_plugin_raises_at_the_end_is_in_the_footer(
    project: Project, workers: str, ending: str, code: int, why: str
) -> None:
    """Every test has ended, and the run is unknown for its end, not killed."""
    guard = "if not hasattr(session.config, 'workerinput'):"
    project.write("conftest.py", f"import pytest, sys\ndef pytest_sessionfinish(session):\n    {guard} {ending}\n")
    project.write("test_a.py", "def test_a(): pass")
    assert project.pytest("-n", workers).ret == code
    run = project.run
    assert run.complete
    assert run.footer is not None
    assert (run.footer.exit_code, run.footer.reason) == (code, f"a plugin failed at the end: {why}")
    assert judge(run).answer is Answer.UNKNOWN


@pytest.mark.fault("zero-tests")
def test_a_run_without_tests_leaves_a_run_file_that_says_so(project: Project) -> None:
    """Nothing collected is a run with no cells, not a missing file."""
    project.pytest()
    assert project.run.cells == {}
    assert project.run.footer is not None
    assert project.run.footer.exit_code == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_run_file_is_never_written_over(project: Project) -> None:
    """A second run to the same path is refused before it runs."""
    project.write("test_a.py", "def test_a(): pass")
    kept = project.write("kept.jsonl", "precious")
    result = project.pytest("--matrix-run-file", str(kept))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert kept.read_text() == "precious"


@pytest.mark.fault("hostile-test-name")
def test_hostile_names_are_recorded_as_they_are(project: Project) -> None:
    """Markup, escapes, surrogates and newlines in a test's name survive the run file."""
    project.write(
        "test_a.py",
        r"""
        import pytest

        @pytest.mark.parametrize("x", ["<script>", "\x1b[31m", "\udc80", "a\nb", "::error::", "x" * 5000], ids=str)
        def test_a(x): pass
        """,
    )
    project.pytest()
    assert len(project.run.cells) == 6
    assert {cell.outcome for cell in project.run.cells.values()} == {Outcome.PASSED}
