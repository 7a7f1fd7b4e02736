"""Scores the tool: its answer to each case against the truth, and the two figures that decide."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from envmatrix.gate import Answer
from envmatrix.runs.cells import Cell
from envmatrix.runs.outcomes import Cause, Outcome
from tests.accuracy.case import Case, Truth
from tests.accuracy.run import Seen

EXACT = 0.95
"""The share of cases that must be exact: cause, rule where given, outcome and verdict."""

_GREEN = frozenset({Outcome.PASSED, Outcome.SKIPPED, Outcome.XFAILED, Outcome.XPASSED})
_CAUSE_OF_RULE = {"C": Truth.CONTRACT, "I": Truth.INFRASTRUCTURE, "H": Truth.HARNESS, "U": Truth.UNDETERMINED}


class Grade(enum.StrEnum):
    """How right one answer is, best first."""

    OK = "ok"
    INEXACT = "inexact"
    """The cause is right; the rule, the outcome or the verdict is another."""
    UNDETERMINED = "undetermined"
    """It answers `undetermined`; a person would know the cause."""
    WRONG = "WRONG"
    """It names another cause, or calls a healthy test red."""
    FALSE_GREEN = "FALSE GREEN"
    """It reports green, and something is wrong."""


@dataclass(frozen=True, slots=True)
class Result:
    """What the tool said about one case, graded."""

    case: Case
    expected: Truth
    found: Truth
    """The answer that is furthest from its truth; the case's own truth where all are right."""
    grade: Grade
    rule: str = ""
    why: str = ""
    """The worst error, in one line."""
    seconds: float = 0.0
    left: tuple[str, ...] = ()
    output: str = ""

    def dump(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "name": self.case.name,
            "injected": self.case.injected,
            "expected": self.expected.value,
            "expected_rule": self.case.rule,
            "found": self.found.value,
            "rule": self.rule,
            "grade": self.grade.value,
            "why": self.why,
            "seconds": round(self.seconds, 2),
            "left": list(self.left),
        }


@dataclass(frozen=True, slots=True)
class _Fault:
    """One error of an answer."""

    grade: Grade
    expected: Truth
    found: Truth
    why: str


def grade(case: Case, seen: Seen) -> Result:
    """Compare the tool's answer with the truth; the worst error decides the grade."""
    cells = _cells(seen)
    about = {name: case.truth for name in cells if name not in case.also}
    faults = [*_whole(case, seen)] if case.whole else [*_each(case, cells, about)]
    faults += _verdict(case, seen)
    if seen.overdue:
        faults.append(
            _Fault(Grade.WRONG, case.truth, case.truth, "pytest had not ended by the deadline, and was killed")
        )
    worst = max(
        faults, key=lambda fault: _ORDER.index(fault.grade), default=_Fault(Grade.OK, case.truth, case.truth, "")
    )
    rules = [cell.evidence.rule for name, cell in cells.items() if name in about and cell.evidence]
    rules += [finding.rule for finding in seen.run.findings] if seen.run and case.whole else []
    rule = ", ".join(dict.fromkeys(rules))
    return Result(case, worst.expected, worst.found, worst.grade, rule, worst.why, seen.seconds, seen.left, seen.output)


_ORDER = list(Grade)


def _cells(seen: Seen) -> dict[str, Cell]:
    """Return each test's cell by its bare name."""
    return {name.rpartition("::")[2]: cell for name, cell in seen.run.cells.items()} if seen.run else {}


def _each(case: Case, cells: dict[str, Cell], about: dict[str, Truth]) -> Iterator[_Fault]:
    """Yield the errors of the cells."""
    if not about:
        yield _Fault(Grade.UNDETERMINED, case.truth, Truth.UNDETERMINED, "the run file has no cell of it")
    for name, truth in {**about, **case.also}.items():
        ours = name in about
        cell = cells.get(name)
        if cell is None:
            yield _Fault(Grade.UNDETERMINED, truth, Truth.UNDETERMINED, f"{name}: the run file has no cell of it")
            continue
        found = _answer_of(cell)
        outcomes = {case.outcome} if ours and case.outcome else _OUTCOMES[truth is Truth.PASSED]
        what = f"{name}: {cell.outcome}" + (f", {cell.evidence.rule} {cell.evidence.summary}" if cell.evidence else "")
        if truth is not Truth.PASSED and cell.outcome in _GREEN:
            yield _Fault(Grade.FALSE_GREEN, truth, Truth.PASSED, what)
        elif found is not truth:
            yield _Fault(Grade.UNDETERMINED if found is Truth.UNDETERMINED else Grade.WRONG, truth, found, what)
        elif cell.outcome not in outcomes:
            # Skipped instead of passed is the other way round: nothing says that all is well.
            yield _Fault(Grade.WRONG if truth is Truth.PASSED else Grade.INEXACT, truth, found, what)
        elif ours and case.rule and (not cell.evidence or cell.evidence.rule != case.rule):
            yield _Fault(Grade.INEXACT, truth, found, f"{what} (expected {case.rule})")


