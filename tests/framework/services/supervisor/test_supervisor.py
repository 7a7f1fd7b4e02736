"""One process owns every service of a run, and leaves nothing behind, however the run ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psutil
import pytest
from pydantic import SecretStr

from envmatrix.environments import load_environment
from envmatrix.exceptions import DependencyError, NotReadyError, StartError, SupervisorError
from envmatrix.services.processes.process import was_killed
from envmatrix.services.processes.process_identity import ProcessIdentity
from envmatrix.services.processes.supervisor_directory import SupervisorDirectory
from envmatrix.services.supervisor import Owner, SupervisorClient
from envmatrix.services.supervisor.service_state import ServiceStatus
from tests.framework.other_user import as_another_user, needs_another_user
from tests.framework.services.place import HERE, Place, eventually, listens, marked, runs, with_faults

TWO = """
[services.store]
kind = "banner"
source = "embedded"

[services.shop]
kind = "banner"
source = "process"
command = ["{python}", "-S", "-E", "SERVER", "{shop.port}", "needs={store.state_dir}/data"]
"""


@contextmanager
def runner(place: Place, *services: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Another process that owns a run, and what it started."""
    command = [
        sys.executable,
        str(HERE / "runner_program.py"),
        str(place.runs / "r"),
        str(place.environments),
        *services,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            assert process.stdout
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def is_gone(place: Place, what: dict[str, Any]) -> bool:
    """Whether no process, port or directory of that run is left."""
    return (
        not any(runs(pid) for pid in [what["supervisor"], *what["pids"]])
        and not any(listens(port) for port in what["ports"])
        and not (place.runs / "r").exists()
        and not marked(str(place.runs))
    )


def test_a_service_comes_up_with_all_that_it_references(place: Place, owner: Owner) -> None:
    """Asking for one service brings up its references too; closing the run stops both and says so."""
    place.declare(TWO)
    started = place.client(owner.run_dir).start(["shop"])
    assert {name: state.status for name, state in started.states.items()} == {"shop": "up", "store": "up"}
    shop = started.states["shop"]
    assert shop.endpoint
    assert listens(shop.endpoint.port)
    final = owner.close()
    assert {state.status for state in final.values()} == {ServiceStatus.STOPPED}
    assert not listens(shop.endpoint.port)
    assert owner.close() == {}


def test_a_run_that_needs_nothing_starts_nothing(place: Place, owner: Owner) -> None:
    """Without a service to start there is no supervisor at all."""
    client = place.client(owner.run_dir)
    client.want([])
    assert client.start([]).states == {}
    assert client.states() == {}
    assert not SupervisorDirectory(owner.run_dir).supervisor.exists()


def test_however_many_workers_there_are_each_service_starts_once(place: Place, owner: Owner) -> None:
    """Concurrent clients share one supervisor and one start."""
    place.declare(TWO)
    place.client(owner.run_dir).want(["store"])
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda _: place.client(owner.run_dir).start(["shop", "store"]), range(8)))
    assert len({answer.states["shop"].pid for answer in answers}) == 1
    assert len({answer.states["store"].pid for answer in answers}) == 1
    ledger = SupervisorDirectory(owner.run_dir).ledger.read_text().splitlines()
    assert sorted(json.loads(line)["name"] for line in ledger) == ["shop", "store"]


