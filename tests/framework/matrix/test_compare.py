"""What changed between two matrices."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from envmatrix.matrix.compare import ChangeKind, Comparison, Place, Seen, Side, compare
from envmatrix.matrix.table import Matrix
from envmatrix.runs.cells import MissingRun
from envmatrix.runs.events import Attempt, Evidence, FindingRecord
from envmatrix.runs.outcomes import Cause, Outcome
from tests.framework.run_files import footer, write_run

PASSED = Seen(Outcome.PASSED, duration=1.0)
WRONG = Seen(Outcome.FAILED, Cause.LOGIC)
DOWN = Seen(Outcome.FAILED, Cause.INFRASTRUCTURE)
FLAKY = Seen(Outcome.FLAKY, Cause.LOGIC)
SKIPPED = Seen(Outcome.SKIPPED)
NOT_RUN = Seen(Outcome.NOT_RUN, Cause.HARNESS)
XFAILED = Seen(Outcome.XFAILED)


def side(cells: Mapping[str, Seen] | None = None, /, **more: object) -> Side:
    """One side with one environment; with none where there are no cells."""
    return Side("x", {} if cells is None else {"local": Place("local", cells, **more)})  # type: ignore[arg-type]


def between(before: Seen, after: Seen, **policy: bool) -> Comparison:
    """Compare one test."""
    return compare(side({"a": before}), side({"a": after}), **policy)


def kinds(comparison: Comparison) -> dict[str, ChangeKind]:
    """The kind of each test in the one environment."""
    (local,) = comparison.environments
    return {change.test: change.kind for change in local.changes}


@pytest.mark.parametrize(
    ("before", "after", "kind", "exit_code"),
    [
        (PASSED, PASSED, ChangeKind.SAME, 0),
        (PASSED, WRONG, ChangeKind.REGRESSED, 1),
        (PASSED, DOWN, ChangeKind.REGRESSED, 3),
        (FLAKY, WRONG, ChangeKind.REGRESSED, 1),
        (WRONG, PASSED, ChangeKind.FIXED, 0),
        (WRONG, WRONG, ChangeKind.SAME, 0),
        (DOWN, DOWN, ChangeKind.SAME, 3),
        (DOWN, WRONG, ChangeKind.CAUSE_CHANGED, 3),
        (WRONG, DOWN, ChangeKind.CAUSE_CHANGED, 3),
        (WRONG, Seen(Outcome.FAILED, Cause.CONTRACT), ChangeKind.CAUSE_CHANGED, 0),
        (PASSED, SKIPPED, ChangeKind.NEWLY_SKIPPED, 0),
        (WRONG, SKIPPED, ChangeKind.NEWLY_SKIPPED, 0),
        (SKIPPED, WRONG, ChangeKind.CHANGED, 1),
        (PASSED, XFAILED, ChangeKind.CHANGED, 0),
        (PASSED, FLAKY, ChangeKind.CHANGED, 0),
        (PASSED, NOT_RUN, ChangeKind.CHANGED, 3),
        (NOT_RUN, PASSED, ChangeKind.CHANGED, 0),
        (NOT_RUN, WRONG, ChangeKind.CHANGED, 3),
        (NOT_RUN, SKIPPED, ChangeKind.CHANGED, 0),
        (NOT_RUN, NOT_RUN, ChangeKind.SAME, 3),
    ],
)
def test_a_kind_goes_by_outcomes_and_the_exit_code_by_causes_too(
    before: Seen, after: Seen, kind: ChangeKind, exit_code: int
) -> None:
    """Only what fails by the product's fault and is known not to have failed before is worse for certain."""
    comparison = between(before, after)
    assert kinds(comparison) == {"a": kind}
    assert comparison.exit_code == exit_code


def test_flaky_is_a_regression_only_where_the_policy_says_so() -> None:
    """And only after a pass."""
    assert kinds(between(PASSED, FLAKY, flaky_fails=True)) == {"a": ChangeKind.REGRESSED}
    assert between(PASSED, FLAKY, flaky_fails=True).exit_code == 1
    assert kinds(between(FLAKY, PASSED, flaky_fails=True)) == {"a": ChangeKind.FIXED}
    assert kinds(between(FLAKY, FLAKY, flaky_fails=True)) == {"a": ChangeKind.SAME}


def test_a_new_test_that_fails_is_worse_and_one_that_passes_is_not() -> None:
    """A branch that brings a failing test made something worse, whatever there was before."""
    assert compare(side({"a": PASSED}), side({"a": PASSED, "b": WRONG})).exit_code == 1
    assert compare(side({"a": PASSED}), side({"a": PASSED, "b": PASSED})).exit_code == 0
    assert compare(side({"a": PASSED}), side({"a": PASSED, "b": DOWN})).exit_code == 3


