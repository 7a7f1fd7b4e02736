"""What changed between two matrices, test by test. Pure: the same two sides always give the same answer.

A kind goes by outcomes alone, so that two sides swapped mirror each other. Whether something got worse for certain, which
the exit code says, goes by causes too: an outage shows no regression, and hides every one.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from envmatrix.matrix.norms import Norm, Numbers, WorseNumber, no_history, worse_numbers
from envmatrix.matrix.renames import renames
from envmatrix.matrix.table import Column, Matrix
from envmatrix.runs.cells import Cell, MissingRun, Run
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.rules import RuleCode


class ChangeKind(enum.StrEnum):
    """How a test changed from one side to the other, the most urgent first."""

    REGRESSED = "regressed"
    """Passed before, fails now."""
    FIXED = "fixed"
    """Failed before, passes now."""
    CAUSE_CHANGED = "cause_changed"
    """Fails as before, for another cause."""
    NEWLY_SKIPPED = "newly_skipped"
    """Had an outcome before, is skipped now."""
    CHANGED = "changed"
    """Ends otherwise than before in any other way: flaky, expected to fail, not run."""
    SLOWER = "slower"
    """Passes as before, and takes longer than the noise of its own history explains."""
    MEASURED_WORSE = "measured_worse"
    """Passes as before, and a number that it records is worse than the noise of its own history explains."""
    NEW = "new"
    """Not there before."""
    REMOVED = "removed"
    """Not there any more."""
    NOT_ASKED_FOR = "not_asked_for"
    """On one side only, and the other was narrowed: it may be new, gone, or only left out."""
    RENAMED = "renamed"
    """The same body under another name, and otherwise the same."""
    SAME = "same"
    """Ended as before."""


@dataclass(frozen=True, slots=True)
class Seen:
    """How a test ended on one side."""

    outcome: Outcome
    cause: Cause | None = None
    rule: str = ""
    summary: str = ""
    duration: float | None = None
    """Seconds; `None` where the side does not tell."""
    body: str = ""
    """Digest of the test's body; empty where the side does not tell."""
    measured: Mapping[str, float] = field(default_factory=dict)
    """The numbers that the test recorded."""

    @classmethod
    def of(cls, cell: Cell, body: str = "") -> Seen:
        """Return the compared and displayed parts of a cell."""
        rule, summary = (cell.evidence.rule, cell.evidence.summary) if cell.evidence else ("", "")
        return cls(cell.outcome, cell.cause, rule, summary or cell.reason, cell.duration, body, cell.measured)

    @property
    def is_lost(self) -> bool:
        """Return whether it says nothing about the product: not run, or failed for another reason."""
        blames_product = self.cause is not None and self.cause.blames_product
        return self.outcome is Outcome.NOT_RUN or (self.outcome is Outcome.FAILED and not blames_product)


@dataclass(frozen=True, slots=True)
class Place:
    """One environment of one side."""

    label: str
    cells: Mapping[str, Seen]
    gap: str = ""
    """Why the run is not conclusive, in one line: no run, cut short. Empty where it is."""
    started_at: str = ""
    """ISO 8601; empty where the side does not tell."""
    left_out: int = 0
    """Tests that were collected and then left out."""
    is_part: bool = False
    """Whether only a part of the suite was asked for."""

    @classmethod
    def of(cls, column: Column) -> Place:
        """Return the compared parts of a column."""
        run = column.run
        if isinstance(run, MissingRun):
            return cls(run.label, {}, run.reason)
        return cls(
            label=run.header.label,
            cells={test: Seen.of(cell, run.bodies.get(test, "")) for test, cell in run.cells.items()},
            gap=_gap(run, column.note),
            started_at=run.header.started_at,
            left_out=run.footer.deselected if run.footer else 0,
            is_part=bool(run.header.narrowed),
        )


