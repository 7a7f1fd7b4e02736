"""The loop of `envmatrix health --continuous`: look, tell what has changed, wait."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from envmatrix.report.health.live import Show
    from envmatrix.report.health.metrics import Metrics
    from envmatrix.report.health.outbox import Outbox
    from envmatrix.services.health import Change, EnvironmentHealth, Look

_JITTER = 0.1
"""Share of the interval by which it varies, so that several watches do not look at the same moment."""
_WAKE = 0.1
"""Seconds until a signal is handled, at most."""
_LAST_WORDS = 0.5
"""Seconds at the end for messages on their way."""


@dataclass(frozen=True, slots=True)
class Receivers:
    """Those that a watch tells, beside the one who reads its output."""

    history: Path
    outboxes: Sequence[Outbox[Change]] = ()
    heartbeat: Outbox[None] | None = None
    metrics: Metrics | None = None

    @classmethod
    def named(cls, history: Path, webhooks: Sequence[str], push: str | None, metrics: str | None) -> Receivers:
        """Return those of a command line and of the process's environment.

        Raises:
            EnvmatrixError: a URL or an address is wrong, a secret is missing, or an extra is not installed.
        """
        from envmatrix.report.health.metrics import Metrics
        from envmatrix.report.health.notices import RECEIVERS, SECRET, heartbeat, notifiers, webhook

        signed = [webhook(url, os.environ.get(SECRET, "")) for url in webhooks]
        return cls(
            history,
            [*signed, *notifiers(os.environ.get(RECEIVERS, ""))],
            heartbeat(push) if push else None,
            Metrics(metrics) if metrics else None,
        )

    def tell(self, healths: Sequence[EnvironmentHealth], news: Sequence[Change], now: float) -> None:
        """Tell all of them of a look at all environments."""
        from envmatrix.history import remember_changes

        if self.metrics:
            self.metrics.update(healths, news, now)
        for outbox in self.outboxes:
            for change in news:
                outbox.put(change)
        if self.heartbeat and not self.heartbeat.waiting:
            self.heartbeat.put(None)
        if news and (warning := remember_changes(self.history, news)):
            typer.echo(f"warning: {warning}", err=True)

    def close(self) -> None:
        """Wait for what is on its way, but not for long, and name what was not delivered."""
        until = time.monotonic() + _LAST_WORDS
        while any(outbox.waiting for outbox in self.outboxes) and time.monotonic() < until:
            time.sleep(0.01)
        for outbox in self.outboxes:
            if outbox.waiting:
                outbox.say(f"{outbox.waiting} not delivered at the end")


Looking = AbstractContextManager[Callable[[], "tuple[Look, ...]"]]
"""What gives a look at all environments."""


def watch(looking: Looking, interval: float, receivers: Receivers) -> NoReturn:
    """Look every so many seconds, until SIGTERM or Ctrl-C, which is exit code 0."""
    from envmatrix.report.health.live import showing

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with showing() as show, suppress(KeyboardInterrupt):
        looks = ThreadPoolExecutor(1).submit(_look_on, looking, interval, show, receivers)
        while not wait([looks], _WAKE).done:
            pass  # a signal may come to any thread, and does not wake this one, which handles it
        looks.result()
    receivers.close()
    sys.stdout.flush()
    # Without waiting for the look: it takes as long as the slowest service. What we started ends when we have ended.
    os._exit(0)


def _look_on(looking: Looking, interval: float, show: Show, receivers: Receivers) -> NoReturn:
    from envmatrix.report.health.words import change_text, moment
    from envmatrix.services.health import Changes, judge

    changes = Changes()
    maintenance: dict[str, str] = {}
    with looking as look:
        while True:
            looks, now = look(), time.time()
            healths = [judge(each, now) for each in looks]
            changed = [change for health in healths for change in changes.after(health, now)]
            lines = [change_text(change) for change in changed]
            lines += [
                f"{health.label}: {health.maintenance or 'no longer in maintenance'}"
                for health in healths
                if health.maintenance != maintenance.get(health.label, "")
            ]
            maintenance = {health.label: health.maintenance for health in healths}
            show(healths, [f"{moment(now)} {line}" for line in lines])
            receivers.tell(healths, [change for change in changed if change.is_news], now)
            time.sleep(interval * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311  no secret
