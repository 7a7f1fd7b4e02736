"""Tell a crash of the product from an outage, and run the test once more under which a service crashed."""

from __future__ import annotations

import fcntl
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from envmatrix.causes import Facts, ProductCrash, is_about_connections
from envmatrix.plugin.collection import NEEDS
from envmatrix.safety.unpatched import REAL

if TYPE_CHECKING:
    from envmatrix.plugin.process import Process
    from envmatrix.runs.ping import Ping
    from envmatrix.services.supervisor.service_state import Crash

_RIGHT_AFTER = 1.0
"""Seconds from a test's last answer to the end of a process that is still that request's doing."""
_DYING = 0.2
_PAUSE = 0.02
_TURN = 60.0
"""Seconds to wait for other workers' repeats; after that this one's is left out."""
_REPEATS = 3
"""How many tests of one process are run once more: a product that always crashes need not be shown so by each."""


class Crashes:
    """Notes when the running test began, looks for crashes since, and runs the crashing test once more."""

    def __init__(self, process: Process, workers: int) -> None:
        self._process = process
        self._runs_alone = workers == 1
        self._began = 0.0
        self._saw_crash = self._is_repeat = False
        self._repeats_left = _REPEATS

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Step aside where nothing needs the environment: each hook of ours costs every test something."""
        if not any(NEEDS in item.stash for item in session.items):
            session.config.pluginmanager.unregister(self)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, Any, Any]:
        """Run a test again that saw a crash: once is told from always by its second attempt."""
        self._began, self._saw_crash = REAL.clock(), False
        result = yield
        is_over = item.session.shouldstop or item.session.shouldfail
        if self._saw_crash and self._repeats_left and not self._is_repeat and not is_over:
            self._repeats_left -= 1
            with self._taking_turns() as is_our_turn:
                self._is_repeat = is_our_turn
                if is_our_turn:
                    item.ihook.pytest_runtest_protocol(item=item, nextitem=nextitem)
            self._is_repeat = False
        return result

    @contextmanager
    def _taking_turns(self) -> Iterator[bool]:
        """Keep two workers from repeating tests at once: each would see the other's crash again."""
        end = REAL.clock() + _TURN
        with (self._process.run_dir / "repeat.lock").open("ab") as lock:
            while REAL.clock() < end:
                with suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    yield True
                    return
                REAL.sleep(_PAUSE)
            yield False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Count the second failure of one test as no second failed test, as pytest-rerunfailures does."""
        report = yield
        if self._is_repeat and report.failed:
            report.outcome = "rerun"  # type: ignore[assignment]  # the recorder and xdist know it
        return report

    def met_by(self, facts: Facts, pings: Mapping[str, Ping]) -> tuple[tuple[ProductCrash, ...], dict[str, str]]:
        """Return the crashes that the running test met among the services that it used, and the end of each one's log.

        They are up again by now.

        `pings` are those after the failure: a process closes its sockets a moment before it is seen to have ended.
        """
        end = REAL.clock() + (0 if all(ping.is_up for ping in pings.values()) else _DYING)
        while not (crashes := self._process.session.crashes_since(pings, self._began)) and REAL.clock() < end:
            REAL.sleep(_PAUSE)
        if crashes:
            self._process.users.forget()  # the product may have kept its users in memory
        described = tuple(self._described(name, crash, facts) for name, crash in sorted(crashes.items()))
        return described, {name: crash.log_tail for name, crash in crashes.items()}

    def _described(self, name: str, crash: Crash, facts: Facts) -> ProductCrash:
        during = crash.ended >= self._began and not crash.out_of_memory
        self._saw_crash |= during
        requests = [each for each in facts.exchanges if each.sent <= crash.ended]
        last = next((each for each in reversed(requests) if not each.status), requests[-1] if requests else None)
        has_asked = is_about_connections(facts)  # by a client of the test's own, too
        if last is not None:
            has_asked |= not last.status or crash.ended - last.answered <= _RIGHT_AFTER
        return ProductCrash(
            service=name,
            exit_code=crash.exit_code,
            request=str(last or ""),
            by_test=during and has_asked and (self._runs_alone or self._is_repeat),
            is_repeated=self._is_repeat,
            is_up_again=crash.up_again is not None,
            out_of_memory=crash.out_of_memory,
        )
