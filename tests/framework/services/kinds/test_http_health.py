"""Whether an HTTP service lives: by a path with whatever answer, by a connection, by a command."""

from __future__ import annotations

import threading
import time

import pytest
from pydantic import ValidationError

from envmatrix.runs.ping import PingStatus
from envmatrix.services.processes.ports import free_port
from tests.framework.environments.declare import declare, load, refusal
from tests.framework.services.kinds.test_http import ping, spec
from tests.framework.services.place import eventually
from tests.framework.services.servers import fake, silent, web

BUILD = {"build": {"commit": "abc", "number": 7}, "service": "shop"}


@pytest.mark.parametrize(
    ("status", "declared", "is_up"),
    [
        (204, {}, True),
        (202, {}, True),
        (418, {"health_status": 418}, True),
        (200, {"health_status": [418, 204]}, False),
    ],
)
def test_a_declared_status_is_health(status, declared, is_up):
    """Any status of success, 204 without a body too, or exactly those that are declared: one, or a list."""
    with web({"/health": (status, "")}) as site:
        assert ping(site.url, **declared).is_up is is_up


def test_a_nested_identity_is_read():
    """A dotted key demands the key of a table; a wrong one and a missing one are both another service."""
    with web({"/health": (200, BUILD)}) as site:
        right = ping(site.url, identity={"build.commit": "abc", "build.number": "7", "service": "shop"})
        wrong = [ping(site.url, identity={key: "x"}) for key in ("build.commit", "build.no", "service.commit")]
    assert (right.is_up, right.identity) == (True, {"build.commit": "abc", "build.number": "7", "service": "shop"})
    assert [each.detail for each in wrong] == [
        "answers as abc, expected x",
        "answers as ?, expected x",
        "answers as ?, expected x",
    ]


def test_a_redirect_is_followed_on_request():
    """A health path may lead on, also to another server, which never gets what proves who asks."""
    with web({"/health": (200, BUILD)}) as other, web({"/health": (307, "/well")}) as site:
        site.answers["/well"] = (302, f"{other.url}/health")
        assert ping(site.url, follow_redirects=True, identity={"service": "shop"}).is_up
        site.answers["/well"] = (302, "/health")
        assert ping(site.url, follow_redirects=True).detail == "leads elsewhere more than 5 times"
    assert [path for _, path, _ in other.asked] == ["/health"]


@pytest.mark.fault("ssrf-endpoint")
@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://169.254.169.254/latest", "refused: 169.254.169.254 is the link-local or metadata address"),
        ("file:///etc/passwd", "leads to a file URL, which is not followed"),
    ],
)
def test_a_redirect_leads_to_no_forbidden_place(location, reason):
    """Each address on the way is checked like the first, and only HTTP is spoken."""
    with web({"/health": (302, location)}) as site:
        assert ping(site.url, follow_redirects=True).detail.startswith(reason)


def test_a_connection_is_health():
    """With `health = false` whoever listens lives, whatever it would answer, and nobody there is down."""
    with fake(silent) as port:
        assert ping(f"http://127.0.0.1:{port}", health=False).is_up
    assert ping(f"http://127.0.0.1:{free_port()}", health=False).detail == "connection refused"


@pytest.mark.parametrize(
    ("code", "status", "detail"),
    [
        ("import sys; sys.exit('http://127.0.0.1:1' != sys.argv[1])", PingStatus.UP, ""),
        ("import sys; print('half'); sys.exit('queue is full')", PingStatus.DOWN, "exit code 1: queue is full"),
    ],
)
def test_a_command_is_health(code, status, detail):
    """Exit code 0 is up, with the service's address filled in; any other is down with the last line of its errors."""
    seen = ping("http://127.0.0.1:1", health_command=("{python}", "-S", "-c", code, "{backend.url}"))
    assert seen.status is status
    assert seen.detail.endswith(detail)


@pytest.mark.fault("hung-accept")
def test_a_command_that_hangs_is_stopped():
    """By the deadline, with the children that hold its output."""
    began = time.monotonic()
    seen = ping("http://127.0.0.1:1", 0.2, health_command=("sh", "-c", "sleep 60 & sleep 60"))
    assert (seen.status, seen.detail) == (PingStatus.DOWN, "timeout after 0.2 s")
    assert eventually(lambda: not [thread for thread in threading.enumerate() if thread.name == "ping backend"])
    assert time.monotonic() - began < 10
    assert "no-such-program cannot be started" in ping("http://127.0.0.1:1", health_command=("no-such-program",)).detail


@pytest.mark.parametrize(
    "keys",
    [
        {"health": "/up", "health_command": ("true",)},
        {"health": False, "identity": {"service": "x"}},
        {"health_command": ("true",), "follow_redirects": True},
        {"health_status": 99},
    ],
)
def test_health_is_asked_one_way(keys):
    """A path beside a command, and what no path can answer, is a mistake."""
    with pytest.raises(ValidationError):
        spec(**keys)


@pytest.mark.fault("unknown-key")
def test_a_health_command_knows_its_own_service(tmp_path):
    """Another service's address, and a password, are refused with their line; its own address is not."""
    table = '[services.shop]\nkind = "http"\nsource = "remote"\nurl = "http://h"\nhealth_command = ["x", "{%s}"]\n'
    other = '[services.redis]\nkind = "redis"\nsource = "absent"\n'
    assert "only its own {shop.…} is filled in there" in refusal(tmp_path, other + table % "redis.url")
    assert "{shop.password} in health_command would show a password" in refusal(tmp_path, table % "shop.password")
    declare(tmp_path, table % "shop.url")
    assert load(tmp_path).services["shop"].asks_no_path
