"""`envmatrix up` and the commands for what it keeps running, as a user types them, with real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.framework.bare import Bare, plain_environment
from tests.framework.project import Project
from tests.framework.services.place import eventually, listens, runs

ASKS = """
    def test_a(real_services, record_property):
        print("backend at", real_services.backend_url)
"""


@pytest.fixture
def shop(project: Project) -> Iterator[Bare]:
    """A project with one test and one HTTP service; after the test nothing of it is up."""
    project.write("test_a.py", ASKS)
    shop = Bare(project.root)
    yield shop
    shop.run("down", "tiny")


def status(shop: Bare) -> dict[str, Any]:
    """What `envmatrix status --json` tells about the one environment."""
    document = json.loads(shop.run("status", "--json").stdout)
    return document["environments"]["tiny"]


def test_a_run_connects_to_what_is_up(shop: Bare) -> None:
    """Runs use the very service that is up and end nothing; a recorded run starts its own; `down` leaves nothing."""
    assert shop.run("status").returncode == 1
    started = shop.run("up", "tiny")
    assert started.returncode == 0, started.stderr
    url = json.loads(shop.run("env", "tiny", "--json").stdout)["BACKEND_URL"]
    assert f"backend  up        {url}" in started.stdout
    assert shop.run("env", "tiny").stdout == f"BACKEND_URL={url}\n"
    again = shop.run("up", "tiny")
    assert again.stdout == started.stdout, "it is left as it is"
    for _ in range(2):
        connected = run_pytest(shop)
        assert "envmatrix: connected to tiny, which is up (supervisor " in connected
        assert f"backend at {url}" in connected
    recorded = run_pytest(shop, "--matrix-run-file=run.jsonl")
    assert "1 passed" in recorded
    assert "connected to tiny" not in recorded
    assert url not in recorded
    state = status(shop)
    assert shop.run("down", "tiny").stdout == "tiny is down: 1 services stopped\n"
    assert not runs(state["supervisor"])
    assert not runs(state["services"]["backend"]["pid"])
    assert shop.run("status", "tiny").stderr == "tiny is not up\n"
    assert "connected" not in run_pytest(shop)


def run_pytest(shop: Bare, *options: str) -> str:
    """Run the tests against the environment; return all output."""
    command = [sys.executable, "-m", "pytest", "-q", "-rP", "--matrix-environment=tiny", *options]
    done = subprocess.run(
        command, cwd=shop.root, env=plain_environment(), capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout + done.stderr


def test_workers_connect_too(shop: Bare) -> None:
    """The controller chooses once, and says so once, for all of its workers."""
    shop.run("up", "tiny")
    connected = run_pytest(shop, "-n2")
    assert connected.count("envmatrix: connected to tiny") == 1
    assert f"backend at {status(shop)['services']['backend']['url']}" in connected


def test_what_was_started_from_something_else_is_never_adopted(shop: Bare) -> None:
    """A run says why and starts its own; `status` and `env` tell; `up` replaces it."""
    shop.run("up", "tiny")
    first = status(shop)
    file = shop.root / "environments/tiny.toml"
    file.write_text(f"{file.read_text()}\n# of today\n")
    why = "tiny.toml has changed, or a variable that it uses"
    own = run_pytest(shop)
    assert f"tiny is started for this run, since the one that is up is stale: {why}" in own
    assert "1 passed" in own
    assert first["services"]["backend"]["url"] not in own
    told = shop.run("status")
    assert (told.returncode, told.stdout.splitlines()[1]) == (1, f"  stale: {why}")
    assert shop.run("env", "tiny").stderr == f"tiny is stale: {why}\n"
    assert shop.run("up", "tiny").stderr == f"replacing tiny: {why}\n"
    second = status(shop)
    assert second["is_well"]
    assert second["supervisor"] != first["supervisor"]
    assert not runs(first["supervisor"])
    os.kill(second["supervisor"], signal.SIGKILL)
    assert "stale: its supervisor has ended" in run_pytest(shop)
    assert eventually(lambda: not runs(second["services"]["backend"]["pid"])), "the run has swept what was left"


def test_a_service_that_ended_is_shown_with_its_end_and_restarted(shop: Bare) -> None:
    """`status` has the exit code and the log; `restart` brings it up at its address; `logs -f` shows both lives."""
    shop.run("up", "tiny")
    before = status(shop)["services"]["backend"]
    with shop.start("logs", "tiny", "backend", "--follow") as following:
        os.kill(before["pid"], signal.SIGKILL)
        told = shop.run("status")
        assert told.returncode == 1
        assert "backend  failed    " in told.stdout
        assert "was ended by signal 9 (SIGKILL): out of memory, or killed from outside" in told.stdout
        assert status(shop)["services"]["backend"]["exit_code"] == -9
        assert shop.run("restart", "tiny", "backend").stdout.startswith("backend is up again after ")
        after = status(shop)
        assert after["is_well"]
        assert after["services"]["backend"]["url"] == before["url"]
        unknown = shop.run("restart", "tiny", "backed")
        assert unknown.stderr == "error: tiny has no service 'backed'. Did you mean 'backend'?\n"
        assert unknown.returncode == 2
        run_pytest(shop)
        shop.run("down", "tiny")
        out, _ = following.communicate(timeout=20)
    assert following.returncode == 0
    assert "/signup" in out


def test_in_the_foreground_what_happens_is_said_at_once(shop: Bare) -> None:
    """A service that ends is told as it ends; runs connect; Ctrl-C ends everything."""
    with shop.start("up", "tiny", "--foreground") as process:
        assert process.stdout
        assert process.stdout.readline().startswith("tiny: supervisor ")
        url = process.stdout.readline().split()[-1]
        assert "connected to tiny" in run_pytest(shop)
        os.kill(status(shop)["services"]["backend"]["pid"], signal.SIGKILL)
        assert "was ended by signal 9 (SIGKILL)" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, err) == (0, ""), out
    assert not listens(int(url.rpartition(":")[2]))
    assert shop.run("status").returncode == 1


def test_one_that_does_not_start_is_not_kept(shop: Bare) -> None:
    """It is an error with the end of the log, and nothing is left."""
    shop.write("server.py", "raise SystemExit('no ink')\n")
    failed = shop.run("up", "tiny")
    assert failed.returncode == 3
    assert failed.stderr.startswith(
        "error: service 'backend' ended with exit code 1 before it was ready; the log ends: no"
    )
    assert shop.run("logs", "tiny").stderr == "error: environment 'tiny' is not up. Start it: envmatrix up tiny\n"


def test_two_that_start_at_once_leave_one(shop: Bare) -> None:
    """Both say that it is up, and both mean the same."""
    with ExitStack() as stack:
        both = [stack.enter_context(shop.start("up", "tiny")) for _ in range(2)]
        outputs = {process.communicate(timeout=60)[0] for process in both}
    assert len(outputs) == 1
    assert status(shop)["is_well"]


def test_runs_that_share_an_environment_do_not_meet(project: Project, shop: Bare) -> None:
    """Each run has parts of its own: two at the same moment write one key, and each reads what it wrote."""
    project.write("environments/tiny.toml", '[services.redis]\nkind = "redis"\nsource = "embedded"\n')
    project.write(
        "test_a.py",
        """
        import os, time
        from pathlib import Path
        import redis

        def test_a(real_services):
            me, other = os.environ["ME"], Path(os.environ["OTHER"])
            with redis.Redis.from_url(real_services.redis.field("url")) as client:
                prefix = real_services.redis.prefix
                assert client.set(f"{prefix}key", me, nx=True)
                Path(me).touch()
                while not other.exists():
                    time.sleep(0.01)
                assert client.get(f"{prefix}key").decode() == me
                client.delete(f"{prefix}key")
        """,
    )
    assert shop.run("up", "tiny").returncode == 0
    command = [sys.executable, "-m", "pytest", "-q", "--matrix-environment=tiny"]
    both = [
        subprocess.Popen(
            command,
            cwd=shop.root,
            env={**plain_environment(), "ME": me, "OTHER": other},
            stdout=subprocess.PIPE,
            text=True,
        )
        for me, other in (("a", "b"), ("b", "a"))
    ]
    for process in both:
        out, _ = process.communicate(timeout=60)
        assert "connected to tiny" in out
        assert "1 passed" in out
