"""What a test did over time in one environment, and what that says. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from statistics import median

from envmatrix.runs.outcomes import Cause, Outcome

_RECENT = 5
"""Passed runs whose median is a test's duration now; as many again, at least, are what it was before."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One test in one run."""

    test: str
    """What the test was called then."""
    environment: str
    label: str
    commit: str
    dirty: bool
    """The files differed from the commit: what it says is of no commit."""
    started_at: str
    """ISO 8601, UTC."""
    run_id: str
    outcome: Outcome
    cause: Cause | None
    rule: str
    summary: str
    duration: float
    """Seconds, all attempts together."""
    attempts: int

    @property
    def passed(self) -> bool:
        """Return whether it passed in the end."""
        return self.outcome.reached_end

    @property
    def failed(self) -> bool:
        """Return whether it failed by the product's fault."""
        return self.outcome is Outcome.FAILED and self.cause is not None and self.cause.blames_product

    @property
    def is_of_a_commit(self) -> bool:
        """Return whether it tells something about a commit."""
        return not self.dirty and self.commit != "unknown"


@dataclass(frozen=True)
class Timeline:
    """One test in one environment, the oldest run first.

    Runs that say nothing about the product, lost to an outage, skipped or not run, count in no rate.
    """

    environment: str
    entries: tuple[Entry, ...]
    order: Mapping[str, int]
    """Commit → its place among the others: parents before children where git knows them."""
    elsewhere: frozenset[str] = frozenset()
    """Commits of other branches: they are shown, and say nothing about since when it fails on this one."""

    @classmethod
    def of(
        cls,
        environment: str,
        entries: Sequence[Entry],
        order: Mapping[str, int] | None = None,
        elsewhere: Collection[str] = (),
    ) -> Timeline:
        """Make a timeline; commits that `order` does not know stand where they were first run."""
        return cls(environment, tuple(entries), _complete(order or {}, entries), frozenset(elsewhere))

    @classmethod
    def by_environment(
        cls, entries: Sequence[Entry], order: Mapping[str, int] | None = None, elsewhere: Collection[str] = ()
    ) -> tuple[Timeline, ...]:
        """Make a timeline of each environment, of entries that come by environment."""
        groups = groupby(entries, key=lambda entry: entry.environment)
        return tuple(cls.of(name, tuple(held), order, elsewhere) for name, held in groups)

    @cached_property
    def told(self) -> tuple[Entry, ...]:
        """Return the runs that say something about the product."""
        return tuple(entry for entry in self.entries if entry.passed or entry.failed)

    @property
    def pass_rate(self) -> float | None:
        """Return the share of those that passed, at the first try or a later one; `None` where there are none."""
        return sum(entry.passed for entry in self.told) / len(self.told) if self.told else None

    @property
    def flake_rate(self) -> float | None:
        """Return the share of those that were flaky: passed when tried again, or failed on a commit that also passed."""
        flaky = sum(entry.outcome is Outcome.FLAKY or (entry.failed and self._passed_too(entry)) for entry in self.told)
        return flaky / len(self.told) if self.told else None

    def _passed_too(self, entry: Entry) -> bool:
        return entry.is_of_a_commit and entry.commit in self._good

    @cached_property
    def _good(self) -> frozenset[str]:
        return frozenset(entry.commit for entry in self.entries if entry.passed and entry.is_of_a_commit)

    @cached_property
    def _bad(self) -> frozenset[str]:
        return frozenset(entry.commit for entry in self.entries if entry.failed and entry.is_of_a_commit) - self._good

    @property
    def last_good(self) -> str:
        """Return the last commit at which it passed; empty where there is none. Uncommitted changes tell nothing."""
        return max(self._good - self.elsewhere, key=self.order.__getitem__, default="")

    @property
    def first_bad(self) -> str:
        """Return the first commit after the last good one at which it failed; empty where it fails at none."""
        after = self.order[self.last_good] if self.last_good else -1
        bad = (commit for commit in self._bad - self.elsewhere if self.order[commit] > after)
        return min(bad, key=self.order.__getitem__, default="")

    @property
    def duration(self) -> float | None:
        """Return the seconds that it takes now: the median of its last passed runs; `None` where it never passed."""
        return median(self._durations[-_RECENT:]) if self._durations else None

    @property
    def trend(self) -> float | None:
        """Return how much longer that is than before, as a share: 0.25 is a quarter; `None` with too few runs to tell."""
        before = self._durations[:-_RECENT]
        if len(before) < _RECENT or self.duration is None or not median(before):
            return None
        return self.duration / median(before) - 1

    @cached_property
    def _durations(self) -> tuple[float, ...]:
        return tuple(entry.duration for entry in self.entries if entry.outcome is Outcome.PASSED)


def _complete(order: Mapping[str, int], entries: Sequence[Entry]) -> Mapping[str, int]:
    """Place every commit: those known by their order, others right after what was run before them."""
    sequence = list(dict.fromkeys(entry.commit for entry in entries))
    known = iter(sorted((commit for commit in sequence if commit in order), key=order.__getitem__))
    placed = [next(known) if commit in order else commit for commit in sequence]
    return {commit: number for number, commit in enumerate(placed)}
