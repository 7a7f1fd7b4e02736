"""Smoke first: a minimal check of the environment before the first test that needs it.

When it fails, every test that needs the environment becomes `not_run` with that one cause, in seconds, instead of
hundreds of red cells that all say the same. Outside each test's own deadline: starting services is not the test's time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from envmatrix.causes import Facts, Rule, chain_of, decide, is_about_connections
from envmatrix.plugin.collection import NEEDS
from envmatrix.runs.cells import Cause

if TYPE_CHECKING:
    from envmatrix.plugin.process import Process
    from envmatrix.plugin.session import EnvironmentSession


LOOKS = 5
"""At each service after a failure that is about connections: one that fails every second look is found in 31 of 32."""


@dataclass(frozen=True, slots=True)
class Block:
    """Why tests are not run: something that they all stand on failed already."""

    rule: Rule
    seen: str
    """One line: what the rule saw. Not masked yet."""
    facts: Facts
    logs: Mapping[str, str]
    """Service → the end of its log, of those that are not up."""

    @property
    def summary(self) -> str:
        """Say it in one line."""
        return f"blocked by the smoke check: {self.rule.code} {self.seen}"


BLOCKED = pytest.StashKey[Block]()
"""Why an item is not run."""


class Smoke:
    """Checks the environment once in each process, and keeps the tests that need it from running in vain."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._checked = False
        self._block: Block | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Step aside where nothing needs the environment: each hook of ours costs every test something."""
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
        """Keep a test from running where the check failed."""
        if self._block is not None and NEEDS in item.stash:
            item.stash[BLOCKED] = self._block
            pytest.skip(self._block.summary)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Show a test that was kept from running as what it is: neither passed, nor skipped, nor failed."""
        return ("blocked", "b", "BLOCKED") if hasattr(report, "envmatrix_blocked") else None

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say once what kept how many tests from running."""
        counts = Counter(str(report.longrepr[2]) for report in terminalreporter.stats.get("blocked", ()))
        if counts:
            terminalreporter.section("blocked")
        for why, number in counts.items():
            terminalreporter.line(f"{number} not run: {why.removeprefix('Skipped: ')}")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Let no run pass in which tests were kept from running: pytest counts them as skipped."""
        reporter = session.config.pluginmanager.getplugin("terminalreporter")
        if exitstatus == pytest.ExitCode.OK and reporter is not None and reporter.stats.get("blocked"):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _check(self, session: EnvironmentSession) -> Block | None:
        """Start what the collected tests need, look at it, and try a user's token; return what keeps them from running."""
        names = self._process.needed & session.environment.services.keys()
        required = frozenset(name for name in names if session.environment.services[name].is_required)
        failure: Exception | None = None
        try:
            session.demand_required(names)
            access = self._process.protected.ask_renewed(required)
        except Exception as error:  # noqa: BLE001  whatever it is, the rules say what it means
            failure, access = error, ()
        self._process.attestation = {name: ping.model_dump(mode="json") for name, ping in session.attest().items()}
        if failure is None and not any(each.is_broken or each.is_refused for each in access):
            return None
        facts = Facts("smoke", tuple(chain_of(failure)), session.last_pings(names), required, access)
        if is_about_connections(facts):  # it was up a moment ago
            facts = replace(facts, pings=session.ping(names, fresh=True, looks=LOOKS))
        rule, seen = decide(facts)
        # What no rule knows is better told by the tests themselves.
        if rule.cause is Cause.LOGIC:
            return None
        silent = [name for name, ping in facts.pings.items() if not ping.is_up]
        return Block(rule, seen, facts, session.log_tails(silent))
