"""The fingerprint that a run leaves in its file."""

from __future__ import annotations

import pytest

from tests.framework.project import Project


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_run_has_the_fingerprint_of_the_services_that_it_used(project: Project, workers: str) -> None:
    """Once, before the footer, with and without workers."""
    project.write("test_a.py", "def test_a(real_services): pass\ndef test_b(real_services): pass")
    project.pytest("-n", workers)
    run = project.run
    assert run.complete
    assert run.fingerprint is not None
    assert run.fingerprint.services == {"backend": {"openapi": {}, "flags": {}}}
    assert run.pings["backend"].version == "backend 1"
    assert project.run_file.read_text().count('"type":"fingerprint"') == 1


def test_a_run_that_used_no_service_has_none(project: Project) -> None:
    """Nothing is started for it."""
    project.write("test_a.py", "def test_a(): pass")
    assert project.pytest().ret == 0
    assert (project.run.fingerprint, project.run.pings) == (None, {})


@pytest.mark.fault("patched-socket")
def test_a_patched_world_costs_no_fingerprint(project: Project) -> None:
    """It is taken by a process that no patch of a test reaches."""
    project.write(
        "test_a.py",
        """
        import socket, threading

        def test_a(real_services):
            socket.create_connection = threading.Thread.start = None
        """,
    )
    project.pytest()
    assert project.run.complete
    assert project.run.fingerprint is not None
    assert set(project.run.fingerprint.services) == {"backend"}
