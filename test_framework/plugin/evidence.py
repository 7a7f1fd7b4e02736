"""Gathers the evidence where a test fails: in the process that ran it, right after the failure."""

from __future__ import annotations

import inspect
import os
from collections.abc import Generator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from test_framework.causes import Facts, decide
from test_framework.cells import Cause, Evidence
from test_framework.exceptions import ContractError, ServiceError
from test_framework.masking import MASKER
from test_framework.services.base import Ping

if TYPE_CHECKING:
    from test_framework.plugin.setup import Process

_VALUES = pytest.StashKey[list[object]]()
"""The contract fixtures' values that an item got."""

_MAX_DETAIL = 8_000
"""Characters. The end of a traceback says what broke; the run file must stay readable."""

_MAX_EXCEPTION = 500
"""Characters of one exception in the chain."""

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
        self._provided = False

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        """Hold any fixture of a contract's name, wherever it is defined, against that contract."""
        value = yield
        if fixturedef.argname in self._fixtures:
            self._provided = True
            # What `getfixturevalue` brings is not among an item's arguments, and what has a broader scope only there.
            request.node.stash.setdefault(_VALUES, []).append(value)
            self._check(fixturedef, value, request)
        return value

    def _check(self, fixturedef: pytest.FixtureDef[Any], value: object, request: pytest.FixtureRequest) -> None:
        from test_framework.contracts import check

        session = self._process.session
        findings = check(session.contracts[fixturedef.argname], value, session.reality())
        if findings:
            place = _place(fixturedef, request, self._root)
            error = ContractError(fixturedef.argname, place, tuple(map(str, findings)))
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
        if call.excinfo is not None and not report.passed:
            _mask(report)
            if isinstance(call.excinfo.value, ContractError) and hasattr(report, "wasxfail"):
                # Expecting a failure of the test is not expecting a broken fixture.
                report.outcome = "failed"
                del report.wasxfail
        if report.failed:
            cause, evidence = self._explain(item, call, report)
            report.envmatrix_cause, report.envmatrix_evidence = cause.value, asdict(evidence)  # type: ignore[attr-defined]  # pytest carries added attributes from worker to controller
        if self._provided and report.when == "teardown" and (values := self._values(item)):
            report.envmatrix_services = sorted(self._read(values))  # type: ignore[attr-defined]  # as above
        if report.sections:
            report.sections = [(name, MASKER.mask(text)) for name, text in report.sections]
        return report

    def _explain(
        self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport
    ) -> tuple[Cause, Evidence]:
        if call.excinfo is None:  # passed, and was strictly expected not to
            return Cause.LOGIC, Evidence("L401", report.longreprtext.strip() or "failed", phase=report.when)
        chain = tuple(_chain(call.excinfo.value))
        pings, required = self._look(item, chain)
        facts = Facts(report.when, chain, pings, required, conformance=item.path.is_relative_to(_CONFORMANCE))
        rule, seen = decide(facts)
        evidence = Evidence(
            rule=rule.code,
            summary=MASKER.mask(seen),
            phase=facts.phase,
            place=_failed_at(item, call),
            exceptions=tuple(MASKER.mask(f"{type(error).__name__}: {error}")[:_MAX_EXCEPTION] for error in chain),
            pings=tuple(ping.model_dump(mode="json") for _, ping in sorted(facts.pings.items())),
            detail=report.longreprtext[-_MAX_DETAIL:],
        )
        return rule.cause, evidence

    def _look(self, item: pytest.Item, chain: tuple[BaseException, ...]) -> tuple[dict[str, Ping], frozenset[str]]:
        """Return a ping of each service that a test used, and of all behind it; and which are required."""
        values = self._values(item)
        never_got_it = any(isinstance(error, ServiceError) for error in chain)
        asked = self._fixtures.intersection(getattr(item, "fixturenames", ()))
        if not values and not never_got_it:
            return {}, frozenset()
        session = self._process.session
        # Who asked for the environment and read nothing of it still stands on it: by usefixtures, say.
        used = self._read(values) or (frozenset(session.environment.services) if asked or never_got_it else frozenset())
        used = session.environment.closure(used)
        required = frozenset(name for name in used if session.environment.services[name].is_required)
        # When the fixture itself found a service down, that look is a moment old.
        return session.ping(used, fresh=not never_got_it), required

    def _values(self, item: pytest.Item) -> list[object]:
        """Return the values of contract fixtures that an item got, each once."""
        arguments = getattr(item, "funcargs", None) or {}
        values = [*item.stash.get(_VALUES, []), *(arguments[name] for name in self._fixtures & arguments.keys())]
        return list({id(value): value for value in values}.values())

    def _read(self, values: list[object]) -> frozenset[str]:
        """Return the services behind what a test read; all of them where it got something that cannot tell."""
        from test_framework.contracts import services_behind

        environment = self._process.selection.environment
        fields = [getattr(value, "used_fields", None) for value in values]
        if None in fields:
            return environment.closure(frozenset(environment.services))
        return services_behind(set().union(*(field or () for field in fields)), environment)


def _mask(report: pytest.TestReport) -> None:
    """Mask a report where the secrets are known: the controller, and whatever else writes it, knows none of them."""
    if isinstance(report.longrepr, tuple):  # a skip: file, line, reason
        file, line, reason = report.longrepr
        report.longrepr = (file, line, MASKER.mask(reason))
    elif (text := MASKER.mask(report.longreprtext)) != report.longreprtext:
        report.longrepr = text  # plain and masked beats coloured and told
    if hasattr(report, "wasxfail"):
        report.wasxfail = MASKER.mask(report.wasxfail)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen = 0
    while error is not None and seen < _MAX_CHAIN:
        yield error
        seen += 1
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        else:
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _place(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest, root: Path) -> str:
    """Return `file:line` of a fixture's definition, as seen from the root; of the test that parametrizes it directly."""
    code = getattr(inspect.unwrap(fixturedef.func), "__code__", None)
    file, line = (code.co_filename, code.co_firstlineno) if code else ("", 0)
    if not file or Path(file).is_relative_to(Path(pytest.__file__).parents[1] / "_pytest"):
        path, index, _ = request.node.location if isinstance(request.node, pytest.Item) else (fixturedef.baseid, 0, "")
        return f"{path}:{(index or 0) + 1}"
    return f"{os.path.relpath(file, root)}:{line}"


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
