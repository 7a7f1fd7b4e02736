"""Gather the evidence of a failure, in the process that ran the test, right after it failed."""

from __future__ import annotations

import inspect
import os
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from envmatrix.exceptions import ContractError
from envmatrix.plugin.explainer import Explainer, evidence_of_block
from envmatrix.plugin.masked_output import WRITES_TO_JUNIT, mask_additions, mask_report, mask_writer
from envmatrix.plugin.note import add_note, note_of
from envmatrix.plugin.preconditions import USED
from envmatrix.plugin.smoke import BLOCKED
from envmatrix.plugin.stopwatch import Stopwatch
from envmatrix.plugin.usage import Usage
from envmatrix.runs.events import Evidence
from envmatrix.runs.outcomes import Cause
from envmatrix.runs.rules import RuleCode
from envmatrix.safety.unpatched import REAL, text_of

if TYPE_CHECKING:
    from envmatrix.plugin.crashes import Crashes
    from envmatrix.plugin.process import Process

OURS = "envmatrix.plugin.fixtures"
"""The module of the fixtures that we bring."""


class EvidenceCollector:
    """Check the contract fixtures as they are set up, and attach evidence to the reports of failures."""

    def __init__(self, process: Process, crashes: Crashes, root: Path) -> None:
        self._process = process
        self._stopwatch = Stopwatch()
        self._fixtures = process.selection.contract_fixtures
        self._usage = Usage(process)
        self._explainer = Explainer(process, crashes, self._usage)
        self._root = root
        self._provided = False
        self._began = 0.0
        """When the running test began, on the monotonic clock."""
        self._broken: dict[tuple[str, str, tuple[str, ...]], str] = {}
        """Each breach of a fixture, and the first test that met it."""

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        """Hold any fixture of a contract's name, wherever it is defined, against that contract."""
        __tracebackhide__ = True
        try:
            value = yield
        except pytest.skip.Exception as skipped:
            if fixturedef.argname in self._fixtures and fixturedef.func.__module__ != OURS:
                self._refuse_to_skip(fixturedef, request, skipped)
            raise
        if fixturedef.argname in WRITES_TO_JUNIT:
            return mask_writer(fixturedef, value)
        if fixturedef.argname in self._fixtures:
            self._provided = True
            self._usage.keep(request.node, value)
            self._check(fixturedef, value, request)
        return value

    def _refuse_to_skip(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest, skipped: BaseException
    ) -> None:
        """Fail a test that a contract fixture would skip: a suite that skips is easily overlooked.

        Raises:
            ServiceError: a required service is down, which may be why the fixture skips.
            ContractError: all are up, and the fixture hides them.
        """
        __tracebackhide__ = True
        from envmatrix.contracts import ContractFinding

        session = self._process.session
        session.demand_required(frozenset(session.environment.services))
        what = f"the fixture skips instead of telling what is there: {text_of(skipped)}"
        finding = ContractFinding(
            RuleCode.FIXTURE_SKIPS, fixturedef.argname, what, "Yield it, and let tests say what they require"
        )
        raise ContractError(fixturedef.argname, _place(fixturedef, request, self._root), (finding,)) from skipped

    def _check(self, fixturedef: pytest.FixtureDef[Any], value: object, request: pytest.FixtureRequest) -> None:
        __tracebackhide__ = True  # the error says where; our own lines would only stand before it
        from envmatrix.contracts import check

        session = self._process.session
        findings = check(session.contracts[fixturedef.argname], value, session.reality())
        if findings:
            place = _place(fixturedef, request, self._root)
            error = ContractError(fixturedef.argname, place, findings)
            # A fixture of a broader scope is set up once: whoever gets it later must see the breach too.
            key = fixturedef.cached_result[1] if fixturedef.cached_result else None
            fixturedef.cached_result = (None, key, (error, None))
            raise error

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Complete the report of a phase; where nothing is to be said of one that passed, its duration is enough."""
        report = yield
        self._stopwatch.complete(report)
        if call.when == "setup":
            self._began = REAL.clock() - report.duration
        guard = self._process.guard
        is_last = call.when == "teardown" and (self._provided or USED in item.stash)
        more = is_last or report.sections or report.user_properties or self._process.attestation or guard.remarks
        if report.outcome == "passed" and not more:
            return report
        with guard:
            self._annotate(item, call, report)
            if is_last:
                self._usage.note(item, report)
        if remark := guard.take():
            add_note(report, remark=remark)
            if report.failed and note_of(report).evidence is None:
                evidence = Evidence(RuleCode.EVIDENCE_LOST, remark, phase=report.when)
                add_note(report, cause=Cause.HARNESS, evidence=evidence)
        return report

    def _annotate(self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        """Attach the cause to a failure; mask what the report shows."""
        if call.excinfo is not None and not report.passed:
            mask_report(report)
            if isinstance(call.excinfo.value, ContractError) and hasattr(report, "wasxfail"):
                # Expecting a failure of the test is not expecting a broken fixture.
                report.outcome = "failed"
                del report.wasxfail
        if report.failed:
            cause, evidence = self._explainer.explain(item, call, report, self._began)
            add_note(report, cause=cause, evidence=evidence)
            self._demote(item, call, report, evidence)
        elif (block := item.stash.get(BLOCKED, None)) is not None and report.skipped:
            add_note(report, cause=block.rule.cause, evidence=evidence_of_block(block), is_blocked=True)
        elif self._provided and report.skipped and not hasattr(report, "wasxfail"):
            self._explainer.unmask(item, call, report, self._began)
        if attestation := self._process.attestation:
            self._process.attestation = {}
            add_note(report, attestation=attestation)
        mask_additions(report)

    def _demote(
        self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport, evidence: Evidence
    ) -> None:
        """Make a test `not_run` that meets a fixture's breach again: the first test failed for it."""
        error = call.excinfo.value if call.excinfo else None
        if not isinstance(error, ContractError):
            return
        first = self._broken.setdefault((error.fixture, error.place, tuple(map(str, error.findings))), item.nodeid)
        if first != item.nodeid:
            broken = f"{RuleCode.CONTRACT_BROKEN} {error.place}: fixture {error.fixture!r} breaks its contract"
            why = f"blocked by {first}: {broken}"
            path, line, _ = item.location
            report.outcome, report.longrepr = "skipped", (path, (line or 0) + 1, why)
            evidence = structs.replace(evidence, summary=why, blocked_by=first)
            add_note(report, is_blocked=True, evidence=evidence)


def _place(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest, root: Path) -> str:
    """Return `file:line` of a fixture's definition, as seen from the root; of the test that parametrizes it directly."""
    code = getattr(inspect.unwrap(fixturedef.func), "__code__", None)
    file, line = (code.co_filename, code.co_firstlineno) if code else ("", 0)
    if not file or Path(file).is_relative_to(Path(pytest.__file__).parents[1] / "_pytest"):
        path, index, _ = request.node.location if isinstance(request.node, pytest.Item) else (fixturedef.baseid, 0, "")
        return f"{path}:{(index or 0) + 1}"
    return f"{os.path.relpath(file, root)}:{line}"
