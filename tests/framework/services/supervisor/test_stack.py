"""Services start in the order of their references, on ports that are ours, and remote ones are looked at, not stormed."""

from __future__ import annotations

import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from envmatrix.environments import ServiceSpec, load_environment, project_root
from envmatrix.exceptions import IdentityError, NotReadyError, StartError, UnreachableError
from envmatrix.services.kinds.registry import get_kind
from envmatrix.services.processes.ports import free_port, is_listener
from envmatrix.services.processes.process import Launcher
from envmatrix.services.processes.supervisor_directory import SupervisorDirectory
from envmatrix.services.supervisor import stack as stack_module
from envmatrix.services.supervisor.run_context import RunContext
from envmatrix.services.supervisor.service_state import ServiceState, ServiceStatus
from envmatrix.services.supervisor.stack import Stack
from tests.framework.services.place import Place, with_faults


@pytest.fixture
def run_context(place: Place) -> Iterator[RunContext]:
    """A run of this process's own; all of its services are stopped after the test."""
    run = SupervisorDirectory.make(place.runs / "r")
    run_context = RunContext(run, place.root, Launcher(run))
    yield run_context
    run_context.stopping.set()
    assert run_context.launcher.stop_all(grace=1) == frozenset()
    shutil.rmtree(run.path)


def bring_up(place: Place, run_context: RunContext, *names: str) -> dict[str, ServiceState]:
    """Start services of the environment `local` and wait."""
    stack = Stack(load_environment("local", place.environments, variables={}), run_context)
    begun = stack.begin(names)
    stack.wait(begun)
    return stack.states({*begun, *names})


@pytest.fixture
def stranger() -> Iterator[int]:
    """A port on which somebody else listens."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.mark.fault("port-in-use")
def test_a_service_whose_port_was_taken_gets_another(
    place: Place, run_context: RunContext, stranger: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that cannot bind is started again elsewhere, and so is who was told its first address."""
    place.declare(
        with_faults()
        + with_faults("says=hello", "needs=/", "{shop.port}", name="front", extra='start_after = "address"')
    )
    ports = iter([stranger])
    monkeypatch.setattr(stack_module, "free_port", lambda: next(ports, None) or free_port())
    states = bring_up(place, run_context, "shop")
    assert states["shop"].is_up
    shop = states["shop"]
    assert shop.endpoint
    assert shop.pid
    assert shop.endpoint.port != stranger
    assert is_listener(shop.pid, shop.endpoint.port)


