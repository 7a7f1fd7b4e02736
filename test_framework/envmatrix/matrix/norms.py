"""Whether a value is worse than its own history explains. Pure.

The usual value is the median of earlier runs and the noise the median deviation from it, which one outlier does not move:
Leys and others, "Detecting outliers: Do not use standard deviation around the mean, use absolute deviation around the
median", Journal of Experimental Social Psychology 49 (2013).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Norm:
    """What a test usually takes or measures: the median of its earlier passed runs, and the noise around it."""

    usual: float
    noise: float
    """The median of how far each run was from the usual. One slow run does not move it."""

    LEAST_RUNS: ClassVar = 5
    """With fewer the noise is a guess: of 5, two may be outliers and the median still holds."""
    _DEVIATIONS: ClassVar = 6.0
    """About four standard deviations of a normal distribution: in 10,000 tests one false alarm in three comparisons."""
    _LEAST_SHARE: ClassVar = 0.25
    """Of the usual: a quieter change than that is not worth a person's time."""
    LEAST_SECONDS: ClassVar = 0.1
    """A busy machine's scheduler alone is good for that much."""

    @classmethod
    def of(cls, values: Sequence[float], least_runs: int = LEAST_RUNS) -> Norm | None:
        """Return the norm of some values; `None` for too few."""
        if len(values) < least_runs:
            return None
        usual = median(values)
        return cls(usual, median(abs(value - usual) for value in values))

    def margin(self, least: float = 0.0) -> float:
        """Return how far from the usual a value may be and still be noise, at least `least`."""
        return max(self._DEVIATIONS * self.noise, self._LEAST_SHARE * abs(self.usual), least)


@dataclass(frozen=True, slots=True)
class WorseNumber:
    """A number that a test recorded, and that is worse than its earlier runs explain."""

    name: str
    """It ends in its unit, which tells whether more is worse: `login_ms`, `runs_per_second`."""
    value: float
    usual: float
    margin: float
    """How much worse than the usual may still be noise."""
    runs: int
    """Earlier runs that it was compared with."""

    def __str__(self) -> str:
        return f"{self.name} {self.value:g}, usually {self.usual:g} ({self.runs} runs)"

    def is_worse_than(self, before: float | None) -> bool:
        """Return whether it is worse than an earlier value by more than the noise; than an unknown one it is."""
        return before is None or _worse_by(self.name, self.value, before) > self.margin


LEAST_NUMBERS = 10
"""Earlier runs that a number needs: of normal noise 1 value in 100 is then called worse, after 30 runs 1 in 1,000.

By simulation; of 5 runs it would be 1 in 20, and a matrix holds dozens of numbers."""

_LESS_IS_WORSE = "_per_second"
_MORE_IS_WORSE = ("_ms", "_s", "_seconds", "_bytes")


Numbers = Callable[[str, str, str], Sequence[Mapping[str, float]]]
"""Label of an environment, test, moment → what each of its passed runs before that moment measured."""


def no_history(*_: str) -> tuple[()]:
    """Return no earlier run: without a history nothing is slower, or measured worse."""
    return ()


def worse_numbers(measured: Mapping[str, float], earlier: Sequence[Mapping[str, float]]) -> tuple[WorseNumber, ...]:
    """Return the numbers that are worse than earlier runs explain; one whose name does not end in a known unit never is."""
    return tuple(_worse_numbers(measured, earlier))


def _worse_numbers(measured: Mapping[str, float], earlier: Sequence[Mapping[str, float]]) -> Iterator[WorseNumber]:
    for name, value in measured.items():
        past = [numbers[name] for numbers in earlier if name in numbers]
        norm = Norm.of(past, LEAST_NUMBERS)
        if norm is not None and _worse_by(name, value, norm.usual) > norm.margin():
            yield WorseNumber(name, value, norm.usual, norm.margin(), len(past))


def _worse_by(name: str, value: float, other: float) -> float:
    """Return by how much a value is worse than another; zero where the name does not tell which is."""
    if name.endswith(_LESS_IS_WORSE):
        return other - value
    return value - other if name.endswith(_MORE_IS_WORSE) else 0.0
