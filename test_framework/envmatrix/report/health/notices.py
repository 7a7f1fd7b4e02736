"""Tell others of changes: a signed webhook, whatever apprise can reach, and a heartbeat that says that we still look.

Secrets come from the process's environment alone: an argument is seen by every process of the machine.
"""

from __future__ import annotations

import json
import logging
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import httpx

from envmatrix.exceptions import MissingExtraError, UsageError
from envmatrix.masking import MASKER, secrets_in_url
from envmatrix.report.health.outbox import Outbox
from envmatrix.report.health.words import change_text, moment
from envmatrix.services.health import Change
from envmatrix.services.kinds.http import new_client

SECRET = "ENVMATRIX_WEBHOOK_SECRET"  # noqa: S105  a variable's name
"""The variable that holds the key of webhooks' signatures: `whsec_` and base64."""
RECEIVERS = "ENVMATRIX_NOTIFY"
"""The variable that holds apprise's URLs, separated by blanks; each is a secret as a whole."""
_GIVE_UP = 600.0
"""Seconds of all attempts to deliver one message: receivers are restarted, and later than that it is no news."""


def payload(change: Change) -> dict[str, Any]:
    """Return a change as JSON values, in the form that Standard Webhooks recommends."""
    data = asdict(change)
    return {"type": "health.changed", "timestamp": moment(data.pop("at")), "data": data}


def webhook(url: str, secret: str) -> Outbox[Change]:
    """Return what posts each change to a URL, signed as Standard Webhooks says; all attempts have one id.

    Raises:
        UsageError: the URL is none, or there is no secret to sign with.
        MissingExtraError: the extra is not installed.
    """
    try:
        from standardwebhooks import Webhook
    except ImportError:
        raise MissingExtraError("standardwebhooks", "watch") from None
    MASKER.add(secret)
    try:
        signer = Webhook(secret) if secret.removeprefix("whsec_") else None
    except ValueError:  # no base64
        signer = None
    if signer is None:
        hint = f"export {SECRET}=whsec_$(openssl rand -base64 24)"
        raise UsageError(f"--webhook signs with {SECRET}, which holds no secret", hint)
    persistently, client = _retrying(), new_client(None)

    def post(change: Change) -> None:
        body, message_id = json.dumps(payload(change)), f"msg_{uuid.uuid4().hex}"

        def attempt() -> None:
            now = datetime.now(UTC)
            headers = {
                "content-type": "application/json",
                "webhook-id": message_id,
                "webhook-timestamp": f"{int(now.timestamp())}",
                "webhook-signature": signer.sign(message_id, now, body),
            }
            _demand_success(client.post(url, content=body, headers=headers))

        persistently(attempt)

    return Outbox(f"webhook {_host(url, '--webhook')}", post)


def notifiers(urls: str) -> Iterator[Outbox[Change]]:
    """Yield what hands each change to one of apprise's services: Slack, Teams, mail and many more.

    Raises:
        UsageError: a URL is none that apprise knows.
        MissingExtraError: the extra is not installed.
    """
    if not urls.strip():
        return
    try:
        from apprise import Apprise
    except ImportError:
        raise MissingExtraError("apprise", "watch") from None
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its words hold parts of URLs, and we say what fails
    MASKER.add_all(urls.split())
    for url in urls.split():
        scheme = url.partition(":")[0]
        service = Apprise()
        if not service.add(url):
            raise UsageError(f"a {scheme!r} URL in {RECEIVERS} is none that apprise knows", "See `apprise --details`")
        yield Outbox(f"{RECEIVERS} {scheme}", _notifying(service))


def heartbeat(url: str) -> Outbox[None]:
    """Return what requests a URL; the next beat makes up for one that gets lost.

    Raises:
        UsageError: the URL is none.
    """
    client = new_client(None)
    return Outbox(f"push {_host(url, '--push')}", lambda _: _demand_success(client.get(url)), size=1)


def _notifying(service: Any) -> Callable[[Change], None]:
    persistently = _retrying()

    def notify(change: Change) -> None:
        def attempt() -> None:
            if not service.notify(title=f"{change.environment} is {change.after}", body=change_text(change)):
                raise ConnectionError("was not taken")

        persistently(attempt)

    return notify


def _demand_success(answer: httpx.Response) -> None:
    if not answer.is_success:
        raise ConnectionError(f"answers {answer.status_code}")


def _retrying() -> Callable[[Callable[[], None]], None]:
    """Return what calls a function until it delivers, with growing pauses, and gives up in the end."""
    try:
        import stamina
        from stamina.instrumentation import set_on_retry_hooks
    except ImportError:
        raise MissingExtraError("stamina", "watch") from None
    set_on_retry_hooks(())  # its log would hold what we send
    return stamina.RetryingCaller(attempts=None, timeout=_GIVE_UP, wait_initial=0.5, wait_max=60).on(
        (httpx.HTTPError, ConnectionError)
    )


def _host(url: str, option: str) -> str:
    """Return the host of an http(s) URL; what is secret in the URL is masked from then on."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError:
        parts = urllib.parse.urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(f"{option} takes an http(s) URL")
    MASKER.add_all(secrets_in_url(url))
    return parts.hostname
