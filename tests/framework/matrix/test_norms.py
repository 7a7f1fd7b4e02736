"""When a value is worse than its own history explains."""

import pytest

from envmatrix.matrix.norms import LEAST_NUMBERS, Norm, WorseNumber, worse_numbers

STEADY = [30.0, 31.0, 29.0, 30.5, 29.5, 30.0, 30.2, 29.8, 30.1, 29.9]
NOISY = [20.0, 40.0, 30.0, 25.0, 35.0, 22.0, 38.0, 28.0, 32.0, 30.0]


def test_a_norm_needs_enough_runs() -> None:
    """Five durations, and ten of what a test measures."""
    assert Norm.of(STEADY[:4]) is None
    assert Norm.of(STEADY[:5]) == Norm(30.0, 0.5)
    assert worse_numbers({"login_ms": 900.0}, [{"login_ms": each} for each in STEADY[1:]]) == ()
    assert len(STEADY) == LEAST_NUMBERS


@pytest.mark.parametrize(
    ("history", "value", "is_worse"),
    [
        (STEADY, 37.0, False),
        (STEADY, 38.0, True),
        (STEADY, 10.0, False),
        (NOISY, 59.0, False),
        (NOISY, 61.0, True),
        ([*STEADY, 900.0, 900.0], 38.0, True),
        ([0.0] * 10, 0.0, False),
    ],
)
def test_worse_is_what_leaves_the_noise_of_its_own_history(history: list[float], value: float, is_worse: bool) -> None:
    """By six median deviations and by a quarter; old outliers move nothing."""
    found = worse_numbers({"login_ms": value}, [{"login_ms": each} for each in history])
    assert bool(found) is is_worse


@pytest.mark.parametrize(
    ("name", "less", "more"),
    [
        ("login_ms", False, True),
        ("start_s", False, True),
        ("start_seconds", False, True),
        ("answer_bytes", False, True),
        ("runs_per_second", True, False),
        ("orders", False, False),
    ],
)
def test_the_unit_in_a_name_tells_which_way_is_worse(name: str, less: bool, more: bool) -> None:
    """A number without a known unit is recorded, and never judged."""
    history = [{name: 100.0}] * 10
    assert [bool(worse_numbers({name: value}, history)) for value in (10.0, 900.0)] == [less, more]


def test_a_number_is_compared_with_runs_that_recorded_it() -> None:
    """Others count for nothing."""
    history = [{"login_ms": 30.0}, {"history_ms": 5.0}] * 10
    (found,) = worse_numbers({"login_ms": 90.0, "new_ms": 1.0}, history)
    assert found == WorseNumber("login_ms", 90.0, 30.0, 7.5, 10)
    assert str(found) == "login_ms 90, usually 30 (10 runs)"
