"""What a round of tests changed."""

from __future__ import annotations

import pytest

from envmatrix.matrix.compare import Place, Seen, Side, compare
from envmatrix.report.compare.delta import render
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.report.samples import HOSTILE

PASSED = Seen(Outcome.PASSED)
FAILED = Seen(Outcome.FAILED, Cause.LOGIC, "L401", "AssertionError: no\nmore")


def delta(before: dict[str, dict[str, Seen]], after: dict[str, dict[str, Seen]], gap: str = "") -> list[str]:
    """The lines for two sides: environment → test → how it ended."""
    was = Side("before", {name: Place(name, cells) for name, cells in before.items()})
    now = Side("now", {name: Place(name, cells, gap) for name, cells in after.items()})
    return render(compare(was, now)).splitlines()


def test_environments_that_changed_alike_share_a_line() -> None:
    """What broke comes first; what is as it was is not there."""
    before = {"local": {"a": PASSED, "b": FAILED, "c": PASSED}, "shop": {"a": PASSED, "b": FAILED, "c": PASSED}}
    after = {"local": {"a": FAILED, "b": PASSED, "c": PASSED}, "shop": {"a": FAILED, "b": FAILED, "c": PASSED}}
    assert delta(before, after) == [
        "regressed  a  local, shop: passed, now failed, logic L401: AssertionError: no",
        "fixed  b  local: failed, now passed",
        "",
    ]


def test_a_round_that_changed_nothing_says_so() -> None:
    """Rather than nothing at all."""
    assert delta({"local": {"a": FAILED}}, {"local": {"a": FAILED}}) == ["nothing changed", ""]


def test_new_and_removed_tests_are_told() -> None:
    """A new test that passes has no more to say than its name."""
    assert delta({"local": {"a": PASSED}}, {"local": {"b": PASSED}}) == ["new  b  local", "removed  a  local", ""]


def test_a_run_that_is_missing_removes_no_test() -> None:
    """Its reason stands there once; a round for the same reason is no news."""
    before = {"local": {f"t{number}": PASSED for number in range(20)}}
    assert delta(before, {"local": {}}, "pytest ended with exit code 4") == ["local  pytest ended with exit code 4", ""]
    same = Side("x", {"local": Place("local", {}, "gone")})
    assert render(compare(same, same)) == "nothing changed\n\n"


def test_many_tests_of_one_kind_are_counted() -> None:
    """Eight are named."""
    lines = delta(
        {"local": {f"t{n:02}": PASSED for n in range(20)}}, {"local": {f"t{n:02}": FAILED for n in range(20)}}
    )
    assert len(lines) == 10
    assert lines[-2] == "regressed  and 12 more"


@pytest.mark.fault("hostile-test-name")
@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_name_is_inert(text: str) -> None:
    """As a test, an environment, a summary and a reason."""
    failed = Seen(Outcome.FAILED, Cause.LOGIC, "L401", text)
    for line in delta({text: {text: PASSED}}, {text: {text: failed}}, text):
        assert line.isprintable()
        assert not line.lstrip().startswith("::")
        assert "##[" not in line
