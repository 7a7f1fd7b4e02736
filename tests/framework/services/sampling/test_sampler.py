"""A sample tells what real services use, and nothing of what does not answer."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from envmatrix.safety.unpatched import REAL
from envmatrix.services.clients import postgres, redis_client
from envmatrix.services.sampling import Sampler, tree
from envmatrix.services.supervisor import Owner, SupervisorClient
from envmatrix.services.supervisor.service_state import ServiceState
from tests.framework.services.place import eventually

STORES = "".join(
    f'[services.{name}]\nkind = "{kind}"\nsource = "embedded"\n'
    for name, kind in (("database", "postgres"), ("cache", "redis"))
)
HUNGRY = "x = bytearray(64 << 20); import socket; s = [socket.socket() for _ in range(9)]; print(flush=True); input()"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SupervisorClient]:
    """PostgreSQL and Valkey, up."""
    root = tmp_path_factory.mktemp("stores")
    (root / "local.toml").write_text(STORES)
    with closing(Owner()) as owner:
        client = SupervisorClient(owner.run_dir, "local", root)
        client.start(["database", "cache"])
        yield client


@pytest.fixture(scope="module")
def states(client: SupervisorClient) -> dict[str, ServiceState]:
    """What the supervisor knows of them."""
    return client.states()


@pytest.fixture
def sampler(client: SupervisorClient) -> Iterator[Sampler]:
    """Samples both."""
    with closing(Sampler(client, REAL.clock())) as sampler:
        yield sampler


def test_postgres_tells_connections_and_locks(sampler: Sampler, states: dict[str, ServiceState]) -> None:
    """Those of everybody but the sampler: two more connections, a lock that one holds and the other waits for."""
    endpoint = states["database"].endpoint
    assert endpoint is not None
    assert eventually(lambda: sampler.sample({}).used["database"]["connections"] == 0)
    before = sampler.sample({}).used["database"]
    with postgres(endpoint) as one, postgres(endpoint) as other:
        one.execute("SELECT pg_advisory_lock(1)")
        waiter = threading.Thread(target=other.execute, args=("SELECT pg_advisory_lock(1)",))
        waiter.start()
        assert eventually(lambda: sampler.sample({}).used["database"]["waiting"] == before["waiting"] + 1)
        after = sampler.sample({}).used["database"]
        one.execute("SELECT pg_advisory_unlock(1)")
        waiter.join()
    assert after["connections"] == before["connections"] + 2
    assert after["locks"] > before["locks"]


def test_redis_tells_memory_keys_and_clients(sampler: Sampler, states: dict[str, ServiceState]) -> None:
    """Of all its databases."""
    endpoint = states["cache"].endpoint
    assert endpoint is not None
    assert eventually(lambda: sampler.sample({}).used["cache"]["connections"] == 0)
    before = sampler.sample({}).used["cache"]
    with redis_client(endpoint) as redis:
        redis.set("large", "x" * 100_000)
        redis.set("small", "x")
        after = sampler.sample({}).used["cache"]
        redis.delete("large", "small")
    assert after["keys"] == before["keys"] + 2
    assert after["connections"] == before["connections"] + 1
    assert after["memory"] > before["memory"] + 100_000


def test_a_process_is_measured_with_all_below_it(sampler: Sampler) -> None:
    """A shell and its child: memory, descriptors, sockets and threads of both; processor time from the second look on."""
    with subprocess.Popen(
        ["sh", "-c", f'"{sys.executable}" -S -c "{HUNGRY}"; true'], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as shell:
        assert shell.stdout is not None
        shell.stdout.readline()
        first = sampler.sample({"command": tree(shell.pid)}).used["command"]
        second = sampler.sample({"command": tree(shell.pid)}).used["command"]
        alone = sampler.sample({"command": [psutil.Process(shell.pid)]}).used["command"]
        shell.communicate(b"\n")
        assert "command" not in sampler.sample({"command": tree(shell.pid)}).used
    assert first["rss"] > 64 << 20 > alone["rss"]
    assert (first["sockets"], alone["sockets"]) == (9, 0)
    assert first["threads"] == 2
    assert "cpu" not in first
    assert second["cpu"] >= 0


def test_a_server_that_hangs_costs_its_own_values_alone(client: SupervisorClient, sampler: Sampler) -> None:
    """PostgreSQL stands still: its process is still measured, and when it goes on it is asked again."""
    sampler.sample({})
    pid = client.states()["database"].pid
    assert pid is not None
    processes = list(tree(pid))
    with ExitStack() as stack:
        for process in processes:
            process.suspend()
            stack.callback(process.resume)
        used = sampler.sample({}).used
        assert "connections" not in used["database"]
        assert used["database"]["rss"] > 0
        assert used["cache"]["connections"] >= 0
    assert eventually(lambda: "connections" in sampler.sample({}).used["database"])


@pytest.mark.fault("clock-step")
def test_a_step_of_the_wall_clock_moves_no_sample(sampler: Sampler, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour back: the seconds of the run go on, and no processor time is negative."""
    samples = [sampler.sample({"us": [psutil.Process()]})]
    now = REAL.date()
    monkeypatch.setattr(REAL, "date", lambda: now - 3600)
    samples += [sampler.sample({"us": [psutil.Process()]}) for _ in range(3)]
    assert all(0 <= one.at <= other.at < 60 for one, other in pairwise(samples))
    assert samples[1].time < samples[0].time - 3000
    assert all(value >= 0 for sample in samples for used in sample.used.values() for value in used.values())


def test_without_a_supervisor_the_rest_is_sampled(tmp_path: Path) -> None:
    """It has ended, or nothing was started yet."""
    with closing(Sampler(SupervisorClient(tmp_path, "", tmp_path), REAL.clock())) as sampler:
        assert sampler.sample({"us": [psutil.Process()]}).used.keys() == {"us"}
    (tmp_path / "supervisor.sock").touch()
    with closing(Sampler(SupervisorClient(tmp_path, "", tmp_path), REAL.clock())) as sampler:
        assert sampler.sample({"us": [psutil.Process()]}).used.keys() == {"us"}


def test_the_program_ends_with_its_input_after_a_last_sample(client: SupervisorClient, tmp_path: Path) -> None:
    """However long the time between two samples."""
    run_dir = str(client._run.path)
    command = [sys.executable, "-m", "envmatrix.services.sampling", run_dir, str(tmp_path / "run.jsonl"), "60", "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as sampler:
        sampler.communicate(timeout=20)
    assert sampler.returncode == 0
    assert (tmp_path / "run.jsonl").read_bytes().count(b'{"type":"sample"') == 2
