"""Gather the evidence of a failure, in the process that ran the test, right after it failed."""

from __future__ import annotations

import inspect
import os
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from envmatrix.causes import Breaker, Facts, Promise, Rule, chain_of, decide, is_about_connections, was_opened
from envmatrix.environments import BACKEND
from envmatrix.exceptions import ContractError, ServiceError
from envmatrix.masking import MASKER
from envmatrix.plugin.degraded import VACUOUS
from envmatrix.plugin.masked_output import WRITES_TO_JUNIT, mask_additions, mask_report, mask_writer
from envmatrix.plugin.note import add_note, note_of
from envmatrix.plugin.preconditions import ENDPOINTS, USED
from envmatrix.plugin.smoke import BLOCKED, LOOKS
from envmatrix.plugin.stopwatch import Stopwatch
from envmatrix.runs.events import Evidence, FindingRecord
from envmatrix.runs.nodeid import file_of
from envmatrix.runs.outcomes import Cause
from envmatrix.runs.ping import Ping
from envmatrix.runs.rules import RuleCode
from envmatrix.safety.unpatched import REAL, text_of
from envmatrix.services.probes.exchanges import ANSWERS, EXCHANGES, routes

if TYPE_CHECKING:
    from envmatrix.plugin.crashes import Crashes
    from envmatrix.plugin.process import Process

_VALUES = pytest.StashKey[list[object]]()
"""The contract fixtures' values that an item got."""

OURS = "envmatrix.plugin.fixtures"
"""The module of the fixtures that we bring."""

_MAX_DETAIL = 8_000
"""Characters. The end of a traceback says what broke; the run file must stay readable."""

_MAX_SUMMARY = 2_000
"""Characters. Cut after masking: half a secret would not be known as one."""

_MAX_EXCEPTION = 500
"""Characters of one exception in the chain."""

_CONFORMANCE = (Path(__file__).parents[1] / "conformance" / "conftest.py").resolve().parent
"""The shipped suite."""


@dataclass(frozen=True, slots=True)
class Around:
    """Evidence that decides nothing."""

    before: Mapping[str, Ping] = field(default_factory=dict)
    """The last look at each service before the test began."""
    fell: frozenset[str] = frozenset()
    """Services that answered while the test ran, and no longer after it."""
    logs: Mapping[str, str] = field(default_factory=dict)


def evidence_of(rule: Rule, seen: str, facts: Facts, around: Around) -> Evidence:
    """Return the evidence as it is recorded: masked and bounded."""
    return Evidence(
        rule=rule.code,
        summary=MASKER.mask(seen)[:_MAX_SUMMARY],
        phase=facts.phase,
        exceptions=tuple(
            MASKER.mask(f"{type(error).__name__}: {text_of(error)}")[:_MAX_EXCEPTION] for error in facts.exceptions
        ),
        pings_before=tuple(ping for _, ping in sorted(around.before.items())),
        pings=tuple(ping for _, ping in sorted(facts.pings.items())),
        exchanges=tuple(MASKER.mask(str(exchange)) for exchange in facts.exchanges),
        logs=dict(around.logs),
        findings=tuple(_findings(facts)),
        fell=tuple(sorted(around.fell)),
    )


def _findings(facts: Facts) -> Iterator[FindingRecord]:
    """Yield the breaches of the contract that the test met."""
    for error in facts.exceptions:
        if isinstance(error, ContractError):
            for finding in error.findings:
                message, hint = MASKER.mask(finding.message), MASKER.mask(finding.hint)
                yield FindingRecord(rule=finding.rule, message=message, place=error.place, hint=hint)


