"""What changed, on a terminal and as JSON."""

import json
from pathlib import Path

import pytest

from envmatrix.matrix.compare import ChangeKind, Comparison, Place, Seen, Side, compare
from envmatrix.report.compare import json_, text
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.report.samples import HOSTILE, hostile

PASSED = Seen(Outcome.PASSED, duration=1.0)
WRONG = Seen(Outcome.FAILED, Cause.LOGIC, "L401", "AssertionError: assert 1 == 2\nmore")
DOWN = Seen(Outcome.FAILED, Cause.INFRASTRUCTURE, "I201", "backend is down")


def of(cells: dict[str, Seen], name: str = "x", **more: object) -> Side:
    """One side with one environment."""
    return Side(name, {"local": Place("local (twin)", cells, **more)}, "c" * 12)  # type: ignore[arg-type]


@pytest.fixture
def everything() -> Comparison:
    """A test of each kind."""
    renamed = Seen(Outcome.PASSED, duration=1.0, body="1")
    before = {
        "a": PASSED,
        "b": WRONG,
        "c": DOWN,
        "d": PASSED,
        "e": PASSED,
        "f": PASSED,
        "m": PASSED,
        "old": renamed,
        "gone": WRONG,
        "same": PASSED,
    }
    after = {
        "a": WRONG,
        "b": PASSED,
        "c": WRONG,
        "d": Seen(Outcome.SKIPPED, summary="no redis"),
        "e": Seen(Outcome.FLAKY, Cause.LOGIC, "L401", "AssertionError"),
        "f": Seen(Outcome.PASSED, duration=9.0),
        "m": Seen(Outcome.PASSED, measured={"login_ms": 90.0}),
        "new": renamed,
        "fresh": DOWN,
        "same": PASSED,
    }
    numbers = [{"login_ms": 30.0}] * 10
    return compare(
        of(before, "baseline"), of(after, "last"), durations=lambda *_: [1.0] * 5, numbers=lambda *_: numbers
    )


def test_every_kind_is_said_once_the_most_urgent_first(everything: Comparison) -> None:
    """With what it was, what it is now, and why; what is the same is only counted."""
    assert text.render(everything) == (
        "from baseline at cccccccccccc to last at cccccccccccc\n"
        "\n"
        "local (twin)  1 regressed, 1 fixed, 1 cause changed, 1 newly skipped, 1 changed, 1 slower, 1 measured worse, 1 new, 1\n"
        "removed, 1 renamed, 1 same\n"
        "  regressed\n"
        "    a  passed, now failed, logic L401: AssertionError: assert 1 == 2\n"
        "  fixed\n"
        "    b  failed, now passed\n"
        "  cause changed\n"
        "    c  infrastructure I201, now logic L401: AssertionError: assert 1 == 2\n"
        "  newly skipped\n"
        "    d  passed, now skipped: no redis\n"
        "  changed\n"
        "    e  passed, now flaky, logic L401: AssertionError\n"
        "  slower\n"
        "    f  9.00 s, usually 1.00 s\n"
        "  measured worse\n"
        "    m  login_ms 90, usually 30 (10 runs)\n"
        "  new\n"
        "    fresh  failed, infrastructure I201: backend is down\n"
        "  removed\n"
        "    gone  failed, logic L401: AssertionError: assert 1 == 2\n"
        "  renamed\n"
        "    new  was old\n"
        "\n"
        "1 test worse\n"
    )


def test_json_has_all_that_changed_in_the_same_words(everything: Comparison) -> None:
    """And counts what is the same."""
    document = json.loads(json_.render(everything))
    assert document["exit_code"] == 1
    assert document["before"] == {"name": "baseline", "commit": "cccccccccccc"}
    (local,) = document["environments"]
    # A side is whole or a part: beside what is new and gone, nothing is not asked for.
    assert list(local["counts"]) == [kind.value for kind in ChangeKind if kind is not ChangeKind.NOT_ASKED_FOR]
    assert document["counts"] == local["counts"]
    assert (local["name"], local["label"], local["worse"], local["unknown"]) == ("local", "local (twin)", ["a"], True)
    changes = {change["test"]: change for change in local["changes"]}
    assert "same" not in changes
    assert changes["a"]["after"] == {
        "outcome": "failed",
        "cause": "logic",
        "rule": "L401",
        "summary": WRONG.summary,
        "duration": None,
    }
    assert changes["fresh"]["before"] is None
    assert changes["new"]["renamed_from"] == "old"
    assert changes["f"]["usual"] == 1.0


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (of({"a": PASSED}), of({"a": PASSED}), "nothing is worse\n"),
        (of({"a": PASSED}), of({"a": DOWN}), "unknown: something may be worse\n"),
        (of({"a": PASSED}), of({}, gap="cut short"), "  after: cut short\n"),
        (of({"a": PASSED}), Side("last", {}), "  after: there is no run\n"),
        (Side("x", {}), Side("y", {}), "unknown: something may be worse\n"),
    ],
)
def test_the_last_line_says_what_the_exit_code_does(before: Side, after: Side, said: str) -> None:
    """And what nobody knows is said where it is missing."""
    assert said in text.render(compare(before, after))


def test_many_alike_are_counted_on_the_screen_and_all_in_json() -> None:
    """One screen; programs read them all."""
    comparison = compare(
        of({f"t{number:02}": PASSED for number in range(20)}), of({f"t{number:02}": WRONG for number in range(20)})
    )
    assert "and 12 more" in text.render(comparison)
    assert len(json.loads(json_.render(comparison))["environments"][0]["changes"]) == 20


@pytest.mark.fault("hostile-test-name")
def test_hostile_names_are_inert(tmp_path: Path) -> None:
    """In a name, a reason or a label: nothing moves a cursor or commands a CI log; JSON is plain ASCII."""
    matrix, _ = hostile(tmp_path)
    side = Side.of(HOSTILE[1], matrix)
    other = Side(HOSTILE[0], {name: Place(place.label, {}, place.gap) for name, place in side.places.items()})
    for comparison in (compare(side, other), compare(other, side)):
        lines = text.render(comparison)
        assert all(line.isprintable() for line in lines.splitlines())
        assert "::error::" not in lines
        assert "##[" not in lines
        assert json_.render(comparison).isascii()


def test_a_test_that_is_worse_in_two_environments_is_one_test() -> None:
    """Cells are counted by environment, tests at the end."""
    before, after = (Side("x", {name: Place(name, {"a": seen}) for name in "lr"}) for seen in (PASSED, WRONG))
    assert text.render(compare(before, after)).endswith("\n1 test worse\n")
