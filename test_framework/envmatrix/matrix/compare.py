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
from statistics import median

from envmatrix.matrix.table import Column, Matrix
from envmatrix.runs.cells import Cause, Cell, MissingRun, Outcome, Run


class Kind(enum.StrEnum):
    """What became of a test from one side to the other, the most urgent first."""

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
    NEW = "new"
    """Not there before."""
    REMOVED = "removed"
    """Not there any more."""
    NOT_ASKED_FOR = "not_asked_for"
    """On one side only, and the other was asked for a part of the suite: whether it is new or gone nobody knows."""
    RENAMED = "renamed"
    """The same body under another name, and otherwise the same."""
    SAME = "same"
    """Ended as before."""


_GOOD = frozenset({Outcome.PASSED, Outcome.FLAKY, Outcome.XPASSED})
_BAD = frozenset({Outcome.FAILED})
_OF_THE_PRODUCT = frozenset({Cause.LOGIC, Cause.CONTRACT})
"""Causes that say something about the change; the others say that nobody knows."""


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

    @classmethod
    def of(cls, cell: Cell, body: str = "") -> Seen:
        """Keep of a cell what is compared, and what a person wants to read."""
        rule, summary = (cell.evidence.rule, cell.evidence.summary) if cell.evidence else ("", "")
        return cls(cell.outcome, cell.cause, rule, summary or cell.reason, cell.duration, body)

    @property
    def is_lost(self) -> bool:
        """Return whether it says nothing about the product: not run, or failed for want of something else."""
        failed = self.outcome is Outcome.FAILED and self.cause not in _OF_THE_PRODUCT
        return failed or self.outcome is Outcome.NOT_RUN


@dataclass(frozen=True, slots=True)
class Place:
    """One environment of one side."""

    label: str
    cells: Mapping[str, Seen]
    gap: str = ""
    """Why it cannot tell everything, in one line: no run, cut short."""
    started_at: str = ""
    """ISO 8601; empty where the side does not tell."""
    left_out: int = 0
    """Tests that were collected and then left out."""
    is_part: bool = False
    """Whether only a part of the suite was asked for."""

    @classmethod
    def of(cls, column: Column) -> Place:
        """Keep of a column what is compared."""
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
    if uncollected := [finding for finding in run.findings if finding.rule == "H304"]:
        return uncollected[0].message
    if run.redeployed:
        return f"the deployment changed under the run: {run.redeployed[0]}"
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
        """Keep of a matrix what is compared."""
        places = {column.environment: Place.of(column) for column in matrix.columns}
        return cls(name, places, ", ".join(commit[:12] for commit in matrix.commits) + " (dirty)" * matrix.dirty)


@dataclass(frozen=True, slots=True)
class Norm:
    """How long a test usually takes: the median of its earlier passed runs, and the noise around it."""

    usual: float
    """Seconds."""
    noise: float
    """Seconds: the median of how far each run was from the usual. One slow run does not move it."""

    LEAST_RUNS = 5
    """With fewer the noise is a guess: of 5, two may be outliers and the median still holds."""
    _DEVIATIONS = 6.0
    """About four standard deviations of a normal distribution: in 10,000 tests one false alarm in three comparisons."""
    _LEAST_SHARE = 0.25
    """Of the usual: a quieter test than that is not worth a person's time."""
    LEAST_SECONDS = 0.1
    """A busy machine's scheduler alone is good for that much."""

    @classmethod
    def of(cls, durations: Sequence[float]) -> Norm | None:
        """Return the norm of some durations in seconds; `None` for too few."""
        if len(durations) < cls.LEAST_RUNS:
            return None
        usual = median(durations)
        return cls(usual, median(abs(duration - usual) for duration in durations))

    @property
    def margin(self) -> float:
        """Return the seconds above the usual that may still be noise."""
        return max(self._DEVIATIONS * self.noise, self._LEAST_SHARE * self.usual, self.LEAST_SECONDS)


