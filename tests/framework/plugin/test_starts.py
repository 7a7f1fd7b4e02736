"""When services started and tests began, as a run file tells it."""

from __future__ import annotations

import pytest

from tests.framework.project import Project


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_run_says_when_each_service_and_test_began(project: Project, workers: str) -> None:
    """In seconds from the run's start, with and without workers; a test that needs a service ends after that is up."""
    project.write("test_a.py", "def test_a(real_services): pass\ndef test_b(): pass")
    project.pytest("-n", workers)
    run = project.run
    assert run.footer is not None
    began, ready = run.starts["backend"]
    assert 0 < began < ready < run.footer.duration
    attempts = {test: cell.attempts[0] for test, cell in run.cells.items()}
    assert all(0 < each.began < run.footer.duration for each in attempts.values())
    needs = attempts["test_a.py::test_a"]
    assert needs.began + needs.duration > ready


def test_a_run_that_started_no_service_says_nothing_of_one(project: Project) -> None:
    """No line is written for it."""
    project.write("test_a.py", "def test_a(): pass")
    project.pytest()
    assert project.run.starts == {}
    assert '"type":"starts"' not in project.run_file.read_text()