def test_a_new_failure_after_an_incomplete_run_may_be_old() -> None:
    """Nobody knows what became of it before."""
    assert compare(side({"a": PASSED}, gap="cut short"), side({"a": PASSED, "b": WRONG})).exit_code == 3


@pytest.mark.fault("zero-tests")
def test_an_environment_that_is_missing_now_is_unknown() -> None:
    """Nothing empty is green: its tests are gone, and nobody knows how they would have ended."""
    comparison = compare(side({"a": PASSED}), side(None))
    assert kinds(comparison) == {"a": ChangeKind.REMOVED}
    assert comparison.environments[0].gaps == ("after: there is no run",)
    assert comparison.exit_code == 3
    assert compare(side(None), side(None)).exit_code == 3
    assert compare(side({}), side({})).exit_code == 3


def test_an_environment_that_is_new_tells_what_it_can() -> None:
    """What passes did not get worse; what fails may have failed before."""
    assert compare(side(None), side({"a": PASSED})).exit_code == 0
    assert compare(side(None), side({"a": WRONG})).exit_code == 3


def test_tests_that_were_left_out_now_are_not_taken_for_removed() -> None:
    """With `-k` the rest is unknown, unless as many were left out before."""
    before = side({"a": PASSED, "b": PASSED})
    assert compare(before, side({"a": PASSED})).exit_code == 0
    assert compare(before, side({"a": PASSED}, left_out=1)).exit_code == 3
    assert compare(side({"a": PASSED, "b": PASSED}, left_out=1), side({"a": PASSED}, left_out=1)).exit_code == 0


def of(body: str, cell: Seen = PASSED) -> Seen:
    """A test with a body."""
    return replace(cell, body=body)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({"a.py::x": of("1")}, {"a.py::y": of("1")}, {"a.py::y": "a.py::x"}),
        ({"a.py::x": of("1")}, {"b.py::x": of("1")}, {"b.py::x": "a.py::x"}),
        ({"a.py::x[1]": of("1"), "a.py::x[2]": of("1")}, {"a.py::y[2]": of("1")}, {"a.py::y[2]": "a.py::x[2]"}),
        ({"a.py::x": of("1"), "a.py::y": of("1")}, {"a.py::z": of("1")}, {}),
        (
            {"a.py::x": of("1"), "a.py::y": of("1")},
            {"b.py::y": of("1"), "b.py::x": of("1")},
            {"b.py::x": "a.py::x", "b.py::y": "a.py::y"},
        ),
        (
            {"a.py::x": of("1"), "b.py::x": of("1")},
            {"a.py::z": of("1"), "b.py::z": of("1")},
            {"a.py::z": "a.py::x", "b.py::z": "b.py::x"},
        ),
        ({"a.py::x": of("")}, {"a.py::y": of("")}, {}),
        ({"a.py::x": of("1")}, {"a.py::y": of("2")}, {}),
        ({"a.py::x": of("1"), "a.py::y": of("1")}, {"a.py::y": of("1"), "a.py::z": of("1")}, {"a.py::z": "a.py::x"}),
    ],
    ids=["name", "file", "cases", "doubt", "both-moved", "each-in-its-file", "no-body", "other-body", "one-stays"],
)
def test_a_rename_is_found_where_there_is_no_doubt(
    old: dict[str, Seen], new: dict[str, Seen], found: dict[str, str]
) -> None:
    """Same body and parameters, one to one; where two could be meant, neither is."""
    (local,) = compare(side(old), side(new)).environments
    assert {change.test: change.renamed_from for change in local.changes if change.renamed_from} == found
    assert local.counts.get(ChangeKind.RENAMED, 0) == len(found)


def test_a_renamed_test_that_fails_now_has_regressed() -> None:
    """A new name hides nothing."""
    comparison = compare(side({"a.py::x": of("1")}), side({"a.py::y": of("1", WRONG)}))
    (change,) = comparison.environments[0].changes
    assert (change.kind, change.renamed_from) == (ChangeKind.REGRESSED, "a.py::x")
    assert comparison.exit_code == 1


STEADY = [1.0, 1.01, 0.99, 1.02, 0.98]
NOISY = [0.5, 1.0, 1.5, 0.7, 1.3]


