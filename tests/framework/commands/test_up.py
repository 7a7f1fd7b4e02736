"""`envmatrix up` and the commands for what it keeps running, as a user types them, with real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

import pytest

from envmatrix.__main__ import main
from tests.framework.bare import Bare, plain_environment
from tests.framework.project import TINY_SERVER, Project
from tests.framework.services.place import eventually, listens, runs

ASKS = """
    def test_a(real_services, record_property):
        print("backend at", real_services.backend_url)
"""


class Shop(Bare):
    """A project with one test and one HTTP service."""

    def call(self, *words: str) -> tuple[int, str, str]:
        """Run a command in this process: exit code, output, standard error."""
        out, err = StringIO(), StringIO()
        with chdir(self.root), redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as exit_:
            main(words)
        return int(exit_.value.code or 0), out.getvalue(), err.getvalue()

    def status(self) -> dict[str, Any]:
        """What `envmatrix status --json` tells about the one environment."""
        environments: dict[str, Any] = json.loads(self.call("status", "--json")[1])["environments"]
        return dict(environments["tiny"])

    def pytest(self, *options: str) -> str:
        """Run the tests against the environment; return all output."""
        command = [sys.executable, "-m", "pytest", "-q", "-rP", "--matrix-environment=tiny", *options]
        done = subprocess.run(
            command, cwd=self.root, env=plain_environment(), capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout + done.stderr


@contextmanager
def running(shop: Shop, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command in a process of its own, killed at the end if it has not ended."""
    with shop.start(*words) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def shop(project: Project) -> Iterator[Shop]:
    """The project; after the test nothing of it is up."""
    project.write("test_a.py", ASKS)
    project.write("server.py", f"print('open', flush=True)\n{TINY_SERVER.read_text()}")
    shop = Shop(project.root)
    yield shop
    shop.call("down", "tiny")


def test_a_run_connects_to_what_is_up(shop: Shop) -> None:
    """Runs use the very service that is up and end nothing; a recorded run starts its own; `down` leaves nothing."""
    assert shop.call("status") == (1, "", "no environment is up\n")
    code, started, _ = shop.call("up", "tiny")
    assert code == 0
    url = json.loads(shop.call("env", "tiny", "--json")[1])["BACKEND_URL"]
    assert f"backend  up        {url}" in started
    assert shop.call("env", "tiny") == (0, f"BACKEND_URL={url}\n", "")
    connected = shop.pytest()
    assert "envmatrix: connected to tiny, which is up (supervisor " in connected
    assert f"backend at {url}" in connected
    recorded = shop.pytest("--matrix-run-file=run.jsonl")
    assert "1 passed" in recorded
    assert "connected to tiny" not in recorded
    assert url not in recorded
    assert shop.call("up", "tiny") == (0, started, ""), "it is left as it is"
    state = shop.status()
    assert shop.call("down", "tiny") == (0, "tiny is down: 1 service stopped\n", "")
    assert not runs(state["supervisor"])
    assert not runs(state["services"]["backend"]["pid"])
    assert shop.call("down", "tiny") == (0, "tiny is not up\n", "")
    assert shop.call("status", "tiny") == (1, "", "tiny is not up\n")


def test_workers_connect_too(shop: Shop) -> None:
    """The controller chooses once, and says so once, for all of its workers."""
    shop.call("up", "tiny")
    connected = shop.pytest("-n2")
    assert connected.count("envmatrix: connected to tiny") == 1
    assert f"backend at {shop.status()['services']['backend']['url']}" in connected


def test_what_was_started_from_something_else_is_never_adopted(shop: Shop) -> None:
    """A run says why and starts its own; `status` and `env` tell; `up` replaces it."""
    shop.call("up", "tiny")
    first = shop.status()
    file = shop.root / "environments/tiny.toml"
    file.write_text(f"{file.read_text()}\n# of today\n")
    why = "tiny.toml has changed, or a variable that it uses"
    own = shop.pytest()
    assert f"tiny is started for this run, since the one that is up is stale: {why}" in own
    assert "1 passed" in own
    assert first["services"]["backend"]["url"] not in own
    code, told, _ = shop.call("status")
    assert (code, told.splitlines()[1]) == (1, f"  stale: {why}")
    assert shop.call("env", "tiny")[2] == f"tiny is stale: {why}\n"
    assert shop.call("up", "tiny")[2] == f"replacing tiny: {why}\n"
    second = shop.status()
    assert second["is_well"]
    assert second["supervisor"] != first["supervisor"]
    assert not runs(first["supervisor"])


