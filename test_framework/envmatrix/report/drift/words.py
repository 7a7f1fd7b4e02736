"""What the formats for people say of environments that differ."""

from __future__ import annotations

from collections.abc import Iterator

from envmatrix.matrix.drift import Difference, Drift, Split
from envmatrix.report.text import plural

NAMED = 20
"""Differences, and tests, to name of one split; the JSON format has all."""


def answer(drift: Drift) -> str:
    """Return the answer in one line."""
    number = sum(len(split.differences) for split in drift.splits)
    if not number:
        return "unknown: there may be differences" if drift.unknown else "no difference"
    tests = len({test for split in drift.splits for test in split.results})
    return f"{plural(number, 'difference')}, {plural(tests, 'test')} whose result goes with some"


def service(difference: Difference) -> str:
    """Return whose trait it is."""
    return difference.service or "(tests)"


def values(split: Split, difference: Difference) -> Iterator[str]:
    """Yield the value of each group of sides."""
    return (difference.values[group[0]] or "" for group in split.groups)


def heads(drift: Drift, split: Split) -> Iterator[str]:
    """Yield the names of each group of sides."""
    return (", ".join(drift.sides[number] for number in group) for group in split.groups)


def result(split: Split, test: str) -> str:
    """Return on how many sides a test passed, and failed, by the first difference that these have: no more than that."""
    first = split.differences[0]
    trait = f"{service(first)} {first.trait}"
    counted = zip(split.results[test], values(split, first), strict=True)
    parts = [
        f"{'passes' if passed else 'fails'} on the {passed + failed} with {trait} {value or repr(value)}"
        for (passed, failed), value in counted
        if passed or failed
    ]
    return ", ".join(parts)


CAUTION = "That a result goes with a difference is a correlation, and no cause."


def caution(drift: Drift) -> str:
    """Return what to keep in mind of correlations; empty where there is none."""
    if not any(split.results for split in drift.splits):
        return ""
    two = " Of two sides all differences go with all such tests: name more runs to tell them apart."
    return CAUTION + (two if len(drift.sides) == 2 else "")  # noqa: PLR2004  a pair