@dataclass(frozen=True, slots=True)
class Change:
    """One test in one environment, before and after."""

    test: str
    """Its name now; where it is removed, its last."""
    kind: Kind
    before: Seen | None
    after: Seen | None
    renamed_from: str = ""
    """Its name before, where that was another: whatever the kind, no more than its name may have changed."""
    usual: float | None = None
    """Seconds that it took before, where it is slower."""


@dataclass(frozen=True)
class Changes:
    """One environment, before and after."""

    environment: str
    label: str
    changes: tuple[Change, ...]
    before: Place | None = field(repr=False)
    after: Place | None = field(repr=False)

    @cached_property
    def counts(self) -> Mapping[Kind, int]:
        """Return the number of tests of each kind that there is, the most urgent first."""
        counted = Counter(change.kind for change in self.changes)
        return {kind: counted[kind] for kind in Kind if counted[kind]}

    @property
    def gaps(self) -> tuple[str, ...]:
        """Say what nobody knows, in one line each."""
        return tuple(
            f"{when}: {gap}"
            for when, place in (("before", self.before), ("after", self.after))
            if (gap := "there is no run" if place is None else place.gap)
        )

    @property
    def worse(self) -> tuple[Change, ...]:
        """Return what is worse for certain: it fails by the product's fault, and did not before."""
        return tuple(change for change in self.changes if self._says(change) == _WORSE)

    @property
    def unknown(self) -> bool:
        """Return whether something may be worse and nobody can say."""
        if self.after is None or self.after.gap or not self.changes:
            return True
        left_out = self.after.left_out > (self.before.left_out if self.before else 0)
        return any(self._says(change) == _UNKNOWN or (left_out and change.after is None) for change in self.changes)

    def _says(self, change: Change) -> str:
        before, after = change.before, change.after
        if after is None:
            return _FINE
        if after.is_lost:
            return _UNKNOWN
        if change.kind is Kind.REGRESSED:
            return _WORSE
        if after.outcome is not Outcome.FAILED or (before and before.outcome is Outcome.FAILED and not before.is_lost):
            return _FINE
        tells = not before.is_lost if before else self.before is not None and not self.before.gap
        return _WORSE if tells else _UNKNOWN


