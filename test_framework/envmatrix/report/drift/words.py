"""What the formats for people say of environments that differ."""

from __future__ import annotations

from collections.abc import Iterator

from envmatrix.matrix.drift import Difference, Drift, Split
from envmatrix.report.text import plural

NAMED = 20
"""Differences, and tests, to name of one split; the JSON format has all."""

_PAIR = 2


def answer(drift: Drift) -> str:
    """Return the answer in one line."""
    number = sum(len(split.differences) for split in drift.splits)
    if not number:
        return "unknown: there may be differences" if drift.unknown else "no difference"
    tests = len({test for split in drift.splits for test in split.results})
    return plural(number, "difference") + (f"; the results of {plural(tests, 'test')} go with some" if tests else "")


def service(difference: Difference) -> str:
    """Return whose trait it is."""
    return difference.service or "(tests)"


def values(split: Split, difference: Difference) -> Iterator[str]:
    """Yield the value of each group of sides."""
    return (difference.values[group[0]] or "(empty)" for group in split.groups)


def heads(drift: Drift, split: Split) -> Iterator[str]:
    """Yield the names of each group of sides."""
    return (", ".join(drift.sides[number] for number in group) for group in split.groups)


def result(drift: Drift, split: Split, test: str) -> str:
    """Return on how many sides a test passed, and failed: those with a value, or of several differences just which."""
    first, *more = split.differences
    trait = f"with {service(first)} {first.trait}"
    names = (
        (f"({each})" for each in heads(drift, split)) if more else (f"{trait} {each}" for each in values(split, first))
    )
    return ", ".join(
        f"{'passes' if passed else 'fails'} on {passed + failed} of {len(group)} {name}"
        for (passed, failed), group, name in zip(split.results[test], split.groups, names, strict=True)
        if passed or failed
    )


def no_result(drift: Drift, split: Split) -> str:
    """Say that no test's result goes with a split, where some go with another; else empty."""
    return "" if split.results or not drift.splits[0].results else "no test's result goes with this"


def caution(drift: Drift) -> str:
    """Return what to keep in mind of correlations; empty where there is none."""
    if not any(split.results for split in drift.splits):
        return ""
    text = "That a result goes with a difference is a correlation, and no cause."
    if len(drift.sides) > _PAIR:
        return text
    return f"{text} Of two sides all differences go with all such tests: name more to tell them apart."