@pytest.mark.parametrize(
    ("history", "took", "is_slower"),
    [
        (STEADY, 1.2, False),
        (STEADY, 1.3, True),
        (NOISY, 1.3, False),
        (NOISY, 2.7, False),
        (NOISY, 2.9, True),
        (STEADY[:4], 9.0, False),
        ([0.001] * 5, 0.09, False),
        ([0.001] * 5, 0.2, True),
        ([*STEADY, 60.0], 1.3, True),
    ],
)
def test_slower_is_what_leaves_the_noise_of_its_own_history(history: list[float], took: float, is_slower: bool) -> None:
    """One old outlier moves nothing; with fewer than five runs nobody knows the noise."""
    now = Seen(Outcome.PASSED, duration=took)
    before = Seen(Outcome.PASSED, duration=history[0])
    comparison = compare(side({"a": before}), side({"a": now}), durations=lambda *_: history)
    assert kinds(comparison) == {"a": ChangeKind.SLOWER if is_slower else ChangeKind.SAME}
    assert comparison.exit_code == 0


def test_what_was_as_slow_before_is_not_slower() -> None:
    """It was said when it happened."""
    slow = Seen(Outcome.PASSED, duration=9.0)
    assert kinds(compare(side({"a": slow}), side({"a": slow}), durations=lambda *_: STEADY)) == {"a": ChangeKind.SAME}


def test_the_history_is_asked_for_runs_before_the_later_side() -> None:
    """By the name that the test had: the run itself is no part of its own norm."""
    asked = []
    old, new = side({"f::x": of("1")}), side({"f::y": of("1", Seen(Outcome.PASSED, duration=9.0))}, started_at="now")
    compare(old, new, durations=lambda *words: asked.append(words) or STEADY)
    assert asked == [("local", "f::x", "now")]


def test_a_worse_number_is_named_before_a_longer_test() -> None:
    """It says what takes longer; one that was as bad before was told when it happened."""
    history = [{"login_ms": 30.0}] * 10
    slow = Seen(Outcome.PASSED, duration=9.0, measured={"login_ms": 90.0})
    more = {"durations": lambda *_: STEADY, "numbers": lambda *_: history}
    (change,) = compare(side({"a": PASSED}), side({"a": slow}), **more).environments[0].changes
    assert (change.kind, [each.name for each in change.numbers]) == (ChangeKind.MEASURED_WORSE, ["login_ms"])
    assert kinds(compare(side({"a": slow}), side({"a": slow}), **more)) == {"a": ChangeKind.SAME}


def test_numbers_are_asked_for_by_label_and_former_name() -> None:
    """A twin's numbers are not those of the deployment that it stands in for."""
    asked = []
    old, new = side({"f::x": of("1")}), {"f::y": replace(of("1"), measured={"login_ms": 1.0})}
    now = Side("x", {"local": Place("local (twin)", new, started_at="now")})
    compare(old, now, numbers=lambda *words: asked.append(words) or ())
    assert asked == [("local (twin)", "f::x", "now")]


def test_what_was_not_asked_for_is_neither_gone_nor_new(tmp_path: Path) -> None:
    """A part of the suite on either side: the other tests are called so, and nothing is known of them after."""
    both, one = ([Attempt(test, Outcome.PASSED) for test in tests] for tests in ("ab", "a"))
    whole = Side.of("whole", Matrix.from_runs([write_run(tmp_path / "whole.jsonl", *both)]))
    part = Side.of("part", Matrix.from_runs([write_run(tmp_path / "part.jsonl", *one, narrowed=("-k a",))]))
    narrower, wider = compare(whole, part), compare(part, whole)
    assert kinds(narrower) == kinds(wider) == {"a": ChangeKind.SAME, "b": ChangeKind.NOT_ASKED_FOR}
    assert narrower.environments[0].gaps == ("after: a part of the suite was asked for: -k a",)
    assert (narrower.exit_code, wider.exit_code) == (3, 0)


@pytest.mark.fault("missing-shard")
def test_a_side_is_made_of_a_matrix(tmp_path: Path) -> None:
    """Cut short, not collected or missing: each environment says why it cannot tell everything."""
    evidence = Evidence("L401", "AssertionError", "call", "a.py:1")
    failed = Attempt("a.py::x", Outcome.FAILED, 1.5, cause=Cause.LOGIC, evidence=evidence)
    runs = [
        write_run(tmp_path / "1", failed, environment="whole"),
        write_run(tmp_path / "2", failed, environment="cut", end=None),
        write_run(tmp_path / "3", failed, environment="broken", findings=[FindingRecord(rule="H304", message="b.py")]),
        write_run(tmp_path / "4", environment="empty", end=footer(5)),
    ]
    part = write_run(tmp_path / "5", failed, environment="part")
    runs.append(replace(part, header=structs.replace(part.header, shard="1/2")))
    made = Side.of("last", Matrix.from_runs(runs, [MissingRun("gone", "gone (twin)", "left no run file")]))
    assert {name: place.gap for name, place in made.places.items()} == {
        "whole": "",
        "cut": "the run was cut short: it has no footer",
        "broken": "b.py",
        "empty": "the run holds no test",
        "part": "shard 1/2 alone: envmatrix merge makes the whole",
        "gone": "left no run file",
    }
    assert made.places["whole"].cells == {
        "a.py::x": Seen(Outcome.FAILED, Cause.LOGIC, "L401", "AssertionError", 1.5),
    }
    assert made.places["gone"].label == "gone (twin)"