def test_a_service_that_ended_is_shown_with_its_end_and_restarted(shop: Shop) -> None:
    """`status` has the exit code and the log, `health` sees it down; `restart` brings it up; `logs -f` shows both lives."""
    shop.call("up", "tiny")
    before = shop.status()["services"]["backend"]
    with running(shop, "logs", "tiny", "backend", "--follow") as following:
        assert following.stdout
        assert following.stdout.readline() == "open\n"
        os.kill(before["pid"], signal.SIGKILL)
        assert eventually(lambda: not runs(before["pid"]))
        code, told, _ = shop.call("status")
        assert code == 1
        assert f"  {before['url']}; was ended by signal 9 (SIGKILL): out of memory, or killed from outside\n" in told
        assert "      open\n" in told
        assert shop.status()["services"]["backend"]["exit_code"] == -9
        assert shop.call("health", "tiny")[0] == 2
        assert shop.call("restart", "tiny", "backend")[1].startswith("backend is up again after ")
        after = shop.status()
        assert after["is_well"]
        assert after["services"]["backend"]["url"] == before["url"]
        assert shop.call("health", "tiny")[0] == 0
        unknown = "error: tiny has no service 'backed'. Did you mean 'backend'?\n"
        assert shop.call("restart", "tiny", "backed") == (2, "", unknown)
        assert shop.call("logs", "tiny") == (0, "backend | open\n", "")
        shop.call("down", "tiny")
        assert following.communicate(timeout=20)[0] == "open\n"
    assert following.returncode == 0


def test_in_the_foreground_what_happens_is_said_at_once(shop: Shop) -> None:
    """A service that ends is told as it ends; others find the environment; Ctrl-C ends everything."""
    with running(shop, "up", "tiny", "--foreground") as process:
        assert process.stdout
        assert process.stdout.readline().startswith("tiny: supervisor ")
        url = process.stdout.readline().split()[-1]
        backend = shop.status()["services"]["backend"]
        assert backend["url"] == url
        os.kill(backend["pid"], signal.SIGKILL)
        assert "was ended by signal 9 (SIGKILL)" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, err) == (0, ""), out
    assert shop.call("status")[0] == 1
    assert not listens(int(url.rpartition(":")[2]))


def test_one_that_does_not_start_is_not_kept(shop: Shop) -> None:
    """It is an error with the end of the log, and nothing is left."""
    shop.write("server.py", "raise SystemExit('no ink')\n")
    code, _, failed = shop.call("up", "tiny")
    assert code == 3
    assert failed.startswith("error: service 'backend' ended with exit code 1 before it was ready; the log ends: no")
    assert shop.call("logs", "tiny")[2] == "error: environment 'tiny' is not up. Start it: envmatrix up tiny\n"


def test_an_env_file_is_remembered_and_its_secrets_are_masked(shop: Shop) -> None:
    """What was started with a file of variables is compared with that file, and no secret of it is in a log."""
    file = shop.root / "environments/tiny.toml"
    file.write_text(file.read_text().replace("env = { ", 'env = { API_KEY = "${SHOP_API_KEY}", '))
    shop.write("server.py", f"import os\nprint('key', os.environ['API_KEY'], flush=True)\n{TINY_SERVER.read_text()}")
    variables = shop.write("shop.env", "SHOP_API_KEY=tangerine-dream-77\n")
    assert shop.call("up", "tiny", "--env-file", str(variables))[0] == 0
    assert shop.status()["is_well"]
    assert shop.run("logs", "tiny").stdout == "backend | key **********\n", "a process that never knew it"
    variables.write_text("SHOP_API_KEY=phaedra\n")
    assert shop.status()["stale"] == "tiny.toml has changed, or a variable that it uses"


def test_two_that_start_at_once_leave_one(shop: Shop) -> None:
    """Both say that it is up, and both mean the same."""
    with ExitStack() as stack:
        both = [stack.enter_context(running(shop, "up", "tiny")) for _ in range(2)]
        outputs = {process.communicate(timeout=60)[0] for process in both}
    assert len(outputs) == 1
    assert shop.status()["is_well"]


def test_runs_that_share_an_environment_do_not_meet(project: Project, shop: Shop) -> None:
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
    assert shop.call("up", "tiny")[0] == 0
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


def test_what_the_command_line_sets_reaches_the_service(shop: Shop) -> None:
    """The supervisor starts what the command line says; `status`, `up` and runs compare with that."""
    option = "services.backend.capabilities=['orders']"
    code, started, _ = shop.call("up", "tiny", "--set", option)
    assert code == 0, started
    assert shop.status()["stale"] == ""
    assert "connected to tiny" in shop.pytest(f"--matrix-set={option}")
    assert shop.call("up", "tiny")[2] == "replacing tiny: it was started with other values of --set\n"
