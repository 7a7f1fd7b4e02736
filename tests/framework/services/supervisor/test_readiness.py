"""When a job is done, and what becomes of those that need it."""

from __future__ import annotations

import os
import signal

import pytest

from envmatrix.environments import load_environment
from envmatrix.exceptions import DependencyError, NotReadyError, StartError, UsageError
from envmatrix.runs.ping import PingStatus
from envmatrix.services import get_kind
from envmatrix.services.supervisor import Owner
from envmatrix.services.supervisor.service_state import ServiceState
from tests.framework.services.place import Place, eventually, with_faults


def started(place: Place, owner: Owner, script: str, more: str = "") -> dict[str, ServiceState]:
    """Start a service that needs a job, and return the states of both."""
    place.declare(
        with_faults("needs=done", extra='needs = ["migrate"]')
        + f"""
[services.migrate]
kind = "job"
source = "process"
command = ["{{python}}", "-S", "-E", "-c", '''{script}''']
{more}
"""
    )
    (place.root / "done").unlink(missing_ok=True)
    return place.client(owner.run_dir).start(["shop"]).states


def test_a_job_runs_to_its_end_before_what_needs_it(place: Place, owner: Owner) -> None:
    """The service starts when the job has ended with 0; the job stays up, is never started again, and is at no address."""
    states = started(place, owner, "import time; time.sleep(0.2); open('done', 'x').close()")
    assert {name: state.is_up for name, state in states.items()} == {"shop": True, "migrate": True}, states
    again = place.client(owner.run_dir).start(["migrate"]).states["migrate"]
    assert (again.is_up, again.exit_code, again.pid, again.crashes) == (True, 0, None, ())
    assert again.endpoint
    assert (again.endpoint.host, again.endpoint.port) == ("", 0)
    spec = load_environment("local", place.environments, variables={}).services["migrate"]
    assert place.client(owner.run_dir).ping({"migrate": (spec, again.endpoint)}, 1)["migrate"].version == "exit code 0"
    with pytest.raises(UsageError, match="is of kind 'job', which has no url"):
        get_kind("job").connect(spec, "http://127.0.0.1:1")  # as a probe would that found none started


def test_a_failed_job_is_told_with_its_code_and_log(place: Place, owner: Owner) -> None:
    """Who needs it is not started, for a reason that names the job; the end of its log is the evidence."""
    states = started(place, owner, "print('no such table'); raise SystemExit(4)")
    failed = states["migrate"]
    assert (failed.reason, failed.exit_code, failed.log_tail) == (
        "failed: it ended with exit code 4",
        4,
        "no such table",
    )
    assert isinstance(failed.as_error(), StartError)
    with pytest.raises(DependencyError, match="was not started: 'migrate', which it needs, failed: it ended with"):
        raise states["shop"].as_error()


def test_a_job_that_takes_too_long_is_ended(place: Place, owner: Owner) -> None:
    """Its `start_deadline` bounds it; nothing of it is left."""
    states = started(place, owner, "import time; time.sleep(60)", "start_deadline = 0.3")
    with pytest.raises(NotReadyError, match=r"was not ready within 0.3 s \(start_deadline\): it still runs"):
        raise states["migrate"].as_error()


ENDS_ONCE = """
import os, sys, time
if not os.path.exists("ran"):
    open("ran", "x").close()
    sys.exit(3)
time.sleep(60)
"""


def background(place: Place, owner: Owner, script: str) -> ServiceState:
    """Start a service that needs a background program, and return the state of that."""
    place.declare(
        with_faults(extra='needs = ["worker"]')
        + f"""
[services.worker]
kind = "background"
source = "process"
command = ["{{python}}", "-S", "-E", "-c", '''{script}''']
"""
    )
    states = place.client(owner.run_dir).start(["shop"]).states
    assert states["shop"].is_up
    return states["worker"]


def test_a_background_program_is_up_while_it_runs(place: Place, owner: Owner) -> None:
    """It is at no address; killed by somebody else it stays down, and the ping says so."""
    worker = background(place, owner, "import time; time.sleep(60)")
    assert worker.is_up
    assert worker.endpoint
    assert worker.pid
    client = place.client(owner.run_dir)
    spec = load_environment("local", place.environments, variables={}).services["worker"]
    assert client.ping({"worker": (spec, worker.endpoint)}, 1)["worker"].version == "runs"
    os.kill(worker.pid, signal.SIGKILL)
    assert eventually(lambda: not client.states()["worker"].is_up)
    ping = client.ping({"worker": (spec, worker.endpoint)}, 1)["worker"]
    assert ping.status is PingStatus.DOWN
    assert ping.detail.startswith("was ended by signal 9 (SIGKILL)")
    assert client.states()["worker"].crashes == ()


def test_a_background_program_that_ends_is_a_crash_and_is_started_again(place: Place, owner: Owner) -> None:
    """Its exit code is the evidence, also where it ends at once."""
    background(place, owner, ENDS_ONCE)
    client = place.client(owner.run_dir)
    assert eventually(lambda: client.states()["worker"].crashes)
    assert [crash.exit_code for crash in client.states()["worker"].crashes] == [3]
    assert client.start(["worker"]).states["worker"].is_up