def _seen() -> st.SearchStrategy[Seen]:
    causes = {Outcome.FAILED: st.sampled_from(Cause), Outcome.NOT_RUN: st.just(Cause.HARNESS)}
    return st.sampled_from(Outcome).flatmap(
        lambda outcome: st.builds(
            Seen,
            st.just(outcome),
            causes.get(outcome, st.none()),
            duration=st.floats(0, 100) | st.none(),
            body=st.sampled_from(["", "1", "2", "3"]),
        )
    )


_NAMES = st.builds("{}.py::{}{}".format, st.sampled_from("ab"), st.sampled_from("xyz"), st.sampled_from(["", "[1]"]))
_PLACES = st.builds(
    Place,
    st.just("label"),
    st.dictionaries(_NAMES, _seen(), max_size=8),
    gap=st.sampled_from(["", "cut short"]),
    left_out=st.integers(0, 2),
)
SIDES = st.builds(Side, st.just("x"), st.dictionaries(st.sampled_from(["local", "staging"]), _PLACES))


@given(SIDES, st.booleans())
def test_a_side_compared_with_itself_is_the_same_throughout(one: Side, flaky_fails: bool) -> None:
    """And never worse."""
    comparison = compare(one, one, flaky_fails=flaky_fails, durations=lambda *_: STEADY)
    assert set(comparison.counts) <= {ChangeKind.SAME}
    assert comparison.exit_code != 1


@given(SIDES, SIDES, st.booleans())
def test_each_test_of_either_side_appears_exactly_once(one: Side, two: Side, flaky_fails: bool) -> None:
    """Under its name before, its name now, or both."""
    comparison = compare(one, two, flaky_fails=flaky_fails, durations=lambda *_: STEADY)
    for changes in comparison.environments:
        name = changes.environment
        before = [change.renamed_from or change.test for change in changes.changes if change.before]
        after = [change.test for change in changes.changes if change.after]
        assert sorted(before) == sorted(one.places[name].cells if name in one.places else ())
        assert sorted(after) == sorted(two.places[name].cells if name in two.places else ())


_MIRROR = {ChangeKind.REGRESSED: ChangeKind.FIXED, ChangeKind.NEW: ChangeKind.REMOVED}
_MIRROR |= {mirrored: kind for kind, mirrored in _MIRROR.items()}
_BOTH_WAYS = (
    {ChangeKind.SAME, ChangeKind.SLOWER, ChangeKind.MEASURED_WORSE, ChangeKind.RENAMED},
    {ChangeKind.CHANGED, ChangeKind.NEWLY_SKIPPED},
)


@given(SIDES, SIDES, st.booleans())
def test_two_sides_swapped_mirror_each_other(one: Side, two: Side, flaky_fails: bool) -> None:
    """Regressed is fixed, new is removed, and a rename is one both ways."""
    there, back = (
        {
            (changes.environment, frozenset((change.test, change.renamed_from or change.test))): change.kind
            for changes in compare(*sides, flaky_fails=flaky_fails, durations=lambda *_: STEADY).environments
            for change in changes.changes
        }
        for sides in ((one, two), (two, one))
    )
    assert there.keys() == back.keys()
    for key, kind in there.items():
        loose = next((kinds for kinds in _BOTH_WAYS if kind in kinds), {_MIRROR.get(kind, kind)})
        assert back[key] in loose


def test_the_page_explains_every_kind() -> None:
    """Who adds a word says what it means."""
    page = Path(__file__).parents[3] / "docs/how-to/compare.md"
    assert [kind for kind in ChangeKind if f"`{kind}`" not in page.read_text(encoding="utf-8")] == []


def test_a_run_under_another_name_stands_for_its_environment(tmp_path: Path) -> None:
    """Compared with the environment's own run before; where that was run too, each stands for itself."""
    own = write_run(tmp_path / "a.jsonl", Attempt("a", Outcome.PASSED), environment="staging")
    other = replace(own, header=structs.replace(own.header, environment="pr-123", label="pr-123", base="staging"))
    assert Side.of("now", Matrix.from_runs([other])).places.keys() == {"staging"}
    assert Side.of("now", Matrix.from_runs([other])).places["staging"].label == "pr-123"
    assert Side.of("now", Matrix.from_runs([other, own])).places.keys() == {"staging", "pr-123"}