_OUTCOMES = {True: {Outcome.PASSED}, False: {Outcome.FAILED, Outcome.NOT_RUN}}
"""Whether nothing is wrong → the outcomes that a test may have."""


def _answer_of(cell: Cell) -> Truth:
    if cell.cause is None or cell.outcome in _GREEN:
        return Truth.PASSED if cell.outcome in _GREEN else Truth.UNDETERMINED
    return _TRUTH_OF[cell.cause]


_TRUTH_OF = {cause: Truth(cause.value) for cause in Cause}


def _whole(case: Case, seen: Seen) -> Iterator[_Fault]:
    """Yield the errors of the run as a whole: of its findings, else of its verdict."""
    rules = [finding.rule for finding in seen.run.findings] if seen.run else []
    answer = seen.verdict.answer
    found = Truth.UNDETERMINED if answer is Answer.UNKNOWN else Truth.LOGIC
    if rules:
        found = _CAUSE_OF_RULE.get(rules[0][:1], Truth.LOGIC)
    elif answer is Answer.COMPATIBLE:
        found = Truth.PASSED
    if found is not case.truth and found is not Truth.PASSED:  # which the verdict's own check calls by its name
        what = f"the run: {', '.join(rules) or answer}"
        yield _Fault(Grade.UNDETERMINED if found is Truth.UNDETERMINED else Grade.WRONG, case.truth, found, what)
    elif case.rule and case.rule not in rules:
        yield _Fault(Grade.INEXACT, case.truth, found, f"the run: no finding {case.rule}")


def _verdict(case: Case, seen: Seen) -> Iterator[_Fault]:
    """Yield the errors of the verdict: an outage that blocks a merge is as wrong as a wrong cause."""
    answer, due = seen.verdict.answer, case.due
    what = f"verdict {answer} instead of {due}: {seen.verdict.reasons[0].text}"
    if answer is due:
        return
    if answer is Answer.COMPATIBLE:
        yield _Fault(Grade.FALSE_GREEN, case.truth, Truth.PASSED, what)
    elif answer is Answer.INCOMPATIBLE:
        yield _Fault(Grade.WRONG, case.truth, case.truth, what)
    elif due is Answer.COMPATIBLE:
        yield _Fault(Grade.UNDETERMINED, case.truth, Truth.UNDETERMINED, what)
    else:
        yield _Fault(Grade.INEXACT, case.truth, case.truth, what)


@dataclass(frozen=True, slots=True)
class Score:
    """The figures of a whole suite."""

    results: tuple[Result, ...]

    def count(self, *grades: Grade) -> int:
        """Return how many cases have one of these grades."""
        return sum(result.grade in grades for result in self.results)

    @property
    def exact(self) -> float:
        """Return the share of cases that are right in everything; 0 without cases."""
        return self.count(Grade.OK) / len(self.results) if self.results else 0.0

    @property
    def left(self) -> int:
        """Return how many runs left something over."""
        return sum(bool(result.left) for result in self.results)

    @property
    def holds(self) -> bool:
        """Return whether the tool is as accurate as we promise."""
        return not self.count(Grade.FALSE_GREEN, Grade.WRONG) and not self.left and self.exact >= EXACT

    @property
    def confusion(self) -> dict[Truth, Counter[Truth]]:
        """Return how often each truth was found as what."""
        table: dict[Truth, Counter[Truth]] = {truth: Counter() for truth in Truth}
        for result in self.results:
            table[result.expected][result.found] += 1
        return table

    def dump(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "holds": self.holds,
            "false_greens": self.count(Grade.FALSE_GREEN),
            "wrong": self.count(Grade.WRONG),
            "exact": round(self.exact, 4),
            "left_something": self.left,
            "confusion": {str(truth): dict(row) for truth, row in self.confusion.items()},
            "cases": [result.dump() for result in self.results],
        }


def score(results: Iterable[Result], order: Sequence[Case] = ()) -> Score:
    """Return the figures; results in the order of the cases, whatever the order in which they came."""
    places = {case.name: number for number, case in enumerate(order)}
    return Score(tuple(sorted(results, key=lambda result: places.get(result.case.name, 0))))