def test_bytecode_is_kept_even_where_the_machine_forbids_it(
    place: Place, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor, and the fork server after it, never compile what they import at every start."""
    place.declare(TWO)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    place.client(owner.run_dir).start(["store"])
    supervisor = ProcessIdentity.read(SupervisorDirectory(owner.run_dir).supervisor)
    assert supervisor
    assert "PYTHONDONTWRITEBYTECODE" not in psutil.Process(supervisor.pid).environ()


def test_the_fork_server_of_a_known_environment_starts_before_the_supervisor_is_ready(
    place: Place, owner: Owner
) -> None:
    """The modules of the services that are asked for, and of what these reference, are known from the first start."""
    (place.root / "early.py").write_text("")
    (place.root / "other.py").write_text("")
    extra = 'start_deadline = 30\npreload = ["{}"]'
    place.declare(
        with_faults(extra=extra.format("early"))
        + with_faults("says=hello", "{shop.port}", name="front", extra="")
        + with_faults(name="store", extra=extra.format("other"))
    )
    environment = load_environment("local", place.environments)
    client = SupervisorClient(owner.run_dir, "local", place.environments, declared=environment)
    assert client.start(["front"]).states["front"].is_up
    supervisor = ProcessIdentity.read(SupervisorDirectory(owner.run_dir).supervisor)
    assert supervisor
    arguments = psutil.Process(supervisor.pid).cmdline()
    assert [word for word in arguments if word.startswith("--preload")] == ["--preload=early"]
    forks = [child.cmdline() for child in psutil.Process(supervisor.pid).children()]
    assert [words[-1] for words in forks if words[2].endswith("fork_server_program.py")] == ["early"]


def test_a_service_that_ends_itself_is_named_with_its_log(place: Place, owner: Owner) -> None:
    """A process that ends before it is ready fails its service at once, and those that reference it."""
    place.declare(with_faults("exit=3") + with_faults("{shop.url}", name="front"))
    states = place.client(owner.run_dir).start(["front"]).states
    with pytest.raises(StartError, match=r"'shop' ended with exit code 3 before it was ready.*\n.*\ngiving up"):
        raise states["shop"].as_error()
    why = "'front' was not started: 'shop', which it needs, ended with exit code 3 before it was ready; the log ends: giving"
    with pytest.raises(DependencyError, match=why):
        raise states["front"].as_error()
    assert states["shop"].exit_code == 3


def test_an_optional_service_that_fails_fills_its_references_with_nothing(place: Place, owner: Owner) -> None:
    """A service is started again without the address of an optional one that failed after all."""
    optional = with_faults("exit=3", extra="required = false")
    place.declare(optional + with_faults("says=hello{shop.url}", name="front", extra='start_after = "address"'))
    states = place.client(owner.run_dir).start(["front"]).states
    assert states["shop"].status is ServiceStatus.FAILED
    assert states["front"].is_up


def test_an_unknown_service_is_refused_with_the_nearest_name(place: Place, owner: Owner) -> None:
    """The supervisor answers a misspelt name with the right one, and goes on."""
    place.declare(TWO)
    with pytest.raises(SupervisorError, match=r"refused: .*local\.toml.* 'shopp' .*Did you mean 'shop'"):
        place.client(owner.run_dir).start(["shopp"])
    assert place.client(owner.run_dir).states() == {}


@pytest.mark.fault("slow-start")
def test_a_service_that_is_never_ready_fails_by_its_deadline(place: Place, owner: Owner) -> None:
    """After the start deadline the error has the end of the log, without the secret in it."""
    place.declare(with_faults("never-listens", extra="start_deadline = 0.3"))
    error = place.client(owner.run_dir).start(["shop"]).states["shop"].as_error()
    assert isinstance(error, NotReadyError)
    assert "not ready within 0.3 s" in error.reason
    assert "still thinking" in error.log_tail
    assert "hunter2" not in str(error)


@pytest.mark.fault("oom-kill")
def test_a_killed_service_is_named_as_signal_9(place: Place, owner: Owner) -> None:
    """A service that is killed while the suite runs is failed, by signal 9, in every later look."""
    place.declare(TWO)
    client = place.client(owner.run_dir)
    shop = client.start(["shop"]).states["shop"]
    assert shop.pid
    os.kill(shop.pid, signal.SIGKILL)
    assert eventually(lambda: not client.states()["shop"].is_up)
    state = client.start(["shop"]).states["shop"]
    assert (state.status, state.exit_code) == (ServiceStatus.FAILED, -9)
    assert "signal 9 (SIGKILL)" in state.reason
    assert "banner server" in state.log_tail


@pytest.mark.fault("product-crash")
def test_a_crashed_command_is_started_again_where_it_was(place: Place, owner: Owner) -> None:
    """Ten times in a run; each crash is kept, with its signal, the end of its log and the time when it was up again."""
    place.declare(with_faults("grandchild"))
    client = place.client(owner.run_dir)
    state = first = client.start(["shop"]).states["shop"]
    for number in range(11):
        assert state.pid
        assert state.endpoint == first.endpoint
        assert len(state.crashes) == number
        os.kill(state.pid, signal.SIGSEGV)
        assert eventually(lambda pid=state.pid: not runs(pid))
        before, state = state, client.start(["shop"]).states["shop"]
        assert number == 10 or (state.is_up and state.pid != before.pid)
    assert state.status is ServiceStatus.FAILED
    assert state.reason == "was ended by signal 11 (SIGSEGV), and had been started again 10 times"
    assert {crash.exit_code for crash in state.crashes} == {-11}
    assert [crash.up_again is not None and crash.up_again > crash.ended for crash in state.crashes] == [
        *[True] * 10,
        False,
    ]
    assert all("banner server" in crash.log_tail for crash in state.crashes)


@pytest.mark.fault("product-crash")
@pytest.mark.parametrize(
    ("code", "killed"), [(0, False), (3, False), (-11, False), (-6, False), (-9, True), (-15, True), (137, True)]
)
def test_only_what_ends_by_itself_has_crashed(code: int, killed: bool) -> None:
    """A signal that others send says nothing about the product, nor does the code that a shell makes of it."""
    assert was_killed(code) == killed


@pytest.mark.fault("runner-sigkill")
def test_nothing_is_left_when_the_runner_is_killed(place: Place) -> None:
    """The supervisor notices the runner's end by itself, and removes everything."""
    place.declare(TWO)
    with runner(place, "shop") as (process, what):
        assert all(listens(port) for port in what["ports"])
        process.kill()
        assert eventually(lambda: is_gone(place, what))


@pytest.mark.fault("runner-sigterm")
def test_nothing_is_left_when_the_runner_is_terminated(place: Place) -> None:
    """A runner without a handler of its own dies of SIGTERM, and everything with it."""
    place.declare(TWO)
    with runner(place, "shop") as (process, what):
        process.terminate()
        assert eventually(lambda: is_gone(place, what))


@pytest.mark.fault("double-sigint")
def test_nothing_is_left_when_the_runner_is_interrupted_twice(place: Place) -> None:
    """The second interrupt breaks the runner's orderly close; the supervisor, in its own session, does it all the same."""
    place.declare(with_faults("slow-exit=0.5"))
    with runner(place, "shop") as (process, what):
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout
        assert process.stdout.readline() == "closing\n"
        os.killpg(process.pid, signal.SIGINT)
        process.wait(5)
        assert eventually(lambda: is_gone(place, what))


def test_a_terminated_supervisor_stops_its_services(place: Place, owner: Owner) -> None:
    """SIGTERM to the supervisor stops everything; whoever asks then is told, with the log, and gets no second one."""
    place.declare(TWO)
    client = place.client(owner.run_dir)
    client.start(["shop"])
    supervisor = ProcessIdentity.read(SupervisorDirectory(owner.run_dir).supervisor)
    assert supervisor
    os.kill(supervisor.pid, signal.SIGTERM)
    assert eventually(lambda: not supervisor.process() and not marked(str(place.runs)))
    with pytest.raises(SupervisorError, match=r"does not answer|ended before it answered"):
        client.start(["shop"])


@pytest.mark.fault("supervisor-dead")
def test_closing_the_run_sweeps_what_a_killed_supervisor_left(place: Place, owner: Owner) -> None:
    """A killed supervisor is an error for whoever asks, never a hang; its services end with the run."""
    place.declare(TWO + with_faults("detached-grandchild", name="front"))
    client = place.client(owner.run_dir)
    client.start(["shop", "front"])
    supervisor = ProcessIdentity.read(SupervisorDirectory(owner.run_dir).supervisor)
    assert supervisor
    os.kill(supervisor.pid, signal.SIGKILL)
    with pytest.raises(SupervisorError):
        client.states()
    assert len(marked(str(place.runs))) >= 3
    owner.close()
    assert not marked(str(place.runs))


@pytest.mark.fault("fork-grandchild")
def test_grandchildren_end_with_their_service(place: Place, owner: Owner) -> None:
    """Also a grandchild that left its session and lost its parent is gone after the run."""
    place.declare(with_faults("grandchild", "detached-grandchild"))
    place.client(owner.run_dir).start(["shop"])
    assert len(marked(str(place.runs))) == 4, "supervisor, service and two grandchildren"
    owner.close()
    assert not marked(str(place.runs))


@pytest.mark.fault("sigterm-ignored-by-service")
def test_a_service_that_ignores_sigterm_is_killed_and_named(place: Place, owner: Owner) -> None:
    """After half of the deadline, at most 5 s, comes SIGKILL, and the final state says so."""
    place.declare(with_faults("ignore-sigterm"))
    place.client(owner.run_dir).start(["shop"])
    final = owner.close(deadline=0.8)
    assert final["shop"].exit_code == -9
    assert final["shop"].reason.startswith("ignored its stop signal and was killed")


TWIN = """
[twin]
environment = "twin.toml"
variables = { SHOP_URL = "tcp://{shop.host}:{shop.port}", STORE_URL = "{store.url}" }

[services.shop]
kind = "banner"
source = "remote"
url = "${SHOP_URL}"

[services.store]
kind = "banner"
source = "remote"
required = false
url = "${STORE_URL}"
"""
ABSENT_STORE = '[services.store]\nkind = "banner"\nsource = "absent"\n'


def test_a_twin_is_deployed_first_and_reached_by_its_urls_alone(place: Place, owner: Owner) -> None:
    """While its variables are unset, a remote environment is what the twin's services say it is."""
    place.declare(TWIN)
    place.declare(ABSENT_STORE + with_faults(), name="twin")
    started = place.client(owner.run_dir).start(["shop", "store"])
    shop, behind = started.states["shop"], started.states["twin:shop"]
    assert shop.endpoint
    assert behind.endpoint
    assert shop.is_up
    assert (shop.endpoint.source, shop.endpoint.port, shop.pid) == ("remote", behind.endpoint.port, None)
    assert started.environment
    assert started.environment.twin is None
    urls = {name: spec.url for name, spec in started.environment.services.items()}
    assert urls == {"shop": shop.endpoint.url, "store": SecretStr("")}
    assert started.states["twin:store"].status is ServiceStatus.ABSENT
    assert "empty URL" in started.states["store"].reason


def test_a_twin_that_fails_is_why_its_services_are_not_reached(place: Place, owner: Owner) -> None:
    """A deployment that did not come up fails every service asked for, and says which of its own it was."""
    place.declare(TWIN)
    place.declare(ABSENT_STORE + with_faults("exit=3"), name="twin")
    started = place.client(owner.run_dir).start(["shop"])
    assert started.environment is None
    assert started.states["twin:shop"].exit_code == 3
    with pytest.raises(DependencyError, match=r"'shop' was not reached: .*twin:shop ended with exit code 3"):
        raise started.states["shop"].as_error()


def test_a_supervisor_that_cannot_start_is_an_error_with_its_log(
    place: Place, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks is told at once, and why."""
    monkeypatch.setenv("PYTHONPATH", str(place.root))
    (place.root / "pydantic.py").write_text("raise ImportError('a broken installation')")
    with pytest.raises(SupervisorError, match=r"the supervisor .*\n(.*\n)*ImportError: a broken installation"):
        place.client(owner.run_dir).start(["shop"])


def test_a_wrong_declaration_is_refused_in_one_line(place: Place, owner: Owner) -> None:
    """The supervisor reads the declaration itself, and says what is wrong with it."""
    place.declare("[services.shop]\nkind = 'banner'\nsource = 'absent'\nhealht = 'process'\n")
    with pytest.raises(SupervisorError, match=r"refused: .*local\.toml:4: unknown key 'healht'.*Did you mean 'health'"):
        place.client(owner.run_dir).start(["shop"])


def test_a_run_that_is_over_starts_nothing(place: Place, owner: Owner) -> None:
    """A worker that outlives its run gets an error, and no supervisor of its own."""
    place.declare(TWO)
    owner.close()
    client = place.client(owner.run_dir)
    with pytest.raises(SupervisorError, match="the run is over"):
        client.start(["shop"])
    assert client.log_tails(["shop"]) == {"shop": ""}
    with pytest.raises(FileNotFoundError):
        SupervisorDirectory(owner.run_dir).state("shop", 0)
    assert not owner.run_dir.exists(), "nothing makes the directory again"


@pytest.mark.fault("wide-umask")
@pytest.mark.parametrize("bits", [0o000, 0o077])
def test_nothing_of_a_run_is_open_to_others(place: Place, umask: Callable[[int], object], bits: int) -> None:
    """Whatever the umask, files and sockets of the run are 0600; a directory can at most be passed through."""
    place.declare(TWO)
    umask(bits)
    owner = Owner(place.runs / "r")
    place.client(owner.run_dir).start(["shop"])
    paths = [path for path in (owner.run_dir, *owner.run_dir.rglob("*")) if path.parent.parent.name != "state"]
    modes = {str(path.relative_to(place.runs)): stat.S_IMODE(path.lstat().st_mode) for path in paths}
    passed = {name for name in ("r", "r/state") if os.geteuid() == 0}
    assert {"r/supervisor.sock", "r/owner.sock", "r/logs/shop.log", "r/processes.jsonl"} <= modes.keys()
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == dict.fromkeys(passed, "0o711")
    owner.close()


@needs_another_user
@pytest.mark.fault("wide-umask")
def test_the_supervisor_answers_no_other_user(place: Place, owner: Owner) -> None:
    """Even one who finds the socket open gets no answer: its account is not ours."""
    place.declare(TWO)
    place.client(owner.run_dir).start(["shop"])
    address = SupervisorDirectory(owner.run_dir).supervisor_socket
    place.runs.chmod(0o711)

    def ask() -> bytes:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(address))
            client.sendall(b'{"do": "states"}\n')
            return client.recv(1)

    assert as_another_user(ask) == "PermissionError"
    address.chmod(0o666)
    assert as_another_user(ask) in {"b''", "ConnectionResetError", "BrokenPipeError"}
    assert place.client(owner.run_dir).states()["shop"].is_up


def test_one_variant_follows_another_when_all_has_recovered(place: Place, owner: Owner) -> None:
    """The services are started once, whole; what one variant degrades, the next does not, unless it says so."""
    late = '\n[variants.late]\nservices.shop = { fault = "latency", latency = 0.01 }\n'
    place.declare(with_faults() + with_faults("says=hello", "needs=/", "{shop.port}", name="front") + late)
    client = place.client(owner.run_dir, "local+shop.down")
    states = client.start(["front"]).states
    assert {name: state.is_up for name, state in states.items()} == {"front": True, "shop": True}
    specs = load_environment("local", place.environments, variables={}).services
    reached = {name: (specs[name], state.endpoint) for name, state in states.items() if state.endpoint}

    def pings() -> dict[str, str]:
        return {name: str(ping.status) for name, ping in client.ping(reached, 1).items()}

    assert pings() == {"front": "up", "shop": "down"}
    client.degrade("local+front.down", ["front"])
    assert pings() == {"front": "down", "shop": "up"}
    client.degrade("local+late", ["front"])
    assert pings() == {"front": "up", "shop": "up"}
    assert client.start(["shop"]).states["shop"].pid == states["shop"].pid