_FINE, _WORSE, _UNKNOWN = "fine", "worse", "unknown"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides, environment by environment."""

    before: Side
    after: Side
    environments: tuple[Changes, ...]
    """By name."""

    @property
    def counts(self) -> Mapping[Kind, int]:
        """Return the number of cells of each kind that there is, the most urgent first."""
        counted = Counter(change.kind for each in self.environments for change in each.changes)
        return {kind: counted[kind] for kind in Kind if counted[kind]}

    @property
    def exit_code(self) -> int:
        """Return what the command line ends with: 0 nothing is worse, 1 something is, 3 nobody can say."""
        if any(each.worse for each in self.environments):
            return 1
        return 3 if not self.environments or any(each.unknown for each in self.environments) else 0


Durations = Callable[[str, str, str], Sequence[float]]
"""Environment, test, moment → the seconds of its passed runs before that moment."""


def no_history(*_: str) -> Sequence[float]:
    """Know of no earlier run: then nothing is slower."""
    return ()


def compare(before: Side, after: Side, *, durations: Durations = no_history, flaky_fails: bool = False) -> Comparison:
    """Compare two sides; with `flaky_fails`, a test that is flaky now and passed before has regressed."""
    names = sorted(before.places.keys() | after.places.keys())
    pairs = {name: (before.places.get(name), after.places.get(name)) for name in names}
    return Comparison(
        before,
        after,
        tuple(_Pair(name, was, now, durations, flaky_fails).changes() for name, (was, now) in pairs.items()),
    )


@dataclass(frozen=True, slots=True)
class _Pair:
    """One environment of both sides, about to be compared."""

    environment: str
    before: Place | None
    after: Place | None
    durations: Durations
    flaky_fails: bool

    def changes(self) -> Changes:
        old, new = (place.cells if place else {} for place in (self.before, self.after))
        names = renames(
            {test: seen.body for test, seen in old.items() if test not in new},
            {test: seen.body for test, seen in new.items() if test not in old},
        )
        gone = (old.keys() - new.keys()) - set(names.values())
        found = [self._change(test, names.get(test, test), old.get(names.get(test, test)), new[test]) for test in new]
        removed = Kind.NOT_ASKED_FOR if self.after and self.after.is_part else Kind.REMOVED
        found += [Change(test, removed, seen, None) for test, seen in old.items() if test in gone]
        order = {kind: number for number, kind in enumerate(Kind)}
        place = self.after or self.before
        label = place.label if place else self.environment
        found.sort(key=lambda change: order[change.kind])
        return Changes(self.environment, label, tuple(found), self.before, self.after)

    def _change(self, test: str, was: str, before: Seen | None, after: Seen) -> Change:
        if before is None:
            kind = Kind.NOT_ASKED_FOR if self.before and self.before.is_part else Kind.NEW
            return Change(test, kind, None, after)
        renamed_from = was if was != test else ""
        if (kind := self._kind(before, after)) is not Kind.SAME:
            return Change(test, kind, before, after, renamed_from)
        if (norm := self._exceeded(was, before, after)) is not None:
            return Change(test, Kind.SLOWER, before, after, renamed_from, norm.usual)
        return Change(test, Kind.RENAMED if renamed_from else Kind.SAME, before, after, renamed_from)

    def _kind(self, before: Seen, after: Seen) -> Kind:
        good = _GOOD - {Outcome.FLAKY} if self.flaky_fails else _GOOD
        bad = _BAD | {Outcome.FLAKY} if self.flaky_fails else _BAD
        if before.outcome in good and after.outcome in bad:
            return Kind.REGRESSED
        if before.outcome in bad and after.outcome in good:
            return Kind.FIXED
        if before.outcome is not after.outcome:
            told = before.outcome is not Outcome.NOT_RUN
            return Kind.NEWLY_SKIPPED if told and after.outcome is Outcome.SKIPPED else Kind.CHANGED
        failed = after.outcome is Outcome.FAILED
        return Kind.CAUSE_CHANGED if failed and before.cause is not after.cause else Kind.SAME

    def _exceeded(self, was: str, before: Seen, after: Seen) -> Norm | None:
        """Return the norm that a test has left: slower than its history allows, and than it was before."""
        took = after.duration
        if after.outcome is not Outcome.PASSED or took is None or self.after is None:
            return None
        if took <= (before.duration or 0.0) + Norm.LEAST_SECONDS:
            return None  # as most tests do: then nobody need ask the history
        norm = Norm.of(self.durations(self.environment, was, self.after.started_at))
        if norm is None or took <= norm.usual + norm.margin:
            return None
        return norm if before.duration is None or took > before.duration + norm.margin else None


def renames(old: Mapping[str, str], new: Mapping[str, str]) -> Mapping[str, str]:
    """Map new names to old ones of the same body and parameters; both sides are name → body, of what the other lacks.

    Bodies can be alike: a function of the same name in another file or class is the same first, then another function in
    the same file, then any. Where several could be meant at a step, none is.
    """
    names: dict[str, str] = {}
    for key in (_moved, _in_file, _anywhere):
        taken = set(names.values())
        theirs = _unique(key, {test: body for test, body in new.items() if test not in names})
        ours = _unique(key, {test: body for test, body in old.items() if test not in taken})
        names |= {theirs[each]: ours[each] for each in theirs.keys() & ours.keys()}
    return names


_Key = tuple[str, ...]


def _anywhere(test: str, body: str) -> _Key:
    return body, test.partition("[")[2]


def _in_file(test: str, body: str) -> _Key:
    return (*_anywhere(test, body), test.partition("::")[0])


def _moved(test: str, body: str) -> _Key:
    return (*_anywhere(test, body), test.partition("[")[0].rpartition("::")[2])


def _unique(key: Callable[[str, str], _Key], bodies: Mapping[str, str]) -> Mapping[_Key, str]:
    by_key: dict[_Key, list[str]] = {}
    for test, body in bodies.items():
        if body:
            by_key.setdefault(key(test, body), []).append(test)
    return {each: tests[0] for each, tests in by_key.items() if len(tests) == 1}
