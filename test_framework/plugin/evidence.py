"""Gathers the evidence where a test fails: in the process that ran it, right after the failure."""

from __future__ import annotations

import inspect
import os
from collections.abc import Generator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from test_framework.cells import Evidence
from test_framework.exceptions import ContractError
from test_framework.masking import MASKER
from test_framework.plugin.cause import Facts, decide
from test_framework.services.base import Ping

if TYPE_CHECKING:
    from test_framework.plugin.setup import Process

_VALUES = pytest.StashKey[list[object]]()
"""The contract fixtures' values that an item got."""

_MAX_DETAIL = 8_000
"""Characters. The end of a traceback says what broke; the run file must stay readable."""

_CONFORMANCE = Path(__file__).parents[1] / "tests"
"""The shipped suite."""

_MAX_CHAIN = 8
"""Exceptions. A chain that is longer repeats itself."""


class EvidenceCollector:
    """Checks the contract fixtures as they are set up, and attaches evidence to the reports of failures."""

    def __init__(self, process: Process, root: Path) -> None:
        self._process = process
        self._fixtures = process.selection.contract_fixtures
        self._root = root

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        """Hold any fixture of a contract's name, wherever it is defined, against that contract."""
        value = yield
        if fixturedef.argname in self._fixtures:
            request.node.stash.setdefault(_VALUES, []).append(value)
            if not _is_ours(fixturedef):  # ours was built a moment ago from the very facts it would be held against
                self._check(fixturedef, value)
        return value

    def _check(self, fixturedef: pytest.FixtureDef[Any], value: object) -> None:
        from test_framework.contracts import check

        session = self._process.session
        findings = check(session.contracts[fixturedef.argname], value, session.reality())
        if findings:
            error = ContractError(fixturedef.argname, _place(fixturedef, self._root), tuple(map(str, findings)))
            # A fixture of a broader scope is set up once: whoever gets it later must see the breach too.
            key = fixturedef.cached_result[1] if fixturedef.cached_result else None
            fixturedef.cached_result = (None, key, (error, None))
            raise error

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Attach the cause to a failure, and to the last report the services that the test used. Mask both."""
        report = yield
        if call.excinfo is not None and report.failed:
            self._attach(item, call, report)
        elif report.failed:
            report.envmatrix_cause, report.envmatrix_evidence = "logic", asdict(_strict_xpass(report))  # type: ignore[attr-defined]  # pytest carries added attributes from worker to controller
        if report.when == "teardown" and (values := item.stash.get(_VALUES, None)):
            report.envmatrix_services = sorted(self._used(values))  # type: ignore[attr-defined]  # as above
        if report.sections:
            report.sections = [(name, MASKER.mask(text)) for name, text in report.sections]
        return report

    def _attach(self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        chain = tuple(_chain(call.excinfo.value)) if call.excinfo else ()
        values = item.stash.get(_VALUES, [])
        pings, required = self._look(values) if values else ({}, frozenset())
        facts = Facts(report.when, chain, pings, required, conformance=item.path.is_relative_to(_CONFORMANCE))
        rule, seen = decide(facts)
        text = MASKER.mask(report.longreprtext)
        evidence = Evidence(
            rule=rule.code,
            summary=MASKER.mask(seen),
            phase=facts.phase,
            place=_failed_at(item, call),
            exceptions=tuple(MASKER.mask(f"{type(error).__name__}: {error}"[:500]) for error in chain),
            pings=tuple(ping.model_dump(mode="json") for _, ping in sorted(facts.pings.items())),
            detail=text[-_MAX_DETAIL:],
        )
        report.envmatrix_cause = rule.cause.value  # type: ignore[attr-defined]  # pytest carries added attributes
        report.envmatrix_evidence = asdict(evidence)  # type: ignore[attr-defined]  # from worker to controller
        if text != report.longreprtext:
            report.longrepr = text  # a secret stood in it: plain and masked beats coloured and told

    def _look(self, values: list[object]) -> tuple[dict[str, Ping], frozenset[str]]:
        """Return a fresh ping of each service that a test used, and of all behind it; and which are required."""
        session = self._process.session
        used = session.environment.closure(frozenset(self._used(values)) & session.environment.services.keys())
        required = frozenset(name for name in used if session.environment.services[name].is_required)
        return session.ping(used, fresh=True), required

    def _used(self, values: list[object]) -> set[str]:
        """Return the services behind what a test read; all of them where it got something that cannot tell."""
        every = self._process.selection.environment.services.keys()
        return set().union(*(getattr(value, "used_services", every) for value in values))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen = 0
    while error is not None and seen < _MAX_CHAIN:
        yield error
        seen += 1
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        else:
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _strict_xpass(report: pytest.TestReport) -> Evidence:
    return Evidence("L401", MASKER.mask(report.longreprtext.strip() or "failed"), phase=report.when)


def _is_ours(fixturedef: pytest.FixtureDef[Any]) -> bool:
    return getattr(fixturedef.func, "__module__", "") == "test_framework.plugin.fixtures"


def _place(fixturedef: pytest.FixtureDef[Any], root: Path) -> str:
    """Return `file:line` of a fixture's definition, as seen from the root."""
    code = getattr(inspect.unwrap(fixturedef.func), "__code__", None)
    return f"{os.path.relpath(code.co_filename, root)}:{code.co_firstlineno}" if code else fixturedef.baseid


def _is_installed(path: Path) -> bool:
    """Return whether a file belongs to a package rather than to the project: ours too, in a checkout of it."""
    return "site-packages" in path.parts or path.is_relative_to(Path(__file__).parent)


def _failed_at(item: pytest.Item, call: pytest.CallInfo[None]) -> str:
    """Return `file:line` of the deepest frame that belongs to the project rather than to an installed package."""
    if call.excinfo is None:
        return ""
    root = item.config.rootpath
    for entry in reversed(call.excinfo.traceback):
        path = Path(entry.path)
        if path.is_relative_to(root) and not _is_installed(path):
            return f"{path.relative_to(root)}:{entry.lineno + 1}"
    return item.nodeid.partition("::")[0]