def _gap(run: Run, note: str) -> str:
    if run.header.shard:
        return f"shard {run.header.shard} alone: envmatrix merge makes the whole"
    if run.header.narrowed:
        return f"a part of the suite was asked for: {' '.join(run.header.narrowed)}"
    if run.footer is None:
        return f"the run was cut short: {note or 'it has no footer'}"
    if uncollected := [finding for finding in run.findings if finding.rule == RuleCode.COLLECTION_FAILED]:
        return uncollected[0].message
    if run.mixed:
        return f"the run is mixed: under it, {run.mixed[0]}"
    return "" if run.cells else "the run holds no test"


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison."""

    name: str
    """As it was asked for: `baseline`, `last`, a path, a commit."""
    places: Mapping[str, Place]
    """By environment."""
    commit: str = ""

    @classmethod
    def of(cls, name: str, matrix: Matrix) -> Side:
        """Return the compared parts of a matrix.

        A run under another name stands for the environment that it is judged as, unless that was run itself.
        """
        own = {column.environment for column in matrix.columns}
        places = {
            column.environment if column.judged_as in own else column.judged_as: Place.of(column)
            for column in matrix.columns
        }
        return cls(name, places, ", ".join(commit[:12] for commit in matrix.commits) + " (dirty)" * matrix.dirty)


@dataclass(frozen=True, slots=True)
class Change:
    """One test in one environment, before and after."""

    test: str
    """Its name now; where it is removed, its last."""
    kind: ChangeKind
    before: Seen | None
    after: Seen | None
    renamed_from: str = ""
    """Its name before, where that was another: whatever the kind, no more than its name may have changed."""
    usual: float | None = None
    """Seconds that it took before, where it is slower."""
    numbers: tuple[WorseNumber, ...] = ()
    """What it measured, where that is worse."""


@dataclass(frozen=True)
class Changes:
    """One environment, before and after."""

    environment: str
    label: str
    changes: tuple[Change, ...]
    before: Place | None = field(repr=False)
    after: Place | None = field(repr=False)

    @cached_property
    def counts(self) -> Mapping[ChangeKind, int]:
        """Return the number of tests of each kind that there is, the most urgent first."""
        counted = Counter(change.kind for change in self.changes)
        return {kind: counted[kind] for kind in ChangeKind if counted[kind]}

    @property
    def gaps(self) -> tuple[str, ...]:
        """Return why either side is not conclusive, in one line each."""
        return tuple(
            f"{when}: {gap}"
            for when, place in (("before", self.before), ("after", self.after))
            if (gap := "there is no run" if place is None else place.gap)
        )

    @property
    def worse(self) -> tuple[Change, ...]:
        """Return the tests that fail by the product's fault, and did not before."""
        return tuple(change for change in self.changes if self._answer(change) == _WORSE)

    @property
    def unknown(self) -> bool:
        """Return whether something may be worse and the runs cannot tell."""
        if self.after is None or self.after.gap or not self.changes:
            return True
        left_out = self.after.left_out > (self.before.left_out if self.before else 0)
        return any(self._answer(change) == _UNKNOWN or (left_out and change.after is None) for change in self.changes)

    def _answer(self, change: Change) -> str:
        before, after = change.before, change.after
        if after is None:
            return _FINE
        if after.is_lost:
            return _UNKNOWN
        if change.kind is ChangeKind.REGRESSED:
            return _WORSE
        if after.outcome is not Outcome.FAILED or (before and before.outcome is Outcome.FAILED and not before.is_lost):
            return _FINE
        is_known = not before.is_lost if before else self.before is not None and not self.before.gap
        return _WORSE if is_known else _UNKNOWN


