"""Whom a watch tells: what they get, and what becomes of it where they do not take it. Real receivers."""

from __future__ import annotations

import json
import sys
import threading

import pytest
import stamina
from standardwebhooks import Webhook

from envmatrix.__main__ import main
from envmatrix.exceptions import UsageError
from envmatrix.report.health.notices import heartbeat, notifiers, webhook
from envmatrix.report.health.outbox import Outbox
from envmatrix.services.health import Change, HealthStatus
from tests.framework.report.health.receiver import receiving
from tests.framework.services.place import eventually

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
FELL = Change(1_796_126_400.0, "shop", "redis", "", HealthStatus.OK, HealthStatus.DOWN, "refused", ("backend",))


@pytest.fixture(autouse=True)
def _soon():
    """Pauses between attempts are another library's; nine attempts at most."""
    with stamina.set_testing(True, attempts=3):
        yield


def test_a_webhook_is_signed_and_tried_again() -> None:
    """By the library that receivers verify with; all attempts have the same id, by which they know a second copy."""
    with receiving(500, 302) as receiver:
        outbox = webhook(f"{receiver.url}/hook", SECRET)
        outbox.put(FELL)
        assert eventually(lambda: not outbox.waiting)
    assert [each.path for each in receiver.posted] == ["/hook"] * 3
    assert len({each.headers["webhook-id"] for each in receiver.posted}) == 1
    for each in receiver.posted:
        assert Webhook(SECRET).verify(each.body, each.headers) == {
            "type": "health.changed",
            "timestamp": "2026-12-01T12:00:00Z",
            "data": {
                "environment": "shop",
                "service": "redis",
                "check": "",
                "before": "ok",
                "after": "down",
                "reason": "refused",
                "others": ["backend"],
            },
        }


def test_what_is_not_taken_is_said_once(capfd: pytest.CaptureFixture[str]) -> None:
    """Without what is secret in the URL; and again after a success."""
    token = "b7f3a9d2c1e84f60"
    with receiving(*[404] * 6, 204, *[404] * 3) as receiver:
        outbox = webhook(f"{receiver.url}/services/{token}", SECRET)
        for _ in range(4):
            outbox.put(FELL)
        assert eventually(lambda: not outbox.waiting)
    assert len(receiver.posted) == 10
    assert capfd.readouterr().err == "warning: webhook 127.0.0.1: a message was not delivered: answers 404\n" * 2


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_a"])
def test_a_webhook_needs_a_secret(secret: str) -> None:
    """An unsigned one could come from anybody."""
    with pytest.raises(
        UsageError, match=r"ENVMATRIX_WEBHOOK_SECRET, which holds no secret. export ENVMATRIX_WEBHOOK_SECRET="
    ):
        webhook("http://127.0.0.1:1", secret)


@pytest.mark.parametrize("url", ["example.com", "ftp://example.com", "http://[", "https://"])
def test_a_url_that_is_none(url: str) -> None:
    """Is said before anything is looked at."""
    with pytest.raises(UsageError, match=r"--push takes an http\(s\) URL"):
        heartbeat(url)


its_imports = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
"""Those of apprise."""


@its_imports
def test_apprise_takes_a_change_to_each_of_its_urls() -> None:
    """Each by itself: one that refuses is tried again, the other gets no second copy."""
    with receiving() as one, receiving(500) as other:
        urls = [each.url.replace("http:", "json:") for each in (one, other)]
        outboxes = list(notifiers(" ".join(urls)))
        for outbox in outboxes:
            outbox.put(FELL)
        assert eventually(lambda: not any(each.waiting for each in outboxes))
    assert (len(one.posted), len(other.posted)) == (1, 2)
    message = json.loads(one.posted[0].body)
    assert (message["title"], message["message"]) == (
        "shop is down",
        "shop redis: ok → down: refused; with it: backend",
    )


@its_imports
def test_a_url_that_apprise_does_not_know_is_not_shown() -> None:
    """All of it may be a token."""
    assert list(notifiers("  ")) == []
    with pytest.raises(UsageError) as error:
        list(notifiers("nobody://TokenA/TokenB"))
    assert "TokenA" not in str(error.value)
    assert str(error.value).startswith("a 'nobody' URL in ENVMATRIX_NOTIFY is none that apprise knows")


def test_a_receiver_that_hangs_holds_nothing_up(capfd: pytest.CaptureFixture[str]) -> None:
    """What has no room is dropped, and that is said: memory stays flat."""
    free = threading.Event()
    outbox: Outbox[int] = Outbox("slow", lambda _: free.wait(10), size=2)
    try:
        outbox.put(0)
        assert eventually(lambda: outbox.waiting == 1)
        for number in range(9):
            outbox.put(number)
        assert outbox.waiting <= 3
    finally:
        free.set()
    assert eventually(lambda: not outbox.waiting)
    assert capfd.readouterr().err == "warning: slow: a message was dropped: 2 wait already\n"


@pytest.mark.parametrize(
    ("module", "options"),
    [
        ("prometheus_client", ("--metrics=127.0.0.1:1",)),
        ("standardwebhooks", ("--webhook=http://a",)),
        ("stamina", ("--webhook=http://a",)),
        ("apprise", ()),
    ],
)
def test_a_missing_extra_is_named_with_its_command(
    module: str, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the first look."""
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setenv("ENVMATRIX_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("ENVMATRIX_NOTIFY", "json://127.0.0.1")
    with pytest.raises(SystemExit) as exit_:
        main(("health", "local", "--continuous", *options))
    assert exit_.value.code == 2
    assert capsys.readouterr().err == (
        f"error: {module!r} is not installed. Install it with: pip install 'envmatrix[watch]'\n"
    )
