"""A run that is sampled: what it records, what it judges, and what it leaves alone."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from envmatrix.environments import load_environment
from envmatrix.plugin.sampling import Sampling
from envmatrix.runs.cells import Run
from envmatrix.runs.events import Sample
from envmatrix.runs.file import read_samples
from envmatrix.services.processes.supervisor_directory import SupervisorDirectory
from tests.framework.bare import plain_environment
from tests.framework.project import TINY_TOML, Project, write_project
from tests.framework.services.place import eventually

SUITE = """
    import time

    import pytest

    def test_calm(real_services):
        assert real_services.backend_url

    def test_asks(real_services, record_property, monkeypatch):
        for number in range(3):
            real_services.http_client_sync.get(f"/orders/{number}0123")
        record_property("orders_per_second", 12.5)
        record_property("who", "somebody")

    def test_the_clock_steps(real_services, monkeypatch):
        for name in ("time", "monotonic", "perf_counter"):
            monkeypatch.setattr(time, name, lambda: -3600.0)
        assert real_services.http_client_sync.get("/health").status_code == 200

    def test_fails(real_services):
        assert 0
"""
LIMITS = TINY_TOML.replace("protected", 'max_rss = "1MiB"\np95_ms = 0.001\nprotected')


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One run with limits that nothing can keep."""
    project = write_project(Project(None, tmp_path_factory.mktemp("sampled")))
    project.write("environments/tiny.toml", LIMITS)
    project.write("test_a.py", SUITE)
    done = pytest_of(project, "--matrix-sample=0.1s")
    assert "1 failed, 3 passed" in done.stdout, done.stdout + done.stderr
    return project


def pytest_of(project: Project, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the project's tests in a process of their own."""
    project.run_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--matrix-environment=tiny"]
    return subprocess.run(
        [*command, f"--matrix-run-file={project.run_file}", *options],
        cwd=project.root,
        env=plain_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def run(sampled: Project) -> Run:
    """What it recorded."""
    return sampled.run


@pytest.fixture
def samples(sampled: Project) -> list[Sample]:
    """The samples of the run."""
    return read_samples(sampled.run_file)


def test_samples_are_of_pytest_and_of_each_service(run: Run, samples: list[Sample]) -> None:
    """In the order of their time; the last line is still the footer, and the suite is as it was."""
    assert run.complete
    assert len(samples) >= 2
    assert samples == sorted(samples, key=lambda sample: sample.at)
    assert {"rss", "descriptors", "sockets", "threads"} <= samples[-1].used["backend"].keys()
    assert samples[-1].used["pytest"]["rss"] > 10 << 20


def test_requests_are_recorded_by_route(run: Run) -> None:
    """Ids make no routes of their own; numbers that a test records are kept, words are not."""
    (asks,) = run.cells["test_a.py::test_asks"].attempts
    assert {route: len(times) for route, times in asks.requests.items()} == {"backend GET /orders/{id}": 3}
    assert asks.measured == {"orders_per_second": 12.5}
    (fails,) = run.cells["test_a.py::test_fails"].attempts
    assert (fails.requests, fails.measured) == ({}, {})


@pytest.mark.fault("clock-step")
def test_times_are_of_a_clock_that_does_not_step(run: Run) -> None:
    """A test sets every clock back: its own times and those of its requests are what they were."""
    (attempt,) = run.cells["test_a.py::test_the_clock_steps"].attempts
    (times,) = attempt.requests.values()
    assert 0 < times[0] < 10_000
    began = [cell.attempts[0].began for cell in run.cells.values()]
    assert began == sorted(began)
    assert 0 < attempt.began < 60


def test_crossed_limits_are_findings_of_the_run(run: Run) -> None:
    """With the tests; they are the product's, so the run is not compatible."""
    memory, requests = run.findings
    assert memory.rule == requests.rule == "L406"
    assert memory.message.startswith("backend: rss ")
    assert requests.message.startswith("backend: 95 of 100 requests within ")
    assert "test_a.py::test_asks" in requests.tests


def test_each_worker_is_sampled_by_its_name(tmp_path: Path) -> None:
    """And the process that hands tests out."""
    project = write_project(Project(None, tmp_path))
    project.write("test_a.py", SUITE)
    pytest_of(project, "--matrix-sample=0.1s", "-n2")
    samples = read_samples(project.run_file)
    assert {"pytest", "gw0", "gw1", "backend"} <= {name for sample in samples for name in sample.used}
    (asks,) = project.run.cells["test_a.py::test_asks"].attempts
    assert list(asks.requests) == ["backend GET /orders/{id}"]


def test_without_the_option_nothing_is_sampled(project: Project) -> None:
    """No process, no line, and no limit is judged."""
    project.write("environments/tiny.toml", LIMITS)
    project.write("test_a.py", "import psutil\n\ndef test_a(real_services):\n    assert real_services.backend_url\n")
    project.pytest()
    assert read_samples(project.run_file) == []
    (cell,) = project.run.cells.values()
    assert cell.attempts[0].requests == {}
    assert project.run.findings == ()


def test_an_interval_that_is_none_is_a_usage_error(project: Project) -> None:
    """It names the option."""
    done = project.pytest("--matrix-sample=1m")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["*--matrix-sample*"])
    done = project.pytest("--matrix-sample=1s", "--matrix-environment=tiny", environment="")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["*--matrix-sample has no file to record in. Name one: --matrix-run-file PATH"])


def test_a_sampler_that_fails_is_a_finding_of_the_run(project: Project) -> None:
    """With its last words: a limit that was not judged must not look like one that held."""
    run = SupervisorDirectory.make(project.root / "run")
    environment = load_environment("tiny", project.root / "environments", variables={})
    selection = SimpleNamespace(environment=environment, run_file=project.root / "nowhere" / "run.jsonl")
    sampling = Sampling(SimpleNamespace(run_dir=run.path, selection=selection, sample_every=1.0), began=0.0)
    sampling.start()
    (finding,) = sampling.end()
    assert finding.rule == "H302"
    assert finding.message.startswith("the run's sampler ended with 1: FileNotFoundError: ")


@pytest.mark.fault("runner-sigkill")
def test_the_sampler_ends_with_a_run_that_is_killed(project: Project) -> None:
    """Also where no supervisor is, and a child of a test holds on to the sampler's input."""
    project.write(
        "test_a.py",
        """
        import os, time

        def test_a():
            if os.fork() == 0:
                os.setsid()
                time.sleep(30)
            open("began", "w").close()
            time.sleep(60)
        """,
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--matrix-environment=tiny"]
    command += [f"--matrix-run-file={project.run_file}", "--matrix-sample=60s"]
    with subprocess.Popen(
        command, cwd=project.root, env=plain_environment(), stdout=subprocess.DEVNULL, start_new_session=True
    ) as process:
        assert eventually((project.root / "began").exists)
        below = psutil.Process(process.pid).children(recursive=True)
        (sampler,) = (each for each in below if "envmatrix.services.sampling" in each.cmdline())
        process.send_signal(signal.SIGKILL)
    assert eventually(lambda: not sampler.is_running())
    for each in below:
        if each.is_running():
            each.kill()
    assert not project.run.complete
    assert read_samples(project.run_file)