_FINE, _WORSE, _UNKNOWN = "fine", "worse", "unknown"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides, environment by environment."""

    before: Side
    after: Side
    environments: tuple[Changes, ...]
    """By name."""

    @property
    def counts(self) -> Mapping[ChangeKind, int]:
        """Return the number of cells of each kind that there is, the most urgent first."""
        counted = Counter(change.kind for each in self.environments for change in each.changes)
        return {kind: counted[kind] for kind in ChangeKind if counted[kind]}

    @property
    def exit_code(self) -> int:
        """Return what the command line ends with: 0 nothing is worse, 1 something is, 3 nobody can say."""
        if any(each.worse for each in self.environments):
            return 1
        return 3 if not self.environments or any(each.unknown for each in self.environments) else 0


Durations = Callable[[str, str, str], Sequence[float]]
"""Environment, test, moment → the seconds of its passed runs before that moment."""


def compare(
    before: Side,
    after: Side,
    *,
    durations: Durations = no_history,
    numbers: Numbers = no_history,
    flaky_fails: bool = False,
) -> Comparison:
    """Compare two sides; with `flaky_fails`, a test that is flaky now and passed before has regressed."""
    names = sorted(before.places.keys() | after.places.keys())
    pairs = {name: (before.places.get(name), after.places.get(name)) for name in names}
    return Comparison(
        before,
        after,
        tuple(_Pair(name, was, now, durations, numbers, flaky_fails).changes() for name, (was, now) in pairs.items()),
    )


@dataclass(frozen=True, slots=True)
class _Pair:
    """One environment of both sides."""

    environment: str
    before: Place | None
    after: Place | None
    durations: Durations
    numbers: Numbers
    flaky_fails: bool

    def changes(self) -> Changes:
        old, new = (place.cells if place else {} for place in (self.before, self.after))
        names = renames(
            {test: seen.body for test, seen in old.items() if test not in new},
            {test: seen.body for test, seen in new.items() if test not in old},
        )
        gone = (old.keys() - new.keys()) - set(names.values())
        found = [self._change(test, names.get(test, test), old.get(names.get(test, test)), new[test]) for test in new]
        removed = ChangeKind.NOT_ASKED_FOR if self.after and self.after.is_part else ChangeKind.REMOVED
        found += [Change(test, removed, seen, None) for test, seen in old.items() if test in gone]
        order = {kind: number for number, kind in enumerate(ChangeKind)}
        place = self.after or self.before
        label = place.label if place else self.environment
        found.sort(key=lambda change: order[change.kind])
        return Changes(self.environment, label, tuple(found), self.before, self.after)

    def _change(self, test: str, was: str, before: Seen | None, after: Seen) -> Change:
        if before is None:
            kind = ChangeKind.NOT_ASKED_FOR if self.before and self.before.is_part else ChangeKind.NEW
            return Change(test, kind, None, after)
        renamed_from = was if was != test else ""
        if (kind := self._kind(before, after)) is not ChangeKind.SAME:
            return Change(test, kind, before, after, renamed_from)
        if worse := self._worse_numbers(was, before, after):
            return Change(test, ChangeKind.MEASURED_WORSE, before, after, renamed_from, numbers=worse)
        if (norm := self._exceeded(was, before, after)) is not None:
            return Change(test, ChangeKind.SLOWER, before, after, renamed_from, norm.usual)
        return Change(test, ChangeKind.RENAMED if renamed_from else ChangeKind.SAME, before, after, renamed_from)

    def _kind(self, before: Seen, after: Seen) -> ChangeKind:
        if self._is_good(before) and self._is_bad(after):
            return ChangeKind.REGRESSED
        if self._is_bad(before) and self._is_good(after):
            return ChangeKind.FIXED
        if before.outcome is not after.outcome:
            has_ended = before.outcome is not Outcome.NOT_RUN
            return ChangeKind.NEWLY_SKIPPED if has_ended and after.outcome is Outcome.SKIPPED else ChangeKind.CHANGED
        failed = after.outcome is Outcome.FAILED
        return ChangeKind.CAUSE_CHANGED if failed and before.cause is not after.cause else ChangeKind.SAME

    def _is_bad(self, seen: Seen) -> bool:
        return seen.outcome is Outcome.FAILED or (self.flaky_fails and seen.outcome is Outcome.FLAKY)

    def _is_good(self, seen: Seen) -> bool:
        return seen.outcome.reached_end and not self._is_bad(seen)

    def _worse_numbers(self, was: str, before: Seen, after: Seen) -> tuple[WorseNumber, ...]:
        """Return the numbers that are worse than their history explains, and than they were before."""
        if after.outcome is not Outcome.PASSED or not after.measured or self.after is None:
            return ()
        earlier = self.numbers(self.after.label, was, self.after.started_at)
        found = worse_numbers(after.measured, earlier)
        return tuple(each for each in found if each.is_worse_than(before.measured.get(each.name)))

    def _exceeded(self, was: str, before: Seen, after: Seen) -> Norm | None:
        """Return the norm that a test exceeds: slower than its history allows, and than it was before."""
        took = after.duration
        if after.outcome is not Outcome.PASSED or took is None or self.after is None:
            return None
        if took <= (before.duration or 0.0) + Norm.LEAST_SECONDS:
            return None  # as most tests do: then nobody need ask the history
        norm = Norm.of(self.durations(self.environment, was, self.after.started_at))
        if norm is None or took <= norm.usual + norm.margin(Norm.LEAST_SECONDS):
            return None
        return norm if before.duration is None or took > before.duration + norm.margin(Norm.LEAST_SECONDS) else None
