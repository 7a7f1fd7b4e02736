"""Whether a series grows without an end, and how sure that is.

Mann-Kendall's test says whether it grows: it counts how many pairs of values are in order, so neither the shape of the growth
nor a few outliers matter. Theil-Sen's slope, the median over all pairs, says how fast. Both as in R. O. Gilbert, Statistical
Methods for Environmental Pollution Monitoring (1987), chapter 16.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

_FEWEST = 20
"""Points that say anything: the normal approximation holds from 10, and neighbours resemble each other."""

_MOST = 60
"""Points that are compared; of more, medians of neighbours, which also resemble each other less."""

_CERTAIN = 0.99
"""Confidence from which a growth is told: a run has some fifty series, and most tell nothing."""

_MUCH = 0.05
"""Share of the median by which a series must grow in the second half of a run."""

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Trend:
    """The growth of a series."""

    slope: float
    """Units a second."""
    confidence: float
    """Probability that chance alone would not order the values so, 0 to 1."""


def growth(points: Points) -> Trend | None:
    """Return the growth of a series that still goes on in the second half of its time; `None` where there is none.

    What only grows at first is warming up: a cache, a pool, a heap.
    """
    if not points:
        return None
    middle = (points[0][0] + points[-1][0]) / 2
    second = _thinned([point for point in points if point[0] >= middle])
    if len(second) < _FEWEST:
        return None
    trend = trend_of(second)
    grown = trend.slope * (second[-1][0] - second[0][0])
    is_much = grown >= max(1, _MUCH * abs(median(value for _, value in second)))
    return trend if is_much and trend.confidence >= _CERTAIN else None


def trend_of(points: Points) -> Trend:
    """Return the trend of at least three points, in the order of their times."""
    number = len(points)
    pairs = list(combinations(points, 2))
    score = sum((later > value) - (later < value) for (_, value), (_, later) in pairs)
    ties = Counter(value for _, value in points).values()
    variance = (_spread(number) - sum(map(_spread, ties))) / 18
    normal = max(0, abs(score) - 1) / math.sqrt(variance) if variance else 0.0
    slope = median((later - value) / (end - begin) for (begin, value), (end, later) in pairs if end > begin)
    return Trend(slope, 1 - math.erfc(normal / math.sqrt(2)))


def _spread(number: int) -> int:
    return number * (number - 1) * (2 * number + 5)


def _thinned(points: Points) -> Points:
    size = math.ceil(len(points) / _MOST)
    groups = [points[start : start + size] for start in range(0, len(points), max(1, size))]
    return [(median(at for at, _ in group), median(value for _, value in group)) for group in groups]
