"""The cells of one test over time, and what they say about it. Pure."""

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
class PastCell:
    """One test in one recorded run."""

    test: str
    """The name of the test at that time."""
    environment: str
    label: str
    commit: str
    dirty: bool
    """Whether files differed from the commit: the cell is then evidence of no commit."""
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
        """Return whether the last attempt passed."""
        return self.outcome.reached_end

    @property
    def failed(self) -> bool:
        """Return whether the test failed because of the product or the test."""
        return self.outcome is Outcome.FAILED and self.cause is not None and self.cause.blames_product

    @property
    def is_evidence(self) -> bool:
        """Return whether the cell is evidence about its commit."""
        return not self.dirty and self.commit != "unknown"


@dataclass(frozen=True, slots=True)
class PastRun:
    """One recorded run, as counts."""

    run_id: str
    commit: str
    dirty: bool
    started_at: str
    """ISO 8601, UTC."""
    seconds: float | None
    """How long it took; `None` where it was cut off."""
    counts: Mapping[Outcome, int]
    """Of its own cells: reused ones are counted where they were run."""


@dataclass(frozen=True)
class Timeline:
    """One test in one environment, the oldest run first.

    Cells that say nothing about the product (an outage, skipped, not run) count in no rate.
    """

    environment: str
    cells: tuple[PastCell, ...]
    order: Mapping[str, int]
    """Commit → its number: parents before children if git knows them."""
    elsewhere: frozenset[str] = frozenset()
    """Commits of other branches: they are shown, and do not count for the first bad commit."""

    @classmethod
    def of(
        cls,
        environment: str,
        cells: Sequence[PastCell],
        order: Mapping[str, int] | None = None,
        elsewhere: Collection[str] = (),
    ) -> Timeline:
        """Make a timeline; commits that `order` does not know stand where they were first run."""
        return cls(environment, tuple(cells), _complete(order or {}, cells), frozenset(elsewhere))

    @classmethod
    def by_environment(
        cls, cells: Sequence[PastCell], order: Mapping[str, int] | None = None, elsewhere: Collection[str] = ()
    ) -> tuple[Timeline, ...]:
        """Make a timeline of each environment, of cells that are sorted by environment."""
        groups = groupby(cells, key=lambda cell: cell.environment)
        return tuple(cls.of(name, tuple(group), order, elsewhere) for name, group in groups)

    @cached_property
    def decisive(self) -> tuple[PastCell, ...]:
        """Return the cells that say something about the product."""
        return tuple(cell for cell in self.cells if cell.passed or cell.failed)

    @property
    def pass_rate(self) -> float | None:
        """Return the share of decisive cells that passed in the end; `None` if there are none."""
        return sum(cell.passed for cell in self.decisive) / len(self.decisive) if self.decisive else None

    @property
    def flake_rate(self) -> float | None:
        """Return the share of decisive cells that were flaky: passed on a retry, or failed on a commit that also passed."""
        flaky = sum(cell.outcome is Outcome.FLAKY or (cell.failed and self._passed_too(cell)) for cell in self.decisive)
        return flaky / len(self.decisive) if self.decisive else None

    def _passed_too(self, cell: PastCell) -> bool:
        return cell.is_evidence and cell.commit in self._good

    @cached_property
    def _good(self) -> frozenset[str]:
        return frozenset(cell.commit for cell in self.cells if cell.passed and cell.is_evidence)

    @cached_property
    def _bad(self) -> frozenset[str]:
        return frozenset(cell.commit for cell in self.cells if cell.failed and cell.is_evidence) - self._good

    @property
    def last_good(self) -> str:
        """Return the last commit at which the test passed; empty if there is none. Dirty runs do not count."""
        return max(self._good - self.elsewhere, key=self.order.__getitem__, default="")

    @property
    def first_bad(self) -> str:
        """Return the first commit after the last good one at which the test failed; empty if there is none."""
        after = self.order[self.last_good] if self.last_good else -1
        bad = (commit for commit in self._bad - self.elsewhere if self.order[commit] > after)
        return min(bad, key=self.order.__getitem__, default="")

    @property
    def duration(self) -> float | None:
        """Return the median seconds of the last passed runs; `None` if there are none."""
        return median(self._durations[-_RECENT:]) if self._durations else None

    @property
    def trend(self) -> float | None:
        """Return how much longer the test takes than before, as a share: 0.25 is a quarter; `None` if too few runs."""
        before = self._durations[:-_RECENT]
        if len(before) < _RECENT or self.duration is None or not median(before):
            return None
        return self.duration / median(before) - 1

    @cached_property
    def _durations(self) -> tuple[float, ...]:
        return tuple(cell.duration for cell in self.cells if cell.outcome is Outcome.PASSED)


def _complete(order: Mapping[str, int], cells: Sequence[PastCell]) -> Mapping[str, int]:
    """Number every commit: known ones by their order, others right after the commit that was run before them."""
    sequence = list(dict.fromkeys(cell.commit for cell in cells))
    known = iter(sorted((commit for commit in sequence if commit in order), key=order.__getitem__))
    placed = [next(known) if commit in order else commit for commit in sequence]
    return {commit: number for number, commit in enumerate(placed)}
