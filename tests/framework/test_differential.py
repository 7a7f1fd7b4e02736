"""What the comparison with pytest's own record makes of the reports of a test."""

import pytest

from tests.differential.__main__ import measured
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


def test_the_page_keeps_all_but_its_measured_part() -> None:
    """The date and the table are replaced, whatever the number of rows was."""
    page = "# Title\n\nWith Python 3.1, once.\n\n| suite |\n|---|\n| gone |\n\nThe end.\n"
    after = measured(page, "With Python 3.2, now.", [("idna 3", "plain", 6442, 6441, 0, 1, 0, 0, "0", 0)])
    first, *table, end = after.split("\n\n")
    assert (first, table[0], end) == ("# Title", "With Python 3.2, now.", "The end.\n")
    assert table[1].splitlines()[2:] == ["| idna 3 | plain | 6,442 | 6,441 | 0 | 1 | 0 | 0 | 0 | 0 |"]
