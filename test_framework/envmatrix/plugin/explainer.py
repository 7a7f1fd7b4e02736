"""Explain a failure in the process that ran the test: look at what it used, and let the rules decide."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from envmatrix.causes import Breaker, Facts, Promise, Rule, chain_of, decide, is_about_connections, was_opened
from envmatrix.exceptions import ContractError, ServiceError
from envmatrix.masking import MASKER
from envmatrix.plugin.degraded import VACUOUS
from envmatrix.plugin.note import add_note
from envmatrix.plugin.smoke import LOOKS, Block
from envmatrix.runs.events import Evidence, FindingRecord
from envmatrix.runs.nodeid import file_of
from envmatrix.runs.outcomes import Cause
from envmatrix.runs.ping import Ping
from envmatrix.runs.rules import RuleCode
from envmatrix.safety.unpatched import text_of
from envmatrix.services.probes.exchanges import EXCHANGES

if TYPE_CHECKING:
    from envmatrix.plugin.crashes import Crashes
    from envmatrix.plugin.process import Process
    from envmatrix.plugin.usage import Usage

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


class Explainer:
    """Finds the cause of a test's failure, and the evidence for it."""

    def __init__(self, process: Process, crashes: Crashes, usage: Usage) -> None:
        self._process = process
        self._crashes = crashes
        self._usage = usage

    def explain(
        self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport, began: float
    ) -> tuple[Cause, Evidence]:
        """Return the cause of a failure, and the evidence; the test `began` then, on the monotonic clock."""
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
        facts, around = self._look(item, facts, began)
        rule, seen = decide(facts)
        evidence = evidence_of(rule, seen, facts, around)
        breaker = promise.breaker if promise and rule.code is RuleCode.CONFORMANCE_FAILED else ""
        detail = report.longreprtext[-_MAX_DETAIL:]
        return rule.cause, structs.replace(evidence, place=_failed_at(item, call), detail=detail, breaker=breaker)

    def unmask(self, item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport, began: float) -> None:
        """Fail a test that skipped itself while a service that it used is down."""
        if call.excinfo is None or not self._usage.values(item):
            return
        facts, around = self._look(item, Facts(report.when, tuple(chain_of(call.excinfo.value))), began)
        rule, seen = decide(facts)
        if rule.cause is Cause.INFRASTRUCTURE or rule.code is RuleCode.PRODUCT_CRASHED:
            why = f"skipped itself, and {seen}"
            report.outcome, report.longrepr = "failed", MASKER.mask(why)
            add_note(report, cause=rule.cause, evidence=evidence_of(rule, why, facts, around))

    def _look(self, item: pytest.Item, facts: Facts, began: float) -> tuple[Facts, Around]:
        """Look at each service that a test used, and at all behind it: at its health, its work, and its log."""
        values = self._usage.values(item)
        never_got_it = any(isinstance(error, ServiceError) for error in facts.exceptions)
        asked = self._usage.fixtures.intersection(getattr(item, "fixturenames", ()))
        read = self._usage.services(item, values)
        if not (values or read or never_got_it or (asked and facts.phase == "setup")):
            return facts, Around()
        session = self._process.session
        # Who asked for the environment and read nothing of it still stands on it: by usefixtures, say.
        read = read or frozenset(session.environment.services)
        used = session.environment.closure(read)
        before = session.pings_before(used, began)
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
            own=frozenset(name for name in used if not session.environment.services[name].outlives_run),
            access=self._process.protected.ask(read, _token(values)) if values else (),
        )
        silent = frozenset(name for name, ping in pings.items() if not ping.is_up)
        answered = {exchange.address for exchange in facts.exchanges if exchange.status}
        if facts.exchanges and was_opened(facts):
            answered.add(facts.exchanges[-1].address)
        fell = {name for name in silent if facts.addresses.get(name) in answered}
        fell |= session.seen_up_since(silent, began)
        return facts, Around(before, frozenset(fell), {**session.log_tails(read | silent), **crash_logs})


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


def evidence_of_block(block: Block) -> Evidence:
    """Return the evidence for a test that was not run."""
    return evidence_of(block.rule, block.summary, block.facts, Around(logs=block.logs))


def _findings(facts: Facts) -> Iterator[FindingRecord]:
    """Yield the breaches of the contract that the test met."""
    for error in facts.exceptions:
        if isinstance(error, ContractError):
            for finding in error.findings:
                message, hint = MASKER.mask(finding.message), MASKER.mask(finding.hint)
                yield FindingRecord(rule=finding.rule, message=message, place=error.place, hint=hint)


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
