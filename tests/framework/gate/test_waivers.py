"""Waivers: what each excuses, and when it fails the gate by its name."""

from datetime import date
from pathlib import Path

import pytest

from envmatrix.exceptions import DeclarationError, UnknownKeyError
from envmatrix.gate import Answer, Code
from envmatrix.gate.waivers import Waiver, apply, read_waivers, update_waivers
from envmatrix.runs.cells import Run
from envmatrix.runs.events import Attempt
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.run_files import write_run

TODAY = date(2026, 1, 2)
WAIVER = """
# The shop is slow.
[[waiver]]
test = "tests/test_shop.py::*"   # all of them
environment = "staging"
cause = "logic"
issue = "https://example.com/12"
owner = "shop team"
expires = 2026-01-31
"""


def waiver(**changes: object) -> Waiver:
    """A waiver that holds."""
    values = {
        "test": "tests/test_shop.py::*",
        "environment": "staging",
        "cause": "logic",
        "issue": "https://example.com/12",
        "owner": "shop team",
        "expires": "2026-01-31",
    }
    return Waiver.model_validate(values | changes)


def run(path: Path, *attempts: Attempt, environment: str = "staging") -> Run:
    """A run with these tests."""
    return write_run(path / f"{environment}.jsonl", *attempts, environment=environment)


def failed(name: str = "test_buy", cause: Cause = Cause.LOGIC) -> Attempt:
    """A failed test of the shop."""
    return Attempt(f"tests/test_shop.py::{name}", Outcome.FAILED, cause=cause)


def passed(name: str = "test_buy") -> Attempt:
    """A passed test of the shop."""
    return Attempt(f"tests/test_shop.py::{name}", Outcome.PASSED)


def test_it_excuses_what_it_names(tmp_path: Path) -> None:
    """The test, in that environment, by that cause; no other."""
    runs = [run(tmp_path, failed(), passed("test_look")), run(tmp_path, failed(), environment="local")]
    waived = apply([waiver()], runs, TODAY)
    assert waived.tests == {"staging": {"tests/test_shop.py::test_buy": waiver()}}
    assert waived.problems == ()


def test_brackets_of_a_parametrized_test_are_no_pattern(tmp_path: Path) -> None:
    """A node id pasted as it is names exactly that test."""
    runs = [run(tmp_path, failed("test_buy[a-1]"), failed("test_buy[b]"))]
    waived = apply([waiver(test="tests/test_shop.py::test_buy[a-1]")], runs, TODAY)
    assert list(waived.tests["staging"]) == ["tests/test_shop.py::test_buy[a-1]"]


@pytest.mark.parametrize(
    ("changes", "attempts", "said"),
    [
        pytest.param(
            {"expires": "2026-01-01"}, [failed()], "expired on 2026-01-01: ", marks=pytest.mark.fault("waiver-expired")
        ),
        pytest.param({"test": "gone"}, [failed()], "matches no test: ", marks=pytest.mark.fault("waiver-stale")),
        pytest.param({}, [passed()], "passes now, drop it: ", marks=pytest.mark.fault("waiver-stale")),
        ({}, [failed(cause=Cause.CONTRACT)], "fails for another cause, contract: "),
    ],
)
def test_one_that_does_not_hold_fails_by_name(
    tmp_path: Path, changes: dict[str, object], attempts: list[Attempt], said: str
) -> None:
    """Who owns it and where it is being mended stand in the line; what it was for is excused no more."""
    waived = apply([waiver(**changes)], [run(tmp_path, *attempts)], TODAY)
    assert waived.tests == {}
    (problem,) = waived.problems
    assert (problem.code, problem.calls_for) == (Code.WAIVER, Answer.INCOMPATIBLE)
    assert problem.text.startswith(said)
    assert "shop team, https://example.com/12" in problem.text


@pytest.mark.parametrize("day", ["2026-01-02", "2026-01-03"])
def test_it_holds_to_the_end_of_its_day(tmp_path: Path, day: str) -> None:
    """The day itself is the last one."""
    assert apply([waiver(expires=day)], [run(tmp_path, failed())], TODAY).problems == ()


def test_what_tells_neither_way_leaves_it_alone(tmp_path: Path) -> None:
    """A test that was skipped, and an environment that was not run, prove nothing about a waiver."""
    skipped = Attempt("tests/test_shop.py::test_buy", Outcome.SKIPPED, reason="no shop")
    assert apply([waiver()], [run(tmp_path, skipped)], TODAY).problems == ()
    assert apply([waiver()], [run(tmp_path, passed(), environment="local")], TODAY).problems == ()


def test_a_test_that_was_not_asked_for_makes_no_waiver_stale(tmp_path: Path) -> None:
    """A run of a part of the suite tells nothing of the others; a waiver that has expired has all the same."""
    path = tmp_path / "staging.jsonl"
    part = write_run(path, Attempt("a.py::x", Outcome.PASSED), environment="staging", narrowed=("a.py",))
    waived = apply([waiver()], [part], TODAY)
    assert (waived.problems, waived.stale) == ((), ())
    (problem,) = apply([waiver(expires="2026-01-01")], [part], TODAY).problems
    assert problem.text.startswith("expired on 2026-01-01")


def test_a_file_is_read(tmp_path: Path) -> None:
    """Tables become waivers; no file is none."""
    path = tmp_path / "w.toml"
    assert read_waivers(path) == ()
    path.write_text(WAIVER)
    assert read_waivers(path) == (waiver(),)


@pytest.mark.parametrize(
    ("old", "new", "error", "what"),
    [
        ("owner", "ownr", UnknownKeyError, ":8: unknown key 'ownr' in waiver 1"),
        ('"logic"', '"bad luck"', DeclarationError, ":6: waiver 1.cause: "),
        ("https://example.com/12", "later", DeclarationError, ":7: waiver 1.issue: is no link"),
        ("expires = 2026-01-31", "", DeclarationError, ":3: waiver 1 needs the key 'expires'"),
        ("[[waiver]]", "[waiver]", DeclarationError, "waiver is one table"),
        ("[[waiver]]", "[[waver]]", UnknownKeyError, "unknown key 'waver'"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(
    tmp_path: Path, old: str, new: str, error: type[DeclarationError], what: str
) -> None:
    """A waiver without an issue, an owner or a last day is none."""
    path = tmp_path / "w.toml"
    path.write_text(WAIVER.replace(old, new))
    with pytest.raises(error) as refused:
        read_waivers(path)
    assert what in refused.value.message


def test_an_update_takes_out_what_is_stale_and_keeps_comments(tmp_path: Path) -> None:
    """The others stay as they were written."""
    path = tmp_path / "w.toml"
    other = WAIVER.replace("test_shop", "test_cart").replace("The shop is slow", "The cart is old")
    path.write_text(f"# Ours.\n{WAIVER}{other}")
    stale = apply(read_waivers(path), [run(tmp_path, passed())], TODAY).stale
    assert set(stale) == set(read_waivers(path))  # the cart's matches no test at all
    update_waivers(path, [waiver()])
    assert read_waivers(path) == (waiver(test="tests/test_cart.py::*"),)
    assert "# Ours." in path.read_text()
    assert "The cart is old" in path.read_text()
    assert "# all of them" in path.read_text()
