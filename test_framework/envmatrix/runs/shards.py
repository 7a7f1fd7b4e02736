"""One suite cut into shards, the same on every machine: pure, and balanced by what each test took last time."""

from __future__ import annotations

import hashlib
import heapq
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from envmatrix.exceptions import UsageError

_MICROSECONDS = 1_000_000
"""Loads are summed as whole numbers: a sum of fractions depends on its order."""

_VARIABLES = (
    ("CI_NODE_INDEX", "CI_NODE_TOTAL", 1),  # GitLab's, in jobs with `parallel`
    ("JOB_COMPLETION_INDEX", "MATRIX_SHARDS", 0),  # Kubernetes' in an Indexed Job, and ours: it tells no total
)
"""The variable of the index, the variable of the total, and where the index begins."""


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """One part of a suite."""

    number: int
    """From 1."""
    total: int

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `2/4`.

        Raises:
            UsageError: it is no part of a whole.
        """
        found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise UsageError(f"no shard {text!r}", "Write 2/4 for the second of four")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def chosen(cls, text: str | None, variables: Mapping[str, str]) -> Self | None:
        """Return the shard that an option or, without one, a CI system's variables ask for; `None` for the whole.

        Raises:
            UsageError: what they say is no part of a whole.
        """
        if text is not None:
            return cls.parse(text).part
        for index, total, first in _VARIABLES:
            if (number := variables.get(index)) and (of := variables.get(total)):
                if not (number.isdecimal() and of.isdecimal() and first <= int(number) < int(of) + first):
                    how = f"{index} counts from {first}. Set both right, or give --shard"
                    raise UsageError(f"no shard {index}={number} of {total}={of}", how)
                return cls(int(number) - first + 1, int(of)).part
        return None

    @property
    def part(self) -> Self | None:
        """Return it, or `None` where it is the whole."""
        return None if self.total == 1 else self


def cut(tests: Sequence[str], durations: Mapping[str, float], total: int) -> tuple[int, ...]:
    """Return the shard, from 1, of each test; shards take equally long but for at most the longest test.

    The longest test goes first, each to the shard that has least to do. A test that `durations` does not know counts as
    the median of those it knows. The order of the tests plays no part, except between tests of one name.
    """
    known = {test: round(durations[test] * _MICROSECONDS) for test in tests if test in durations}
    median = statistics.median_low(known.values()) if known else 1
    lengths = [known.get(test, median) for test in tests]
    shards = [(0, 0, number) for number in range(1, total + 1)]  # its load, its tests, its number: a heap
    found = [0] * len(tests)
    for position in sorted(range(len(tests)), key=lambda position: (-lengths[position], tests[position])):
        load, count, number = shards[0]
        found[position] = number
        heapq.heapreplace(shards, (load + lengths[position], count + 1, number))
    return tuple(found)


def cut_digest(tests: Iterable[str], numbers: Iterable[int]) -> str:
    """Return the SHA-256, in hexadecimal digits, of which test went where, in whatever order they stand."""
    lines = sorted(f"{test}\n{number}\n" for test, number in zip(tests, numbers, strict=True))
    return hashlib.sha256("".join(lines).encode(errors="surrogatepass")).hexdigest()
