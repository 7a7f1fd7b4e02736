"""A run that is told to stop, or killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from envmatrix.runs.outcomes import Outcome
from tests.framework.bare import LEFT_OUT
from tests.framework.project import Project

SLOW = """
    import pathlib, time
    import pytest

    def test_first(real_services):
        pathlib.Path("url.txt").write_text(real_services.backend_url)

    def test_slow(real_services):
        pathlib.Path("started.txt").write_text("yes")
        {body}

    def test_last(): pass
"""

DEADLINE = 20.0


@pytest.fixture
def started(project: Project, request: pytest.FixtureRequest) -> subprocess.Popen[bytes]:
    """A run that stands in the middle of its second test."""
    project.write("test_a.py", SLOW.format(body=getattr(request, "param", "time.sleep(60)")))
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "pytest",
            *LEFT_OUT,
            "-p",
            "no:cacheprovider",
            "--matrix-environment",
            "tiny",
            "--matrix-run-file",
            "run.jsonl",
        ],
        cwd=project.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for((project.root / "started.txt").exists, process)
    return process


def wait_for(condition: object, process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until something is true; fail where it is not by the deadline."""
    end = time.monotonic() + DEADLINE
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "deadline passed"
        assert process is None or process.poll() is None, "the run ended too early"
        time.sleep(0.02)


def services_of(root: Path) -> list[psutil.Process]:
    """Every process that runs a service of the project."""
    return [
        process
        for process in psutil.process_iter(["cwd", "cmdline"])
        if process.info["cwd"] == str(root) and "server.py" in (process.info["cmdline"] or [])
    ]


@pytest.mark.fault("runner-sigterm")
def test_sigterm_ends_with_teardown_footer_and_143(project: Project, started: subprocess.Popen[bytes]) -> None:
    """SIGTERM: the footer is written, what did not run is `not_run`, exit 143, and no service is left."""
    assert services_of(project.root)
    started.send_signal(signal.SIGTERM)
    assert started.wait(DEADLINE) == 143
    run = project.run
    assert run.footer is not None
    assert (run.footer.exit_code, run.footer.reason) == (143, "terminated by SIGTERM")
    outcomes = {name.partition("::")[2]: cell.outcome for name, cell in run.cells.items()}
    assert outcomes == {"test_first": Outcome.PASSED, "test_slow": Outcome.NOT_RUN, "test_last": Outcome.NOT_RUN}
    wait_for(lambda: not services_of(project.root))


@pytest.mark.fault("runner-sigterm")
@pytest.mark.parametrize(
    "started", ["while True:\n            try: time.sleep(60)\n            except BaseException: pass"], indirect=True
)
def test_sigterm_ends_a_test_that_swallows_it(project: Project, started: subprocess.Popen[bytes]) -> None:
    """A test that swallows every exception is ended by force, with the footer."""
    started.send_signal(signal.SIGTERM)
    assert started.wait(DEADLINE) == 143
    assert project.run.footer is not None
    wait_for(lambda: not services_of(project.root))


TEARDOWN = "time.sleep(60)\n\n    @pytest.fixture(autouse=True)\n    def moody():\n        yield\n        raise RuntimeError('late')"


@pytest.mark.fault("raising-teardown-at-sigterm")
@pytest.mark.parametrize("started", [TEARDOWN], indirect=True)
def test_a_teardown_that_raises_at_sigterm_changes_nothing(project: Project, started: subprocess.Popen[bytes]) -> None:
    """The footer is there and says both, and the exit code is the signal's."""
    started.send_signal(signal.SIGTERM)
    assert started.wait(DEADLINE) == 143
    footer = project.run.footer
    assert footer is not None
    assert (footer.exit_code, footer.reason) == (143, "terminated by SIGTERM; then RuntimeError: late")


@pytest.mark.fault("runner-sigkill")
def test_sigkill_leaves_no_service_and_an_incomplete_run(project: Project, started: subprocess.Popen[bytes]) -> None:
    """SIGKILL: everything started is gone; at most the test in flight is lost; the run is incomplete."""
    os.kill(started.pid, signal.SIGKILL)
    started.wait(DEADLINE)
    wait_for(lambda: not services_of(project.root))
    run = project.run
    assert run.footer is None
    assert not run.complete
    assert run.cells["test_a.py::test_first"].outcome is Outcome.PASSED
    assert run.cells["test_a.py::test_slow"].reason == "the run file has no footer"
