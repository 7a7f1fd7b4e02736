"""Variants in a run: who may fail, who must, and who is found when it does neither."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from envmatrix.gate import Answer, judge
from envmatrix.runs.cells import Cell, Run
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.project import WITH_STORE, run_together

VARIANTS = """
[variants.store_down]
services.store.fault = "down"
survives = ["multi_user"]

[variants.store_slow]
services.store = { fault = "latency", latency = 0.3 }
"""

TESTS = """
import os, signal
import httpx, pytest

def store(real_services):
    return httpx.get(real_services.health_endpoints["store"], trust_env=False).raise_for_status()

@pytest.mark.requires("store")
def test_honest(real_services): store(real_services)

@pytest.mark.requires("store")
def test_vacuous(real_services): assert real_services.backend_url

@pytest.mark.requires("multi_user")
def test_promised(users): users("one")

@pytest.mark.requires("multi_user")
def test_promise_broken(real_services): assert real_services.http_client_sync.get("/nowhere").status_code == 418

@pytest.mark.requires("multi_user")
def test_promise_broken_as_by_an_outage(real_services): raise httpx.ReadTimeout("late")

@pytest.mark.requires("backend")
def test_not_promised(real_services): assert real_services.http_client_sync.get("/nowhere").status_code == 418

@pytest.mark.requires("backend")
def test_works_without_a_promise(real_services): assert real_services.http_client_sync.get("/me").status_code == 200

def test_requires_nothing(real_services): store(real_services)

@pytest.mark.requires("store")
def test_broken_fixture(no_such_fixture): pass

@pytest.mark.requires("store")
def test_skips(real_services): pytest.skip("not here")

@pytest.fixture
def careless(real_services):
    yield
    store(real_services)

@pytest.mark.requires("store")
def test_fails_at_its_end(careless): raise KeyError("store")

def test_flags(real_services, matrix_reality):
    assert real_services.environment == "tiny"
    assert not matrix_reality.available("store")
    assert matrix_reality.required("store")
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run of all the tests in a variant."""
    files = {"environments/tiny.toml": WITH_STORE + VARIANTS, "test_a.py": TESTS}
    return run_together(tmp_path_factory.mktemp("degraded"), files, "tiny+store_down")


@pytest.fixture(scope="module")
def cells(run: Run) -> Mapping[str, Cell]:
    """Its cells by the names of the tests."""
    return {name.removeprefix("test_a.py::test_"): cell for name, cell in run.cells.items()}


def told(cell: Cell) -> tuple[Outcome, Cause | None, str]:
    """What a cell says."""
    return cell.outcome, cell.cause, cell.evidence.rule if cell.evidence else ""


def test_who_requires_what_is_down_fails_as_declared(cells: Mapping[str, Cell]) -> None:
    """In its body or its fixtures; the reason says what it requires and what was done to that."""
    assert cells["honest"].outcome is Outcome.XFAILED
    assert cells["honest"].reason == "it requires store, while store has the fault 'down' in tiny+store_down"
    assert cells["fails_at_its_end"].outcome is Outcome.XFAILED


def test_who_requires_what_is_down_and_passes_is_vacuous(cells: Mapping[str, Cell]) -> None:
    """A failure of the test, with a code of its own."""
    assert told(cells["vacuous"]) == (Outcome.FAILED, Cause.LOGIC, "L407")
    assert "passed, and it requires store" in cells["vacuous"].evidence.summary  # type: ignore[union-attr]
    assert cells["skips"].outcome is Outcome.SKIPPED


def test_what_is_to_survive_must_pass(cells: Mapping[str, Cell]) -> None:
    """A failure there is the product's, also where it looks like an outage: the outage is declared."""
    assert cells["promised"].outcome is Outcome.PASSED
    assert told(cells["promise_broken"]) == (Outcome.FAILED, Cause.LOGIC, "L401")
    assert told(cells["promise_broken_as_by_an_outage"]) == (Outcome.FAILED, Cause.LOGIC, "L408")


def test_what_nobody_promised_may_fail(cells: Mapping[str, Cell]) -> None:
    """It may as well pass."""
    assert cells["not_promised"].outcome is Outcome.XFAILED
    assert cells["not_promised"].reason == "it requires backend, which tiny+store_down does not promise to survive"
    assert cells["works_without_a_promise"].outcome is Outcome.PASSED


def test_who_does_not_say_what_it_requires_must_pass(cells: Mapping[str, Cell]) -> None:
    """What a test needs, its marker says."""
    assert cells["requires_nothing"].outcome is Outcome.FAILED
    assert cells["requires_nothing"].cause is Cause.LOGIC


def test_no_fault_excuses_a_broken_fixture(cells: Mapping[str, Cell]) -> None:
    """A fixture that is missing is missing in every variant."""
    assert told(cells["broken_fixture"]) == (Outcome.FAILED, Cause.CONTRACT, "C101")


def test_the_fixture_tells_what_is_there(cells: Mapping[str, Cell], run: Run) -> None:
    """Under the environment's own name, since the target knows no other; the column has the variant's."""
    assert cells["flags"].outcome is Outcome.PASSED
    assert (run.header.environment, run.header.label) == ("tiny+store_down", "tiny+store_down")


def test_expected_failures_leave_the_verdict_and_findings_do_not(run: Run) -> None:
    """The reasons name the tests that are vacuous or broke a promise, and no other."""
    verdict = judge(run)
    assert verdict.answer is Answer.INCOMPATIBLE
    blamed = {test for reason in verdict.reasons if reason.calls_for is not Answer.COMPATIBLE for test in reason.tests}
    assert {test.removeprefix("test_a.py::test_") for test in blamed} == {
        "vacuous",
        "promise_broken",
        "promise_broken_as_by_an_outage",
        "requires_nothing",
        "broken_fixture",
    }


@pytest.mark.fault("latency-spike")
def test_a_slow_service_is_recorded_and_excuses_without_demanding(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Who requires it passes: slow is not gone. The ping has its seconds, and the verdict is what the tests say."""
    some = TESTS.partition('@pytest.mark.requires("multi_user")')[0]
    files = {"environments/tiny.toml": WITH_STORE + VARIANTS, "test_a.py": some}
    slow = run_together(tmp_path_factory.mktemp("slow"), files, "tiny+store_slow")
    assert {cell.outcome for cell in slow.cells.values()} == {Outcome.PASSED}
    assert slow.attestations[0].services["store"].latency >= 0.3
    assert judge(slow).answer is Answer.COMPATIBLE
