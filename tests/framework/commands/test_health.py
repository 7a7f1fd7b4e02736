"""`envmatrix health`, as a user types it, against real servers: each fault an environment, all of them looked at in one run."""

from __future__ import annotations

import datetime as dt
import json
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
import trustme

from tests.framework.bare import Bare, make_bare
from tests.framework.docs_pages import ROOT
from tests.framework.project import TINY_SERVER, TINY_TOML
from tests.framework.services.place import eventually
from tests.framework.services.servers import fake, says, silent, web

WHO = {"service": "backend", "environment": "shop", "version": "1.2", "commit": "abc123"}
REMOTE = """
[services.backend]
kind = "http"
source = "remote"
url = "{url}"
ca_file = "{ca_file}"
ready = "/ready"
ping_deadline = 5
identity = {{ service = "backend", environment = "shop" }}
"""
NEEDY = """
[services.redis]
kind = "redis"
source = "remote"
url = "redis://127.0.0.1:1"

[services.clickhouse]
kind = "clickhouse"
source = "absent"
"""


VERIFY = "verify = false\n"
TWIN = """
[twin]
environment = "twins/broken.toml"
variables = { TWIN_URL = "{backend.url}" }
"""


def answers(**dependencies: str) -> dict[str, tuple[int, object]]:
    """Return what a backend answers that says this of its dependencies."""
    ready = 200 if set(dependencies.values()) <= {"up"} else 503
    return {"/health": (200, WHO), "/ready": (ready, {"dependencies": dependencies})}


