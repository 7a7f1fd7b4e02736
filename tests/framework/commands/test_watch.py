"""`envmatrix health --continuous`, as a user types it: an hour over a flapping service, and the end of it."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from standardwebhooks import Webhook

from envmatrix.__main__ import main
from tests.framework.bare import Bare, make_bare, plain_environment
from tests.framework.project import TINY_SERVER, TINY_TOML
from tests.framework.report.health.receiver import receiving
from tests.framework.services.place import eventually
from tests.framework.services.servers import fake, silent, web

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
REMOTE = '[services.backend]\nkind = "http"\nsource = "remote"\nurl = "{url}"\nping_deadline = {deadline}\n'
STEADY = "import sys, envmatrix.services.supervisor.pings as pings; pings.QUICK = 60; sys.argv[0] = 'envmatrix'\n"
"""Three pings for each look at a service that fails, however slow this machine is: the servers below count them."""
PROGRAM = STEADY + "from envmatrix.__main__ import main; main()"


class Flapping(dict[str, object]):
    """Answers that follow a script, a letter for each look: `U` up, `D` down."""

    def __init__(self, script: str) -> None:
        super().__init__()
        self._script = iter(script)
        self._look, self._left = "U", 0
        self.looks = 0
        self.ended = threading.Event()

    def get(self, *_: object) -> object:
        """Answer the next request; a look that fails asks three times."""
        if not self._left:
            self._look = next(self._script, "")
            self._left = 3 if self._look == "D" else 1
            self.looks += 1
            if not self._look:
                self.ended.set()
        self._left -= 1
        return (500, "") if self._look == "D" else (200, {"service": "backend"})


@contextmanager
def watching(bare: Bare, *options: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Start a watch; kill it at the end if it has not ended."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "health", "--continuous", "--interval", "0.001", *options],
        cwd=bare.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=plain_environment() | variables,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> tuple[int, list[str], str]:
    """End a watch as a service manager does; return its exit code, its lines without their times, standard error."""
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=10)
    return process.returncode, [line.partition(" ")[2] for line in out.splitlines()], err


@pytest.fixture
def bare(tmp_path: Path) -> Bare:
    """A project."""
    bare = make_bare(tmp_path)
    for old in (bare.root / "environments").iterdir():
        old.unlink()
    return bare


def free_address() -> str:
    """Return an address that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


HOUR = (
    "U" * 20 + "UUUD" * 15 + "UD" * 20  # odd looks, then every second one
    + "D" * 20 + "DDDU" * 10  # an outage, odd answers in it
    + "U" * 40 + "UDDU" * 10 + "U" * 20 + "DDD" + "U" * 77
)  # fmt: skip
"""A look each ten seconds."""


@pytest.mark.fault("flapping-health")
def test_an_hour_over_a_flapping_service(bare: Bare) -> None:
    """Two outages are told, of a hundred failed looks: by lines, signed webhooks, metrics and the history; memory is flat."""
    assert len(HOUR) == 360
    metrics = free_address()
    with web({}) as site, receiving() as hooks, receiving() as beats:
        site.answers = flapping = Flapping(HOUR * 2)
        absent = '\n[services.redis]\nkind = "redis"\nsource = "absent"\n'
        bare.write("environments/shop.toml", REMOTE.format(url=site.url, deadline=5) + absent)
        options = ("--metrics", metrics, "--webhook", hooks.url, "--push", beats.url)
        with watching(bare, "shop", *options, ENVMATRIX_WEBHOOK_SECRET=SECRET) as process:
            memory = psutil.Process(process.pid).memory_info
            assert eventually(lambda: flapping.looks > 360, 60)
            after_an_hour = memory().rss
            assert flapping.ended.wait(60)
            grown = memory().rss - after_an_hour
            page = httpx.get(f"http://{metrics}/metrics", trust_env=False).text
            assert eventually(lambda: len(hooks.posted) == 8)
            code, lines, errors = ended(process)
    outages = ["shop backend: ok → down: GET /health answers 500", "shop backend: down → ok"] * 4
    assert (code, lines, errors) == (0, ["shop backend: ok", *outages], "")
    assert grown < 2 << 20, f"{grown} bytes more after the second hour"
    told = [Webhook(SECRET).verify(each.body, each.headers)["data"] for each in hooks.posted]
    assert [(each["service"], each["before"], each["after"]) for each in told] == [
        ("backend", "ok", "down"),
        ("backend", "down", "ok"),
    ] * 4
    assert len({each.headers["webhook-id"] for each in hooks.posted}) == 8
    assert beats.posted
    assert 'envmatrix_health_status{check="",environment="shop",service="backend"} 0.0' in page
    assert "redis" not in page
    assert 'envmatrix_health_changes_total{after="down",check="",environment="shop",service="backend"} 4.0' in page
    past = json.loads(bare.run("history", "--health", "--json").stdout)["changes"]
    assert [each["data"] for each in reversed(past)] == told
    assert "shop backend: down → ok\n" in bare.run("history", "--health", "--limit", "1").stdout