@pytest.mark.fault("port-in-use")
def test_a_strangers_service_is_never_adopted(
    place: Place, run_context: RunContext, stranger: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port that answers, but not from our process, is not our service: after three such ports we give up."""
    place.declare(with_faults("never-listens"))
    monkeypatch.setattr(stack_module, "free_port", lambda: stranger)
    error = bring_up(place, run_context, "shop")["shop"].as_error()
    assert isinstance(error, StartError)
    assert "found 3 free ports taken" in error.reason


@pytest.mark.fault("port-in-use")
def test_whoever_was_told_a_taken_address_is_told_the_new_one(
    place: Place, run_context: RunContext, stranger: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that was started when only the address was known ends up with the address that is true."""
    place.declare(
        with_faults("says={shop.port}", name="front", extra='start_after = "address"\noptions = { says = "PORT" }')
        + with_faults()
    )
    good = free_port()
    text = (place.environments / "local.toml").read_text()
    (place.environments / "local.toml").write_text(text.replace("PORT", str(good)))
    chosen = {"shop": iter([stranger, good])}
    monkeypatch.setattr(
        stack_module,
        "free_port",
        lambda: next(chosen.get(threading.current_thread().name, iter(())), None) or free_port(),
    )
    states = bring_up(place, run_context, "front")
    assert states["shop"].is_up
    assert states["front"].is_up


def test_an_absent_service_fills_with_nothing(place: Place, run_context: RunContext) -> None:
    """A reference to an absent service is the empty string, and the absent one says so itself."""
    absent = '[services.store]\nkind = "banner"\nsource = "absent"\n'
    place.declare(absent + with_faults("says=hello{store.url}"))
    states = bring_up(place, run_context, "shop", "store")
    assert states["shop"].is_up
    assert states["store"].status is ServiceStatus.ABSENT


def test_a_chain_of_failures_leads_to_its_first(place: Place, run_context: RunContext) -> None:
    """Each service that failed for want of another names the one that failed by itself; one that ran was stopped."""
    early = 'start_after = "address"'
    place.declare(
        with_faults("exit=3", name="zeta")
        + with_faults("{zeta.url}", name="middle", extra=early)
        + with_faults("{middle.url}", name="alpha")
    )
    states = bring_up(place, run_context, "alpha")
    why = "'zeta', which it needs, ended with exit code 3 before it was ready"
    assert states["middle"].reason == f"was stopped: {why}"
    assert states["alpha"].reason == f"was not started: {why}"


def test_blanks_are_filled_and_secrets_stay_with_the_runner(
    place: Place, run_context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command gets what it declares and a few harmless variables, and none of the runner's others."""
    monkeypatch.setenv("RUNNER_TOKEN", "must-not-travel")
    place.declare(
        """
[services.shop]
kind = "banner"
source = "process"
command = ["{python}", "-c", "import os; print(sorted(os.environ.items())); print(os.getcwd())"]
env = { WHERE = "{environment} at {commit}", PORT = "{shop.port}" }
"""
    )
    tail = bring_up(place, run_context, "shop")["shop"].log_tail
    assert "('WHERE', 'local at unknown')" in tail
    assert "('PATH', " in tail
    assert "must-not-travel" not in tail
    assert tail.endswith(str(place.root))
    assert project_root(place.environments) == place.root


def test_a_tls_service_gets_a_certificate_that_verifies(place: Place, run_context: RunContext) -> None:
    """The endpoint's URL says so, its files are private, and its certificate verifies against its authority."""
    place.declare(with_faults("tls={shop.cert_file},{shop.key_file}", extra="tls = true"))
    shop = bring_up(place, run_context, "shop")["shop"]
    assert shop.is_up, shop
    assert shop.endpoint
    assert shop.endpoint.url.get_secret_value().startswith("tls://127.0.0.1:")
    assert {oct(Path(path).stat().st_mode & 0o777) for path in (shop.endpoint.key_file, shop.endpoint.cert_file)} == {
        "0o600"
    }
    context = ssl.create_default_context(cafile=shop.endpoint.ca_file)
    with (
        socket.create_connection((shop.endpoint.host, shop.endpoint.port)) as plain,
        context.wrap_socket(plain, server_hostname=shop.endpoint.host) as secured,
    ):
        assert secured.recv(10) == b"hello\n"


def test_a_remote_service_is_looked_at_three_times(place: Place, run_context: RunContext) -> None:
    """A refusing remote is unreachable after three looks; one that says something else is not the one declared."""
    closed = free_port()
    with socket.create_server(("127.0.0.1", 0)) as server:
        place.declare(f'[services.shop]\nkind = "banner"\nsource = "remote"\nurl = "tcp://127.0.0.1:{closed}"\n')
        with pytest.raises(UnreachableError, match=r"could not be reached: .*refused"):
            raise bring_up(place, run_context, "shop")["shop"].as_error()
        port = server.getsockname()[1]
        place.declare(
            f'[services.shop]\nkind = "banner"\nsource = "remote"\nurl = "tcp://127.0.0.1:{port}"\nidentity = {{ says = "hi" }}\n'
        )

        def greet() -> None:
            for _ in range(3):
                connection, _ = server.accept()
                connection.sendall(b"somebody else\n")
                connection.close()

        threading.Thread(target=greet, daemon=True).start()
        with pytest.raises(IdentityError, match="it says 'somebody else'"):
            raise bring_up(place, run_context, "shop")["shop"].as_error()


@pytest.mark.fault("hung-accept")
@pytest.mark.parametrize(
    ("step", "source"),
    [("launch", "embedded"), ("connect", "process"), ("ping", "process"), ("connect", "remote"), ("ping", "remote")],
)
def test_a_kind_that_hangs_holds_nobody(
    place: Place, run_context: RunContext, monkeypatch: pytest.MonkeyPatch, step: str, source: str
) -> None:
    """A plugged-in kind that ignores its deadline is given up soon after it, and so is who references its service."""
    what = {
        "embedded": "start_deadline = 0.5",
        "process": 'start_deadline = 0.5\ncommand = ["{python}", "-S", "-E", "SERVER", "{shop.port}"]',
        "remote": 'url = "tcp://127.0.0.1:9"',
    }
    place.declare(
        f'[services.shop]\nkind = "banner"\nsource = "{source}"\nping_deadline = 0.1\n{what[source]}\n'
        + with_faults("says={shop.port}", name="front")
    )
    monkeypatch.setattr(stack_module, "_MARGIN", 0.1)
    released = threading.Event()
    kind = get_kind("banner")
    real = getattr(kind, step)

    def hang(spec: ServiceSpec, *rest: object, **more: object) -> object:
        if spec.name == "shop":
            assert released.wait(60)
        return real(spec, *rest, **more)

    monkeypatch.setattr(kind, step, hang)
    before = {*threading.enumerate()}
    states = bring_up(place, run_context, "front")
    hung = {*threading.enumerate()} - before
    released.set()
    run_context.stopping.set()
    for thread in hung:
        thread.join(10)
    with pytest.raises(NotReadyError, match="after its deadline its kind 'banner' has not come back"):
        raise states["shop"].as_error()
    assert states["front"].reason.startswith("was not started: 'shop', which it needs, hangs")
    assert hung
    assert not any(thread.is_alive() for thread in hung)
