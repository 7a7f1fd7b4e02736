"""Check the environment once before the first test that needs it: the smoke check.

When it fails, every test that needs the environment becomes `not_run` with that one cause, in seconds, instead of
hundreds of red cells with the same text. It runs outside the tests' deadlines, since starting services takes time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from envmatrix.causes import Facts, Rule, chain_of, decide, is_about_connections
from envmatrix.plugin.collection import NEEDS
from envmatrix.plugin.note import note_of
from envmatrix.runs.outcomes import Cause

if TYPE_CHECKING:
    from envmatrix.plugin.process import Process
    from envmatrix.plugin.session import EnvironmentSession


LOOKS = 5
"""Probes of each service after a connection failed: a service that fails every second probe is found in 31 of 32 cases."""


@dataclass(frozen=True, slots=True)
class Block:
    """Why tests are not run: a prerequisite of all of them failed."""

    rule: Rule
    seen: str
    """What the rule saw, in one line, not masked yet."""
    facts: Facts
    logs: Mapping[str, str]
    """Service → the end of its log, of those that are not up."""

    @property
    def summary(self) -> str:
        """Return the reason in one line."""
        return f"blocked by the smoke check: {self.rule.code} {self.seen}"


BLOCKED = pytest.StashKey[Block]()
"""Why an item is not run."""


class Smoke:
    """Check the environment once in each process, and block the tests that need it where the check failed."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._checked = False
        self._block: Block | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Unregister where no test needs the environment: each hook costs every test something."""
        if session.items and not self._process.needed:
            session.config.pluginmanager.unregister(self)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Check before the first test that needs the environment."""
        if not self._checked and NEEDS in item.stash:
            self._checked = True
            self._block = self._check(self._process.session)
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Block a test where the check failed."""
        if self._block is not None and NEEDS in item.stash:
            item.stash[BLOCKED] = self._block
            pytest.skip(self._block.summary)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Show a blocked test as such: neither passed, nor skipped, nor failed."""
        return ("blocked", "b", "BLOCKED") if note_of(report).is_blocked else None

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print each reason once, with the number of tests that it blocked."""
        evidence = (note_of(report).evidence for report in terminalreporter.stats.get("blocked", ()))
        counts = Counter(each.summary for each in evidence if each is not None)
        if counts:
            terminalreporter.section("blocked")
        for why, number in counts.items():
            terminalreporter.line(f"{number} not run: {why}")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Fail a run with blocked tests, which pytest counts as skipped."""
        reporter = session.config.pluginmanager.getplugin("terminalreporter")
        if exitstatus == pytest.ExitCode.OK and reporter is not None and reporter.stats.get("blocked"):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _check(self, session: EnvironmentSession) -> Block | None:
        """Start the services that the tests need, probe them and try a user's token; return what blocks the tests."""
        names = self._process.needed & session.environment.services.keys()
        required = frozenset(name for name in names if session.environment.demands(name))
        failure: Exception | None = None
        try:
            session.demand_required(names)
            access = self._process.protected.ask_renewed(required)
        except Exception as error:  # noqa: BLE001  whatever it is, the rules say what it means
            failure, access = error, ()
        self._process.attestation = session.attest()
        if failure is None and not any(each.is_broken or each.is_refused for each in access):
            return None
        facts = Facts("smoke", tuple(chain_of(failure)), session.last_pings(names), required, access)
        if is_about_connections(facts):  # it was up a moment ago
            facts = replace(facts, pings=session.ping(names, fresh=True, looks=LOOKS))
        rule, seen = decide(facts)
        # A failure that no rule knows is better explained by the tests themselves.
        if rule.cause is Cause.LOGIC:
            return None
        silent = [name for name, ping in facts.pings.items() if not ping.is_up]
        return Block(rule, seen, facts, session.log_tails(silent))
