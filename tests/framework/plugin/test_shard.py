"""One part of a suite, as pytest runs it."""

from __future__ import annotations

import pytest

from envmatrix.runs.file import digest, read_suite
from envmatrix.runs.outcomes import Outcome
from tests.framework.project import Project

SUITE = "import pytest\n@pytest.mark.parametrize('n', range(6))\ndef test_a(n): pass\n"
TESTS = tuple(f"test_a.py::test_a[{n}]" for n in range(6))


@pytest.mark.parametrize("more", [(), ("-n2",)], ids=["alone", "xdist"])
def test_a_shard_runs_its_tests_and_knows_them_all(project: Project, more: tuple[str, ...]) -> None:
    """Workers of xdist cut as a single process does, and tell the controller what the whole suite is."""
    project.write("test_a.py", SUITE)
    ended = project.pytest("--matrix-shard=2/3", *more)
    assert ended.ret == 0
    header = project.run.header
    assert header.planned == (TESTS[1], TESTS[4]) == tuple(project.run.cells)
    assert (header.shard, header.suite_size, header.suite_digest) == ("2/3", 6, digest(TESTS))
    assert read_suite(project.run_file, header) == TESTS
    assert "envmatrix: shard 2/3" in ended.stdout.str()
    project.pytest("--matrix-shard=3/3")
    assert project.run.header.cut_digest == header.cut_digest


def test_shards_are_cut_after_everybody_else_has_selected(project: Project) -> None:
    """`-k` first: what it leaves out is no part of the suite, and is counted as deselected."""
    project.write("test_a.py", SUITE)
    project.pytest("--matrix-shard=1/2", "-k", "not 0")
    assert (project.run.header.suite_size, len(project.run.cells)) == (5, 3)
    assert project.run.footer is not None
    assert project.run.footer.deselected == 1


def test_shards_take_equally_long_by_what_tests_took(project: Project) -> None:
    """The longest alone, the others in the other; a worker of xdist is told the durations by the controller."""
    project.write(
        "test_a.py",
        SUITE.replace("pass", "__import__('time').sleep(0.2 if n == 3 else 0)").replace("range(6)", "range(4)"),
    )
    project.pytest()
    times = project.run_file.rename(project.root / "times.jsonl")
    for more in ((), ("-n1",)):
        project.pytest("--matrix-shard=1/2", f"--matrix-durations={times}", *more)
        assert tuple(project.run.cells) == ("test_a.py::test_a[3]",)


def test_a_shard_starts_only_what_its_own_tests_need(project: Project) -> None:
    """A service that only another shard's tests ask for is not started here."""
    project.write(
        "test_a.py", "def test_plain(): pass\ndef test_service(real_services): assert real_services.backend_url\n"
    )
    project.pytest("--matrix-shard=1/2")
    assert [cell.outcome for cell in project.run.cells.values()] == [Outcome.PASSED]
    assert project.run.attestations == ()
    project.pytest("--matrix-shard=2/2")
    assert [cell.outcome for cell in project.run.cells.values()] == [Outcome.PASSED]
    assert project.run.attestations != ()


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--matrix-shard=5/4", "no shard '5/4'. Write 2/4 for the second of four"),
        ("--matrix-durations=conftest.py", "conftest.py:1: is no run file: not JSON"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(project: Project, option: str, said: str) -> None:
    """One line, before anything is collected."""
    project.write("conftest.py", "x = 1\n")
    ended = project.pytest("--matrix-shard=1/2", option)
    assert ended.ret == pytest.ExitCode.USAGE_ERROR
    assert said in ended.stderr.str()