def tls(authority: trustme.CA, days: float) -> ssl.SSLContext:
    """Return the settings of a server whose certificate ends in some days."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    until = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    authority.issue_cert("127.0.0.1", not_after=until).configure_cert(context)
    return context


def dated(seconds: float) -> bytes:
    """Return an answer of a server whose clock is some seconds ahead."""
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + seconds))
    body = json.dumps(WHO)
    return f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bare]:
    """A project with an environment for each fault."""
    bare = make_bare(tmp_path_factory.mktemp("health"))
    for old in (bare.root / "environments").iterdir():
        old.unlink()
    authority, stranger = trustme.CA(), trustme.CA()
    ca_file = bare.root / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    with ExitStack() as stack:

        def declare(name: str, url: str, more: str = "", ca: Path | str = "") -> None:
            bare.write(f"environments/{name}.toml", REMOTE.format(url=url, ca_file=ca) + more)

        def secure(authority: trustme.CA, days: float) -> str:
            return stack.enter_context(web(answers(), tls(authority, days))).url.replace("http:", "https:")

        declare("well", secure(authority, 90), ca=ca_file)
        declare("expiring", secure(authority, 3), ca=ca_file)
        declare("expired", secure(authority, -1), ca=ca_file)
        declare("badcert", secure(stranger, 90), ca=ca_file)
        declare("unverified", secure(stranger, 90), VERIFY)
        declare("needy", stack.enter_context(web(answers(redis="down", auth="up"))).url, NEEDY)
        declare("hung", f"http://127.0.0.1:{stack.enter_context(fake(silent))}")
        other = {**answers(), "/health": (200, {**WHO, "service": "blog"})}
        declare("stranger", stack.enter_context(web(other)).url)
        declare("metadata", "http://169.254.169.254")
        declare("skewed", f"http://127.0.0.1:{stack.enter_context(fake(says(dated(60))))}")
        declare("lost", "http://nowhere.invalid")
        bare.write("environments/tiny.toml", TINY_TOML)
        bare.write("environments/broken.toml", TINY_TOML.replace('"server.py"', '"missing.py"'))
        bare.write("server.py", TINY_SERVER.read_text())
        bare.write("environments/twins/broken.toml", TINY_TOML.replace('"server.py"', '"missing.py"'))
        bare.write("environments/twin.toml", REMOTE.format(url="${TWIN_URL}", ca_file="") + TWIN)
        yield bare


def working_in(directory: Path) -> list[psutil.Process]:
    """Return the processes whose working directory this is."""
    return [each for each in psutil.process_iter(["cwd"]) if each.info["cwd"] == str(directory)]


@pytest.fixture(scope="module")
def seen(place: Bare) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """What one run says of all."""
    ended = place.run("health", "--json")
    return ended, {each["environment"]: each for each in json.loads(ended.stdout)["environments"]}


def test_all_that_a_probe_tells(seen) -> None:
    """Status, latency, version, identity, commit, source, clock and certificate of a service over TLS."""
    ended, environments = seen
    assert ended.returncode == 2, ended.stderr
    (backend,) = environments["well"]["services"]
    assert 0 < backend.pop("latency") < 5
    assert backend.pop("certificate_days") == pytest.approx(90, abs=1)
    assert backend == {
        "service": "backend",
        "kind": "http",
        "source": "remote",
        "required": True,
        "status": "ok",
        "reason": "",
        "version": "backend 1.2",
        "identity": WHO,
        "dependencies": {},
        "skew": 0,
        "causes": [],
    }


@pytest.mark.parametrize(
    ("environment", "status", "reason"),
    [
        ("tiny", "ok", ""),
        ("expiring", "degraded", "its certificate expires in 3.0 days"),
        pytest.param("expired", "down", "certificate has expired", marks=pytest.mark.fault("tls-bad-cert")),
        pytest.param("badcert", "down", "certificate verify failed", marks=pytest.mark.fault("tls-bad-cert")),
        pytest.param("hung", "down", "timeout after 5.0 s", marks=pytest.mark.fault("hung-accept")),
        pytest.param("stranger", "down", "answers as blog/shop", marks=pytest.mark.fault("health-200-wrong-service")),
        pytest.param("metadata", "down", "refused: 169.254.169.254", marks=pytest.mark.fault("ssrf-endpoint")),
        ("skewed", "degraded", "s ahead of ours"),
        ("broken", "down", "missing.py"),
    ],
)
def test_a_fault_is_named(seen, environment: str, status: str, reason: str) -> None:
    """Each fault by the words that lead to it; an environment of our own is started, and well."""
    health = seen[1][environment]
    backend = next(each for each in health["services"] if each["service"] == "backend")
    assert (health["status"], backend["status"]) == (status, status), backend
    assert reason in backend["reason"]


@pytest.mark.fault("tls-bad-cert")
def test_a_certificate_that_is_not_verified_is_told(seen) -> None:
    """The service is up, and its source says what that is worth."""
    health = seen[1]["unverified"]
    (backend,) = health["services"]
    assert (health["status"], backend["source"], backend["certificate_days"]) == ("ok", "remote, unverified", None)


def test_one_cause_has_one_root(seen) -> None:
    """The backend that says that Redis is down is shown under the Redis that is down; what is absent is not down."""
    services = {each["service"]: each for each in seen[1]["needy"]["services"]}
    assert {name: (each["status"], each["causes"]) for name, each in services.items()} == {
        "backend": ("degraded", ["redis"]),
        "redis": ("down", []),
        "clickhouse": ("absent", []),
    }


def test_a_twin_that_does_not_start_is_told_once(seen) -> None:
    """With its own reason: nothing can be said of the services that it stands in for."""
    health = seen[1]["twin"]
    assert (health["label"], health["status"], health["services"]) == ("twin (twin)", "unknown", [])
    assert "twin:backend ended with exit code 2" in health["failure"]


def test_nothing_is_left(seen, place: Bare) -> None:
    """What was started for the look has ended, after one run of all."""
    assert seen[1]["tiny"]["status"] == "ok"
    assert eventually(lambda: not working_in(place.root)), working_in(place.root)


@pytest.mark.fault("dns-failure")
def test_a_blind_observer_blames_nobody(place: Bare) -> None:
    """Where no declared host can be resolved, the environment is unknown, with that reason."""
    ended = place.run("health", "lost")
    assert ended.returncode == 3, ended.stderr
    assert "lost: unknown" in ended.stdout
    assert "this machine cannot see nowhere.invalid: its resolver knows none of the declared hosts" in ended.stdout


@pytest.mark.fault("latency-spike")
def test_a_slow_answer_is_recorded_and_no_fault(place: Bare) -> None:
    """An answer within the deadline is ok, however long it took, and says so. One run of a slow service."""
    place.write("slow.txt", "0.4")
    try:
        ended = place.run("health", "tiny", "--json")
    finally:
        (place.root / "slow.txt").unlink()
    (health,) = json.loads(ended.stdout)["environments"]
    assert (ended.returncode, health["status"]) == (0, "ok")
    assert health["services"][0]["latency"] >= 0.4


def test_people_see_the_cause_first(place: Bare) -> None:
    """On a terminal, in a job's summary and as annotations, what fails with another stands under it."""
    shown = place.run("health", "needy").stdout
    assert [line.split()[0] for line in shown.splitlines() if line] == ["needy:", "redis", "backend", "clickhouse"]
    summary = place.run("health", "needy", "--format=markdown").stdout
    assert summary.startswith("## ❌ Health of `needy`: down")
    assert summary.index("| `redis` |") < summary.index("| ↳ `backend` |")
    annotations = place.run("health", "needy", "--format=github").stdout
    assert annotations == "::error title=needy%3A redis down::connection refused. With it: backend\n"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [(("nedy",), "Did you mean 'needy'?"), (("needy", "--format=yaml"), "no format 'yaml'")],
)
def test_a_mistake_is_told_before_anything_is_asked(place: Bare, arguments: tuple[str, ...], hint: str) -> None:
    """A mistyped environment or format is exit code 2 and one line."""
    ended = place.run("health", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert hint in ended.stderr


def test_everything_is_tried_and_nothing_left() -> None:
    """Of the reference system, whose services are all real: seconds, since all of them start for it."""
    ended = Bare(ROOT).run("health", "local", "--comprehensive", "--json", timeout=180)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (local,) = json.loads(ended.stdout)["environments"]
    assert {check["status"] for check in local["checks"]} == {"ok"}
    tried = {(check["service"], check["name"]) for check in local["checks"]}
    stores = {
        (name, what) for name in ("database", "redis", "clickhouse") for what in ("write, read, delete", "isolation")
    }
    settings = {(name, what) for name in ("database", "redis") for what in ("settings", "capacity")}
    life = ("authenticated request", "no token", "forged token", "expired token", "revoked token")
    user = {("auth", name) for name in ("sign-up and login", *life, "removal of the user")}
    assert tried == stores | settings | user | {("backend", "WebSocket round trip"), ("llm", "completion")}