class EvidenceCollector:
    """Check the contract fixtures as they are set up, and attach evidence to the reports of failures."""

    def __init__(self, process: Process, crashes: Crashes, root: Path) -> None:
        self._process = process
        self._stopwatch = Stopwatch()
        self._crashes = crashes
        self._fixtures = process.selection.contract_fixtures
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
            # What `getfixturevalue` brings is not among an item's arguments, and what has a broader scope only there.
            request.node.stash.setdefault(_VALUES, []).append(value)
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
                self._note_use(item, report)
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
            cause, evidence = self._explain(item, call, report)
            add_note(report, cause=cause, evidence=evidence)
            self._demote(item, call, report, evidence)
        elif (block := item.stash.get(BLOCKED, None)) is not None and report.skipped:
            evidence = evidence_of(block.rule, block.summary, block.facts, Around(logs=block.logs))
            add_note(report, cause=block.rule.cause, evidence=evidence, is_blocked=True)
        elif self._provided and report.skipped and not hasattr(report, "wasxfail"):
            self._unmask(item, call, report)
        if attestation := self._process.attestation:
            self._process.attestation = {}
            add_note(report, attestation=attestation)
        mask_additions(report)

    def _note_use(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """Attach the services that a test used, and what it exercised, to its last report."""
        if (values := self._values(item)) or USED in item.stash:
            services, capabilities = sorted(self._used(item, values)), sorted(self._exercised(item, values))
            requests = routes(self._process.addresses) if self._process.sample_every else {}
            add_note(report, services=tuple(services), capabilities=tuple(capabilities), requests=requests)
            EXCHANGES.clear()
            ANSWERS.clear()

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

    def _unmask(self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
        """Fail a test that skipped itself while a service that it used is down."""
        if call.excinfo is None or not self._values(item):
            return
        facts, around = self._look(item, Facts(report.when, tuple(chain_of(call.excinfo.value))))
        rule, seen = decide(facts)
        if rule.cause is Cause.INFRASTRUCTURE or rule.code is RuleCode.PRODUCT_CRASHED:
            why = f"skipped itself, and {seen}"
            report.outcome, report.longrepr = "failed", MASKER.mask(why)
            add_note(report, cause=rule.cause, evidence=evidence_of(rule, why, facts, around))

    def _explain(
        self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport
    ) -> tuple[Cause, Evidence]:
        if call.excinfo is None:  # passed, and was strictly expected not to
            code = RuleCode.VACUOUS if VACUOUS in item.stash else RuleCode.FAILED_ON_HEALTHY
            return Cause.LOGIC, Evidence(code, report.longreprtext.strip() or "failed", phase=report.when)
        promise = _promise(item)
        facts = Facts(
            report.when,
            tuple(chain_of(call.excinfo.value)),
            exchanges=tuple(EXCHANGES),
            addresses=self._process.addresses,
            unawaited=tuple(_unawaited(item)),
            promise=promise,
            variant=self._process.selection.environment.name if self._process.selection.environment.variant else "",
        )
        facts, around = self._look(item, facts)
        rule, seen = decide(facts)
        evidence = evidence_of(rule, seen, facts, around)
        breaker = promise.breaker if promise and rule.code is RuleCode.CONFORMANCE_FAILED else ""
        detail = report.longreprtext[-_MAX_DETAIL:]
        return rule.cause, structs.replace(evidence, place=_failed_at(item, call), detail=detail, breaker=breaker)

    def _look(self, item: pytest.Item, facts: Facts) -> tuple[Facts, Around]:
        """Look at each service that a test used, and at all behind it: at its health, its work, and its log."""
        values = self._values(item)
        never_got_it = any(isinstance(error, ServiceError) for error in facts.exceptions)
        asked = self._fixtures.intersection(getattr(item, "fixturenames", ()))
        read = self._used(item, values)
        if not (values or read or never_got_it or (asked and facts.phase == "setup")):
            return facts, Around()
        session = self._process.session
        # Who asked for the environment and read nothing of it still stands on it: by usefixtures, say.
        read = read or frozenset(session.environment.services)
        used = session.environment.closure(read)
        before = session.pings_before(used, self._began)
        # When the fixture itself found a service down, that look is a moment old.
        looks = LOOKS if is_about_connections(facts) else 1
        pings = session.ping(used, fresh=not never_got_it, looks=looks)
        crashes, crash_logs = self._crashes.met_by(facts, pings)
        if crashes:
            pings = session.ping(used, fresh=True)
        facts = replace(
            facts,
            crashes=crashes,
            pings=pings,
            required=frozenset(name for name in used if session.environment.demands(name)),
            access=self._process.protected.ask(read, _token(values)) if values else (),
        )
        silent = frozenset(name for name, ping in pings.items() if not ping.is_up)
        answered = {exchange.address for exchange in facts.exchanges if exchange.status}
        if facts.exchanges and was_opened(facts):
            answered.add(facts.exchanges[-1].address)
        fell = {name for name in silent if facts.addresses.get(name) in answered}
        fell |= session.seen_up_since(silent, self._began)
        return facts, Around(before, frozenset(fell), {**session.log_tails(read | silent), **crash_logs})

    def _used(self, item: pytest.Item, values: list[object]) -> frozenset[str]:
        """Return the services that a test used: what it read of the fixtures, or, without any, what its markers name.

        What `[pytest]` gives every test used, and what was read of `matrix_endpoints`, for whatever test, all that have it.
        """
        used = self._read(values) if values else item.stash.get(USED, frozenset())
        if ENDPOINTS in getattr(item, "fixturenames", ()):
            used |= self._process.endpoints.used
        return used | self._process.selection.environment.given

    def _values(self, item: pytest.Item) -> list[object]:
        """Return the values of contract fixtures that an item got, each once."""
        arguments = getattr(item, "funcargs", None) or {}
        values = [*item.stash.get(_VALUES, []), *(arguments[name] for name in self._fixtures & arguments.keys())]
        return list({id(value): value for value in values}.values())

    def _read(self, values: list[object]) -> frozenset[str]:
        """Return the services behind what a test read; all of them where it got something that cannot tell."""
        from envmatrix.contracts import services_behind

        environment = self._process.selection.environment
        used = [getattr(value, "used_meanings", None) for value in values]
        if None in used:
            return environment.closure(frozenset(environment.services))
        return services_behind(set().union(*(meanings or () for meanings in used)), environment)

    def _exercised(self, item: pytest.Item, values: list[object]) -> set[str]:
        """Return the capabilities that a test exercised: what it requires or used, services too.

        Who asks for `matrix_reality` has touched everything: only the marker tells what such a test is about.
        """
        found = {str(name) for marker in item.iter_markers("requires") for name in marker.args}
        if "matrix_reality" not in getattr(item, "fixturenames", ()):
            used = set().union(*(getattr(value, "used_meanings", ()) for value in values))
            found |= self._used(item, values) | {meaning.capability for meaning in used}
        environment = self._process.selection.environment
        if found & (names := {BACKEND, environment.service_named(BACKEND)}):  # two names of one service
            found |= names
        return (found | environment.exercised_with(found)) & environment.providers.keys()


def _promise(item: pytest.Item) -> Promise | None:
    """Return the promise that a test of the conformance suite checks; `None` for any other test."""
    if not Path(item.reportinfo()[0]).resolve().is_relative_to(_CONFORMANCE):  # also where it was imported
        return None
    marker = item.get_closest_marker("promise")
    broken, breaker = marker.args if marker else ("what this test is named after", Breaker.ENVIRONMENT)
    callspec = getattr(item, "callspec", None)
    return Promise(f"{broken} [{callspec.id}]" if callspec else broken, breaker)


def _unawaited(item: pytest.Item) -> Iterator[str]:
    """Yield the fixtures of which a plain test got a coroutine or an asynchronous generator instead of a value."""
    for name, value in (getattr(item, "funcargs", None) or {}).items():
        if inspect.iscoroutine(value) or inspect.isasyncgen(value):
            yield name


def _token(values: list[object]) -> str | None:
    """Return the token that a fixture holds, whoever made it; reading it is no use of a service."""
    held = [
        dict(value) if isinstance(value, dict) else vars(value) if hasattr(value, "__dict__") else {}
        for value in values
    ]
    # What overrides a fixture may ask for what it overrides: the last one is what the test got.
    return next(
        (token for each in reversed(held) if isinstance(token := each.get("test_jwt_token"), str) and token), None
    )


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
    return file_of(item.nodeid)
