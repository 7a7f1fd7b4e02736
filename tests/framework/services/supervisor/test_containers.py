"""Services in containers: used where they run, started where not, watched, and stopped only if the run started them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from contextlib import closing

import pytest

from envmatrix.runs.ping import PingStatus
from envmatrix.services.processes.sweep import sweep
from envmatrix.services.sampling import Sampler
from envmatrix.services.supervisor import Owner
from tests.framework.services.place import HERE, Place, eventually
from tests.framework.services.podman import IMAGE, Podman

PASSWORD = "canary-5f0c2b"
WEB = [
    "sh",
    "-c",
    "trap 'exit 0' TERM; rm -f /tmp/die; httpd -p 8080 -h /www; until [ -e /tmp/die ]; do sleep 0.05; done; exit 3",
]
PROJECT = {
    "services": {
        "db": {
            "image": IMAGE,
            "command": ["valkey-server", "--requirepass", "${DB_PASSWORD}", "--bind", "0.0.0.0"],
            "ports": ["127.0.0.1::6379"],
        },
        "web": {"image": IMAGE, "command": WEB, "ports": ["127.0.0.1::8080"], "depends_on": ["db"]},
        "worker": {"image": IMAGE, "command": ["sh", "-c", "trap 'exit 0' TERM; while true; do sleep 0.05; done"]},
        "broken": {"image": IMAGE, "command": ["sh", "-c", "echo no such table >&2; exit 4"]},
    }
}
COMPOSE = """
[services.cache]
kind = "redis"
source = "compose"
service = "db"

[services.web]
kind = "http"
source = "compose"
needs = ["worker"]

[services.worker]
kind = "background"
source = "compose"

[services.broken]
kind = "http"
source = "compose"
required = false

[services.mistyped]
kind = "http"
source = "compose"
service = "wbe"
required = false
"""
ALONE = f"""
[services.web]
kind = "http"
source = "container"
image = "{IMAGE}"
port = 8080
command = {json.dumps(WEB)}
env = {{ API_TOKEN = "{PASSWORD}", HOME = "/www" }}
"""


@pytest.fixture
def project(containers: Podman, place: Place, monkeypatch: pytest.MonkeyPatch) -> Podman:
    """The engine, and a Compose project at the root of the place."""
    monkeypatch.setenv("DB_PASSWORD", PASSWORD)
    (place.root / "compose.yaml").write_text(json.dumps(PROJECT))
    place.declare(COMPOSE)
    return containers


def test_what_runs_is_used_and_stays_and_the_rest_is_started_and_goes(project: Podman, place: Place) -> None:
    """The login comes from the container; after the run only what ran before still runs, and is the same."""
    project.compose(place.root, "up", "--detach", "db")
    before = project.running()
    with closing(Owner(place.runs / "r")) as owner:
        client = place.client(owner.run_dir)
        states = client.start(["cache", "web"]).states
        assert {name: state.reason for name, state in states.items() if not state.is_up} == {}
        pings = client.ping(["cache", "web", "worker"], 1)
        assert {ping.status for ping in pings.values()} == {PingStatus.UP}
        cache = states["cache"].endpoint
        assert cache
        assert cache.password.get_secret_value() == PASSWORD
        assert len(project.running()) == 3
    assert project.running() == before


def test_a_container_that_had_ended_is_started_and_only_stopped(project: Podman, place: Place) -> None:
    """What is in it stays: removing it is up to whoever made it."""
    project.compose(place.root, "up", "--detach", "db")
    (container,) = project.running()
    project.run("stop", "--time", "0", container)
    with closing(Owner(place.runs / "r")) as owner:
        assert place.client(owner.run_dir).start(["cache"]).states["cache"].is_up
        assert project.running() == {container}
    assert project.running() == set()
    assert "bye bye" in project.run("logs", container), "was not let end by itself"


def test_a_container_that_ends_at_once_is_told_with_its_exit_code_and_log(project: Podman, place: Place) -> None:
    """A mistyped service is told with the right name; what could be started is removed all the same."""
    with closing(Owner(place.runs / "r")) as owner:
        states = place.client(owner.run_dir).start(["broken", "mistyped"]).states
        assert "has ended with exit code 4" in states["broken"].reason
        assert states["broken"].log_tail.rstrip().endswith("no such table")
        assert "has no service 'wbe'. Did you mean 'web'?" in states["mistyped"].reason
    assert project.everything() == set()


@pytest.mark.fault("product-crash")
def test_a_container_that_ends_by_itself_is_a_crash_and_is_started_again(containers: Podman, place: Place) -> None:
    """At the same address, so that others reach it; its exit code is the evidence."""
    place.declare(ALONE)
    with closing(Owner(place.runs / "r")) as owner:
        client = place.client(owner.run_dir)
        endpoint = client.start(["web"]).states["web"].endpoint
        assert endpoint
        urllib.request.urlopen(endpoint.url.get_secret_value() + "/cgi-bin/die", timeout=5).close()
        assert eventually(lambda: client.states()["web"].crashes)
        again = client.start(["web"]).states["web"]
        assert [crash.exit_code for crash in again.crashes] == [3]
        assert again.endpoint == endpoint
        assert client.ping(["web"], 1)["web"].is_up
    assert containers.everything() == set()


@pytest.mark.fault("service-dies-mid-suite")
def test_a_container_that_was_killed_stays_down_and_its_ping_says_so(containers: Podman, place: Place) -> None:
    """Somebody else ended it: no crash of the product, and the exit code stands in the evidence."""
    place.declare(ALONE)
    with closing(Owner(place.runs / "r")) as owner:
        client = place.client(owner.run_dir)
        client.start(["web"])
        with closing(Sampler(client, 0)) as sampler:
            assert sampler.sample({}).used == {}, "what watches the container was measured in its place"
        variables = containers.run("inspect", "--format", "{{.Config.Env}}", *containers.running())
        assert f"API_TOKEN={PASSWORD}" in variables
        assert "HOME=/www" in variables
        containers.run("kill", *containers.running())
        assert eventually(lambda: not client.states()["web"].is_up)
        ping = client.ping(["web"], 1)["web"]
        assert "has ended with exit code 137" in ping.detail
        assert client.states()["web"].crashes == ()


@pytest.mark.fault("runner-sigkill")
@pytest.mark.fault("supervisor-dead")
def test_no_container_is_orphaned(containers: Podman, place: Place) -> None:
    """When the runner is killed its supervisor stops them; when that is killed, too, the next run does."""
    place.declare(ALONE)
    command = [sys.executable, str(HERE / "runner_program.py"), str(place.runs / "r"), str(place.environments), "web"]
    for kills_supervisor in (False, True):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as runner:
            assert runner.stdout
            what = json.loads(runner.stdout.readline())
            assert len(containers.running()) == 1
            if kills_supervisor:
                os.kill(what["supervisor"], signal.SIGKILL)
            runner.kill()
        if kills_supervisor:
            assert len(containers.running()) == 1
            sweep([place.runs])
        assert eventually(lambda: containers.everything() == set())
        assert eventually(lambda: not (place.runs / "r").exists())
