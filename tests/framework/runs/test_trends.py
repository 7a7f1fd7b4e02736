"""What grows without an end is told from what warms up, jumps or only shakes."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from envmatrix.runs.trends import growth, trend_of

SHAKE = random.Random(7)
"""Noise that is the same each time."""


def points(value: Callable[[int], float], number: int = 100) -> list[tuple[float, float]]:
    """A value each second."""
    return [(float(second), value(second)) for second in range(number)]


def test_a_trend_has_the_slope_and_the_confidence_of_the_textbook() -> None:
    """Ten rising values: S = 45, its variance 125, so z = 44 / 11.18 and p = 8.3e-5, two-sided; an outlier moves no slope."""
    trend = trend_of(points(lambda second: 3.0 * second, 10))
    assert trend.slope == pytest.approx(3.0)
    assert 1 - trend.confidence == pytest.approx(8.303e-5, rel=1e-3)
    assert trend_of(points(lambda second: 1e9 if second == 5 else 3.0 * second, 10)).slope == pytest.approx(3.0)


def test_equal_values_have_no_trend() -> None:
    """Ties all over: no variance, and no division by it."""
    assert trend_of(points(lambda _: 5.0, 10)) == trend_of([(0.0, 1.0), (1.0, 1.0), (2.0, 1.0)])


def test_a_falling_series_grows_not() -> None:
    """It is as sure, and the other way."""
    assert growth(points(lambda second: 1000.0 - second)) is None


def test_a_steady_growth_is_told_with_its_speed() -> None:
    """A leak of 2 a second under noise that is as large."""
    leak = growth(points(lambda second: 100 + 2 * second + SHAKE.uniform(-10, 10)))
    assert leak is not None
    assert leak.slope == pytest.approx(2, rel=0.2)
    assert leak.confidence > 0.99


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(lambda second: 100 * (1 - math.exp(-second / 8)), id="warms up"),
        pytest.param(lambda second: 100.0 if second < 60 else 150.0, id="jumps once"),
        pytest.param(lambda second: 100 + second % 10, id="is emptied again and again"),
        pytest.param(lambda second: 1000 + second * 0.1, id="grows by next to nothing"),
    ],
)
def test_what_does_not_go_on_is_no_leak(value: Callable[[int], float]) -> None:
    """Caches fill, pools are opened, garbage is collected."""
    assert growth(points(value)) is None


def test_noise_is_seldom_taken_for_a_leak() -> None:
    """Of 200 series without a trend, at most as many as the confidence allows by chance, twice over."""
    told = [growth(points(lambda _: SHAKE.gauss(100, 30))) for _ in range(200)]
    assert sum(each is not None for each in told) <= 4


def test_a_short_run_tells_nothing() -> None:
    """Fewer than 20 samples in its second half."""
    assert growth(points(float, 30)) is None
    assert growth([]) is None
