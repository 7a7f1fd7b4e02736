"""Judges each test by what a variant expects of it: to pass, to fail since a fault reaches what it requires, or either."""

from __future__ import annotations

import gc
import sys
from collections.abc import Generator
from dataclasses import dataclass

import pytest

from envmatrix.environments import Environment, Variant
from envmatrix.exceptions import EnvmatrixError, ServiceError, UserError
from envmatrix.plugin.process import Process

VACUOUS = pytest.StashKey[str]()
"""Set for a test that passed although a service that it requires is out of order: why it should not have."""
_EXPECTED = pytest.StashKey["Expectation"]()


@dataclass(frozen=True, slots=True)
class Expectation:
    """Why a test may fail in a variant, or must."""

    reason: str
    must_fail: bool = False


class Degraded:
    """Follows the tests of a run in a variant."""

    def __init__(self, process: Process, variant: Variant) -> None:
        self._process = process
        self._environment = process.selection.environment
        self._variant = variant

    def pytest_sessionstart(self) -> None:
        """Degrade an environment that other runs had before us as another variant of it says."""
        if self._process.shared_supervisor_dir is not None and not self._process.is_worker:
            self._process.supervisor.degrade(self._environment.name, self._environment.services)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Note what is expected of each test; in a search for vacuous tests, leave out those that no fault is about."""
        for item in items:
            if (expected := _expected(item, self._environment, self._variant)) is not None:
                item.stash[_EXPECTED] = expected
        if self._process.shared_supervisor_dir is not None:
            chosen = [item for item in items if (found := item.stash.get(_EXPECTED, None)) and found.must_fail]
            config.hook.pytest_deselected(items=list(set(items) - set(chosen)))
            items[:] = chosen

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """Drop what a failed test left open: collected later, its warnings would be another test's."""
        if _EXPECTED in item.stash and hasattr(sys, "last_value"):
            del sys.last_type, sys.last_value, sys.last_traceback  # pytest's, for a debugger
            sys.__dict__.pop("last_exc", None)
            gc.collect()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Report an expected failure as one, and a test as failed that passed although it cannot."""
        report = yield
        expected = item.stash.get(_EXPECTED, None)
        if expected is None or hasattr(report, "wasxfail"):
            return report
        if report.failed and call.excinfo is not None and not _is_our_own(call.excinfo.value):
            report.outcome, report.wasxfail = "skipped", expected.reason
        elif expected.must_fail and report.when == "call" and report.passed:
            item.stash[VACUOUS] = f"passed, and {expected.reason}: it proves nothing about that"
            report.outcome, report.longrepr = "failed", item.stash[VACUOUS]
        return report


def _is_our_own(error: BaseException) -> bool:
    """Return whether an error is no work of a fault: a fixture that is missing or breaks its contract, say."""
    return isinstance(error, EnvmatrixError) and not isinstance(error, ServiceError | UserError)


def _expected(item: pytest.Item, environment: Environment, variant: Variant) -> Expectation | None:
    """Return why a test may fail, or must; `None` where it must pass."""
    required = [word for marker in item.iter_markers("requires") for word in marker.args]
    providers = {word: environment.providers[word] for word in required if word in environment.providers}
    faults = {word: variant.services[service] for word, service in providers.items() if service in variant.services}
    if faults:
        word, fault = max(faults.items(), key=lambda each: each[1].is_outage)
        service = f"{providers[word]} has the fault {fault.fault!r} in {environment.name}"
        return Expectation(f"it requires {word}, while {service}", must_fail=fault.is_outage)
    for word in providers:
        if not environment.must_work(word):
            return Expectation(f"it requires {word}, which {environment.name} does not promise to survive")
    return None
