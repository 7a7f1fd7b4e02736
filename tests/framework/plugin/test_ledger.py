"""Nothing planned ever goes missing: whatever ends a run, each planned test is in exactly one state."""

from collections.abc import Callable

import pytest

from envmatrix.gate import Answer, Code, judge
from envmatrix.runs.file import digest
from envmatrix.runs.outcomes import Outcome
from tests.framework.project import Project

SUITE = """
    import os, signal, sys
    import pytest

    def test_one(): pass
    def test_two(): {two}
    @pytest.mark.skip(reason="not here")
    def test_three(): pass
    def test_four(): pass
"""
ENDS: dict[str, tuple[str, tuple[str, ...], str, int, Code]] = {
    "the end": ("pass", (), "passed passed skipped passed", 0, Code.PASSED),
    "-x": ("assert 0", ("-x",), "passed failed not_run not_run", 1, Code.LOGIC),
    "pytest.exit": ("pytest.exit('enough')", (), "passed not_run not_run not_run", 2, Code.ENDED_EARLY),
    "os._exit": ("os._exit(7)", (), "passed not_run not_run not_run", 7, Code.NO_FOOTER),
    "SIGKILL": ("os.kill(os.getpid(), signal.SIGKILL)", (), "passed not_run not_run not_run", -9, Code.NO_FOOTER),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM)", (), "passed not_run not_run not_run", 143, Code.ENDED_EARLY),
    "Ctrl-C": ("os.kill(os.getpid(), signal.SIGINT)", (), "passed not_run not_run not_run", 2, Code.ENDED_EARLY),
    "a worker's crash": ("os._exit(7)", ("-n1",), "passed failed skipped passed", 1, Code.HARNESS),
    "the last worker's crash": (
        "os._exit(7)",
        ("-n1", "--max-worker-restart=0"),
        "passed failed not_run not_run",
        1,
        Code.HARNESS,
    ),
    "deselection": ("pass", ("-k", "one or two"), "passed passed", 0, Code.NARROWED),
}
"""What ends a run → what the second test does, pytest's arguments; the outcomes, the exit code, what the verdict is about."""


@pytest.mark.parametrize("end", ENDS)
def test_every_planned_test_has_one_state(project: Project, end: str) -> None:
    """The header's ids are the cells, each with its outcome; what never ended says why, and the verdict follows."""
    two, arguments, outcomes, exit_code, code = ENDS[end]
    project.write("test_a.py", SUITE.format(two=two))
    assert project.pytest(*arguments, timeout=30).ret == exit_code
    run = project.run
    assert " ".join(cell.outcome for cell in run.cells.values()) == outcomes
    assert tuple(run.cells) == run.header.planned
    assert run.header.planned_digest == digest(run.cells)
    for cell in run.cells.values():
        if cell.outcome is Outcome.NOT_RUN:
            assert cell.reason
            assert cell.evidence is not None
            assert cell.evidence.rule == "H303"
    verdict = judge(run)
    assert code in {reason.code for reason in verdict.reasons if reason.calls_for is verdict.answer}
    assert (verdict.answer is Answer.COMPATIBLE) is (exit_code == 0 and not run.header.narrowed)


def broken_module(project: Project) -> None:
    """Beside the suite, a module that cannot be imported."""
    project.write("test_a.py", SUITE.format(two="pass"))
    project.write("test_b.py", "import nonesuch")


def no_test(project: Project) -> None:
    """A module without a test."""
    project.write("test_a.py", "")


def all_skipped(project: Project) -> None:
    """A module that does not apply here."""
    project.write("test_a.py", "import pytest\npytestmark = pytest.mark.skip(reason='no')\ndef test_a(): pass")


@pytest.mark.parametrize(
    ("prepare", "outcomes", "code"),
    [
        (broken_module, "not_run not_run not_run not_run", Code.FINDING),
        pytest.param(no_test, "", Code.ZERO_TESTS, marks=pytest.mark.fault("zero-tests")),
        pytest.param(all_skipped, "skipped", Code.NONE_PASSED, marks=pytest.mark.fault("all-skipped")),
    ],
)
def test_what_tells_nothing_is_unknown(
    project: Project, prepare: Callable[[Project], None], outcomes: str, code: Code
) -> None:
    """A collection that failed, no test at all, and none that applied: the verdict is unknown and says which."""
    prepare(project)
    project.pytest()
    assert " ".join(cell.outcome for cell in project.run.cells.values()) == outcomes
    verdict = judge(project.run)
    assert verdict.answer is Answer.UNKNOWN
    assert code in {reason.code for reason in verdict.reasons}
