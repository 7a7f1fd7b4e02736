"""What the comparison with pytest's own record makes of the reports of a test."""

import pytest

from tests.differential.compare import outcomes_of


@pytest.mark.parametrize(
    ("reports", "outcome"),
    [
        ([("setup", "passed"), ("call", "passed"), ("teardown", "passed")], "passed"),
        ([("setup", "passed"), ("call", "passed"), ("teardown", "failed")], "failed"),
        ([("setup", "failed"), ("teardown", "passed")], "failed"),
        ([("setup", "skipped"), ("teardown", "passed")], "skipped"),
        ([("setup", "skipped"), ("teardown", "failed")], "failed"),
        ([("setup", "passed"), ("teardown", "passed")], None),
    ],
)
def test_the_worst_phase_is_the_outcome(reports: list[tuple[str, str]], outcome: str | None) -> None:
    """A test without a call that passed is none that passed."""
    assert outcomes_of(("a", when, reported, False) for when, reported in reports).get("a") == outcome


@pytest.mark.parametrize(("reported", "outcome"), [("skipped", "xfailed"), ("passed", "xpassed"), ("failed", "failed")])
def test_an_expected_failure_is_an_outcome_of_its_own(reported: str, outcome: str) -> None:
    """Strictly expected and passed is failed."""
    assert outcomes_of([("a", "setup", "passed", False), ("a", "call", reported, True)]) == {"a": outcome}
