"""Workers on other machines ask through the controller: another process here, connected as xdist connects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import execnet
import psutil
import pytest

from envmatrix.services.processes.process_identity import ProcessIdentity
from envmatrix.services.processes.supervisor_directory import SupervisorDirectory
from envmatrix.services.supervisor import Owner, Relay
from envmatrix.services.supervisor.service_state import StartReply
from tests.framework.services.place import Place, with_faults

WORKER = """
from envmatrix.exceptions import SupervisorError
from envmatrix.services.supervisor import RelayedClient

client = RelayedClient(channel.receive())
for do, names in channel:
    try:
        answer = getattr(client, do)(names)
        channel.send(answer.dump() if do == "start" else answer)
    except SupervisorError as error:
        channel.send(str(error))
"""


class Worker:
    """A process of its own that has nothing but a channel to ask through."""

    def __init__(self, group: execnet.Group, relay: Relay) -> None:
        gateway = group.makegateway("execmodel=main_thread_only//popen")
        self._work = gateway.remote_exec(WORKER)
        self.channel = relay.channel(gateway)
        self._work.send(self.channel)

    def __call__(self, do: str, *names: str) -> Any:
        """What the worker gets when it calls a method of its client, or the error's text."""
        self._work.send((do, names))
        return self._work.receive(20.0)


@pytest.fixture
def worker(place: Place, owner: Owner) -> Iterator[Worker]:
    """A worker of a run, on another machine."""
    group = execnet.Group()
    try:
        yield Worker(group, Relay(place.client(owner.run_dir)))
    finally:
        group.terminate(5.0)


def test_a_worker_gets_what_the_supervisor_says(place: Place, worker: Worker) -> None:
    """Services come up with their endpoints, one that failed has its reason, and logs are those of the controller."""
    place.declare(with_faults() + with_faults("exit=3", name="front"))
    worker("want", "shop")
    states = StartReply.model_validate(worker("start", "shop", "front")).states
    assert states["shop"].endpoint
    assert (states["front"].error, states["front"].exit_code) == ("StartError", 3)
    logs = worker("log_tails", "shop", "front")
    assert "banner server" in logs["shop"]
    assert "giving up" in logs["front"]


def test_what_the_supervisor_refuses_is_refused_there(place: Place, worker: Worker) -> None:
    """A refusal arrives as the same error."""
    place.declare(with_faults())
    assert worker("start", "shpo").startswith("the supervisor refused: ")
    assert worker("start") == {}


def test_a_supervisor_that_was_killed_is_an_error_there(place: Place, owner: Owner, worker: Worker) -> None:
    """It ends no worker and hangs none; and of logs there are only those that were written."""
    place.declare(with_faults())
    worker("start", "shop")
    supervisor = ProcessIdentity.read(SupervisorDirectory(owner.run_dir).supervisor)
    assert supervisor
    below = psutil.Process(supervisor.pid).children(recursive=True)
    for process in (psutil.Process(supervisor.pid), *below):
        process.kill()
    assert worker("start", "shop").startswith("the supervisor ")
    assert "banner server" in worker("log_tails", "shop")["shop"]


def test_a_controller_that_is_gone_is_an_error_there(worker: Worker) -> None:
    """A worker that cannot ask any more says so at once; logs are just empty."""
    worker.channel.close()
    assert "the controller" in worker("start", "shop")
    assert worker("log_tails", "shop") == {}