def test_sigterm_waits_for_no_look(bare: Bare) -> None:
    """A service that hangs holds a look for a minute, and the end not at all."""
    with fake(silent) as port:
        bare.write("environments/hung.toml", REMOTE.format(url=f"http://127.0.0.1:{port}", deadline=60))
        with watching(bare, "hung") as process:
            connections = psutil.Process(process.pid).net_connections
            assert eventually(lambda: any(each.status == "ESTABLISHED" for each in connections()))
            assert ended(process) == (0, [], "")


def test_what_was_started_for_a_watch_ends_with_it(bare: Bare) -> None:
    """And is started once, for all looks; what is still on its way is named."""
    bare.write("environments/tiny.toml", TINY_TOML)
    bare.write("server.py", TINY_SERVER.read_text())
    with fake(silent) as port, web({}) as site:
        bare.write("environments/shop.toml", REMOTE.format(url=site.url, deadline=5))
        hook = f"http://127.0.0.1:{port}"
        with watching(bare, "--webhook", hook, ENVMATRIX_WEBHOOK_SECRET=SECRET) as process:
            assert eventually(lambda: len(site.asked) > 30)
            services = [each.pid for each in psutil.process_iter(["cwd"]) if each.info["cwd"] == str(bare.root)]
            code, lines, errors = ended(process)
    assert (code, sorted(lines)) == (0, ["shop backend: down: GET /health answers 404", "tiny backend: ok"])
    assert errors == "warning: webhook 127.0.0.1: 1 not delivered at the end\n"
    assert len(services) > 1
    assert eventually(lambda: not any(map(psutil.pid_exists, services)))


def test_maintenance_is_told_and_nothing_else(bare: Bare) -> None:
    """Also by the metrics and by a look that is not continuous."""
    window = "[[maintenance]]\nstart = 2026-01-01T00:00:00Z\nend = 2126-01-01T00:00:00Z\nreason = 'upgrade'\n"
    with web({}) as site:
        bare.write("environments/shop.toml", window + REMOTE.format(url=site.url, deadline=5))
        with watching(bare, "shop") as process:
            assert eventually(lambda: len(site.asked) > 30)
            assert ended(process) == (0, ["shop: in maintenance until 2126-01-01 00:00 UTC: upgrade"], "")
        assert bare.run("health", "shop").stdout.startswith(
            "shop: down, in maintenance until 2126-01-01 00:00 UTC: upgrade\n"
        )
    assert not (bare.root / ".envmatrix/history.sqlite").exists()


def test_a_terminal_shows_the_last_look_below_the_changes(bare: Bare) -> None:
    """A table that is drawn anew; the cursor is there again at the end."""
    with web({}) as site:
        bare.write("environments/shop.toml", REMOTE.format(url=site.url, deadline=5))
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            [sys.executable, "-m", "envmatrix", "health", "--continuous", "--interval=0.01"],
            cwd=bare.root,
            stdout=theirs,
            stderr=theirs,
            env=plain_environment() | {"TERM": "xterm"},
        ) as process:
            os.close(theirs)
            shown = b""
            give_up = time.monotonic() + 20
            while shown.count(b"GET /health answers 404") < 4 and time.monotonic() < give_up:
                shown += os.read(ours, 1 << 16)
            process.send_signal(signal.SIGINT)
            while more := _read(ours):
                shown += more
        os.close(ours)
    assert process.returncode == 0
    assert b"Z shop backend: down: GET /health answers 404\r\n" in shown
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # so Linux tells the end
        return b""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--push=http://a",), "go with --continuous"),
        (("--interval=5",), "go with --continuous"),
        (("--continuous", "--json"), "prints lines and no --format"),
        (("--continuous", "--metrics=nowhere"), "--metrics takes HOST:PORT, not 'nowhere'"),
        (("--continuous", "--metrics=127.0.0.1:x"), "--metrics takes HOST:PORT"),
        (("--continuous", "--metrics=192.0.2.1:9464"), "--metrics cannot listen on 192.0.2.1:9464"),
        (("--continuous", "--webhook=http://a"), "ENVMATRIX_WEBHOOK_SECRET, which holds no secret"),
    ],
)
def test_a_mistake_is_told_before_the_first_look(
    bare: Bare,
    options: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In one line, with exit code 2."""
    bare.write("environments/shop.toml", REMOTE.format(url="http://127.0.0.1:1", deadline=5))
    monkeypatch.chdir(bare.root)
    with pytest.raises(SystemExit) as exit_:
        main(("health", *options))
    out, err = capsys.readouterr()
    assert (exit_.value.code, out, err.count("\n")) == (2, "", 1)
    assert message in err
