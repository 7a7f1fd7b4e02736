"""One suite cut into shards."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envmatrix.exceptions import UsageError
from envmatrix.runs.shards import Shard, cut, cut_digest

NAMES = st.lists(st.text(max_size=8), unique=True, max_size=40)
SECONDS = st.floats(0, 10_000)


@given(
    st.lists(st.tuples(st.text(max_size=8), SECONDS), unique_by=lambda test: test[0], max_size=60), st.integers(1, 9)
)
def test_shards_are_complete_disjoint_and_balanced(tests: list[tuple[str, float]], total: int) -> None:
    """Each test is in exactly one; no shard takes longer than another by more than the longest test."""
    numbers = cut([name for name, _ in tests], dict(tests), total)
    assert len(numbers) == len(tests)
    loads = dict.fromkeys(range(1, total + 1), 0.0)
    for (_, seconds), number in zip(tests, numbers, strict=True):
        loads[number] += seconds
    longest = max((seconds for _, seconds in tests), default=0.0)
    assert max(loads.values()) - min(loads.values()) <= longest + 1e-3  # what is left of 60 roundings


@given(NAMES, st.dictionaries(st.text(max_size=8), SECONDS), st.integers(1, 9), st.randoms())
def test_the_order_of_collection_plays_no_part(
    tests: list[str], durations: dict[str, float], total: int, chance: random.Random
) -> None:
    """A suite that is shuffled, otherwise on each machine, is cut alike; so is its digest."""
    numbers = dict(zip(tests, cut(tests, durations, total), strict=True))
    shuffled = chance.sample(tests, len(tests))
    again = dict(zip(shuffled, cut(shuffled, durations, total), strict=True))
    assert again == numbers
    assert cut_digest(again, again.values()) == cut_digest(numbers, numbers.values())


def test_without_durations_shards_are_of_equal_number() -> None:
    """Nothing is known of any test: each counts as much as another."""
    numbers = cut([f"t{n}" for n in range(10)], {}, 3)
    assert sorted(map(numbers.count, (1, 2, 3))) == [3, 3, 4]


def test_an_unknown_test_counts_as_the_median() -> None:
    """One that is new is taken to be ordinary, neither free nor the longest."""
    numbers = cut(["long", "a", "b", "new"], {"long": 3.0, "a": 1.0, "b": 1.0}, 2)
    assert numbers == (1, 2, 2, 2)


def test_what_is_known_of_other_tests_plays_no_part() -> None:
    """A file of durations may hold what is not collected here."""
    assert cut(["a", "b"], {"gone": 1e9}, 2) == cut(["a", "b"], {}, 2)


def test_more_shards_than_tests_leave_some_empty() -> None:
    """Nobody gets a test twice."""
    assert sorted(cut(["a", "b"], {}, 5)) == [1, 2]


def test_another_cut_has_another_digest() -> None:
    """One test in another shard, or one test more, is enough."""
    cuts = [(["a", "b"], [1, 2]), (["a", "b"], [1, 1]), (["a", "b", "c"], [1, 2, 1])]
    assert len({cut_digest(tests, numbers) for tests, numbers in cuts}) == 3


@pytest.mark.parametrize("text", ["", "2", "0/4", "5/4", "1/0", "-1/4", "a/b", "1/4/2", "1 / 4", "٢/٤", "1/9999999"])
def test_what_is_no_part_of_a_whole_is_refused(text: str) -> None:
    """One line with an example."""
    with pytest.raises(UsageError) as caught:
        Shard.parse(text)
    assert str(caught.value) == f"no shard {text!r}. Write 2/4 for the second of four"


GITLAB = {"CI_NODE_INDEX": "2", "CI_NODE_TOTAL": "4"}
KUBERNETES = {"JOB_COMPLETION_INDEX": "0", "MATRIX_SHARDS": "3"}


@pytest.mark.parametrize(
    ("text", "variables", "shard"),
    [
        ("3/4", GITLAB, Shard(3, 4)),
        ("1/1", GITLAB, None),
        (None, GITLAB, Shard(2, 4)),
        (None, KUBERNETES, Shard(1, 3)),
        (None, GITLAB | {"CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "1"}, None),
        (None, {"JOB_COMPLETION_INDEX": "2"}, None),
        (None, {"CI_NODE_INDEX": "2"}, None),
        (None, {}, None),
    ],
)
def test_the_option_comes_before_a_ci_systems_variables(
    text: str | None, variables: dict[str, str], shard: Shard | None
) -> None:
    """GitLab counts from 1, Kubernetes from 0 and without a total; one of one is the whole."""
    assert Shard.chosen(text, variables) == shard


@pytest.mark.parametrize(
    "variables",
    [GITLAB | {"CI_NODE_INDEX": "0"}, GITLAB | {"CI_NODE_INDEX": "5"}, KUBERNETES | {"JOB_COMPLETION_INDEX": "3"}],
)
def test_variables_that_make_no_sense_are_refused(variables: dict[str, str]) -> None:
    """The variables are named, and where they count from."""
    with pytest.raises(UsageError, match=r"no shard \w+_INDEX=\d of \w+=\d\. \w+_INDEX counts from [01]\. Set both"):
        Shard.chosen(None, variables)
