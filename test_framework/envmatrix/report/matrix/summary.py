"""Summarize a matrix for people: everything that did not pass everywhere, said once.

Tests that ended alike in every environment, for the same reasons, are one problem; all tests skipped for one reason are
one entry. The formats for people only lay this out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from envmatrix.causes import remedy
from envmatrix.gate import Verdict, number_of_tests
from envmatrix.matrix.likeness import likeness
from envmatrix.matrix.table import Column, Matrix, Row
from envmatrix.report.text import first_line
from envmatrix.report.words import ADVICE, cause_and_rule
from envmatrix.runs.cells import Cell, MissingRun
from envmatrix.runs.events import FindingRecord
from envmatrix.runs.outcomes import Cause, Outcome


class JudgedMatrix(NamedTuple):
    """A matrix with the verdict on each of its columns: what the formats here report."""

    matrix: Matrix
    verdicts: Sequence[Verdict]
    """In the order of the columns."""


@dataclass(frozen=True, slots=True)
class AlikeCells:
    """The environments in which a test ended in one way."""

    labels: tuple[str, ...]
    outcome: Outcome | None
    """`None` where the test was not planned."""
    cause: Cause | None = None
    rule: str = ""
    summary: str = field(default="", compare=False)
    """The first of the summaries that are alike."""
    place: str = ""
    """`file:line`; empty where it would tell alike failures apart."""
    remedy: str = field(default="", compare=False)
    """What to do next, where the test or its rule says so."""
    findings: tuple[FindingRecord, ...] = field(default=(), compare=False)
    """What breaks the contract, of the first; the summary has them in one line."""
    alike_by: str = field(init=False)
    """The summary without ids, times and ports; by it, failures are alike."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "alike_by", likeness(self.summary))

    @property
    def more_place(self) -> str:
        """Return the place where the summary does not name it already."""
        return "" if self.place in self.summary else self.place


@dataclass(frozen=True, slots=True)
class Problem:
    """Tests that failed somewhere, all in the same way."""

    tests: tuple[str, ...]
    cells: tuple[AlikeCells, ...]
    """Every environment that has a run stands in exactly one."""


@dataclass(frozen=True, slots=True)
class Aside:
    """Tests that tell nothing, all for the same reason."""

    labels: tuple[str, ...]
    outcome: Outcome | None
    """`skipped`, `xfailed`, `not_run`; `None` for not planned."""
    reason: str
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MatrixSummary:
    """A matrix, ready to be laid out."""

    title: str
    selection: str
    """Which tests are shown, and of how many, where a query selected some; otherwise empty."""
    problems: tuple[Problem, ...]
    asides: tuple[Aside, ...]

    @classmethod
    def of(cls, matrix: Matrix) -> MatrixSummary:
        """Summarize a matrix."""
        rows = _telling(matrix.rows)
        return cls(_title(matrix), _selection(matrix), tuple(_problems(matrix, rows)), tuple(_asides(matrix, rows)))

    @property
    def advice(self) -> tuple[tuple[str, str], ...]:
        """Return what to do next by each cause that occurs, or by the rule that knows better, in the order of causes."""
        order = list(Cause)
        due = {
            (order.index(each.cause), each.rule, each.remedy): (
                cause_and_rule(each.cause, each.rule if each.remedy else ""),
                each.remedy or ADVICE[each.cause],
            )
            for problem in self.problems
            for each in problem.cells
            if each.cause is not None
        }
        return tuple(dict.fromkeys(due[key] for key in sorted(due)))


def sources(column: Column) -> Mapping[str, int]:
    """Count where the services of an environment come from; absent ones are left out."""
    return dict(sorted(Counter(source for source in column.sources.values() if source != "absent").items()))


def stand_ins(column: Column) -> str:
    """Name the stand-ins and the absent services of an environment: `stub: auth, llm; absent: redis`."""
    named = {
        source: ", ".join(sorted(name for name, where in column.sources.items() if where == source))
        for source in ("stub", "absent")
    }
    return "; ".join(f"{source}: {names}" for source, names in named.items() if names)


def reported_versions(column: Column) -> dict[str, str]:
    """Map each service that told its version to that."""
    pings = {} if isinstance(column.run, MissingRun) else column.run.pings
    return {name: ping.version for name, ping in sorted(pings.items()) if ping.version}


def by_label(matrix: Matrix, verdicts: Sequence[Verdict]) -> Iterator[tuple[str, Verdict]]:
    """Yield each column's label with its verdict."""
    return ((column.label, verdict) for column, verdict in zip(matrix.columns, verdicts, strict=True))


def _title(matrix: Matrix) -> str:
    commits = ", ".join(commit[:12] for commit in matrix.commits) or "no run"
    what = "commit " if matrix.commits and matrix.commits != ("unknown",) else ""
    dirty = " (dirty)" if matrix.dirty else ""
    named = "no commit known" if matrix.commits == ("unknown",) else f"{what}{commits}{dirty}"
    when = f", {matrix.started_at[:19].replace('T', ' ')} UTC" if matrix.started_at else ""
    return f"{named}{when}"


def _selection(matrix: Matrix) -> str:
    if matrix.selection is None:
        return ""
    shown = f"{len(matrix.rows)} of {number_of_tests(matrix.selection.of)}"
    return f"{shown}, each verdict is of all; selected by: {matrix.selection.query}"


def _telling(rows: Sequence[Row]) -> list[Row]:
    """Return the rows but for those that passed everywhere: of a large matrix, few."""
    passed = Outcome.PASSED  # looked up for each of many cells, it would take longer than the rest
    found = {n: row for n, row in enumerate(rows) for cell in row.cells if cell is None or cell.outcome is not passed}
    return list(found.values())


def _problems(matrix: Matrix, rows: Sequence[Row]) -> Iterator[Problem]:
    alike: dict[tuple[AlikeCells, ...], list[str]] = {}
    labels = [None if isinstance(column.run, MissingRun) else column.label for column in matrix.columns]
    for row in rows:
        for cell in row.cells:
            if cell is not None and cell.outcome.needs_attention:
                alike.setdefault(tuple(_alike_cells(labels, row)), []).append(row.test)
                break
    return (Problem(tuple(tests), cells) for cells, tests in alike.items())


def _alike_cells(labels: Sequence[str | None], row: Row) -> Iterator[AlikeCells]:
    """Yield the row's cells, those that need attention first, alike ones merged; a column without a run has no label."""
    alike: dict[AlikeCells, list[str]] = {}
    for label, cell in zip(labels, row.cells, strict=True):
        if label is not None:  # what a missing run would have planned is unknown, and its verdict says why
            alike.setdefault(_without_labels(cell), []).append(label)
    order = sorted(alike.items(), key=lambda entry: entry[0].outcome is None or not entry[0].outcome.needs_attention)
    return (replace(cells, labels=tuple(each)) for cells, each in order)


_NOT_PLANNED, _PASSED = AlikeCells((), None), AlikeCells((), Outcome.PASSED)


def _without_labels(cell: Cell | None) -> AlikeCells:
    if cell is None:
        return _NOT_PLANNED
    if cell.outcome is Outcome.PASSED and not cell.reused_from:
        return _PASSED
    if cell.reused_from:
        now = _without_labels(cell._replace(reused_from=""))
        return replace(now, summary=f"not run now, but at {cell.reused_from[:12]}: {now.summary}".rstrip(": "))
    reason = first_line(cell.reason)
    if cell.evidence is None or cell.outcome is Outcome.NOT_RUN:
        expected = f"expected to fail: {reason}" if cell.outcome is Outcome.XPASSED and reason else reason
        return AlikeCells((), cell.outcome, cell.cause, summary=expected)
    evidence = cell.evidence
    # Where a test stood when its service was down says nothing, and would tell alike failures apart.
    place = "" if cell.cause is Cause.INFRASTRUCTURE else evidence.place
    summary = first_line(evidence.summary)
    return AlikeCells(
        labels=(),
        outcome=cell.outcome,
        cause=cell.cause,
        rule=evidence.rule,
        summary=summary,
        place=place,
        remedy=remedy(evidence),
        findings=evidence.findings,
    )


def _asides(matrix: Matrix, rows: Sequence[Row]) -> Iterator[Aside]:
    """Yield the tests that tell nothing, by reason; environments with the same tests and reason are merged."""
    alike: dict[tuple[Outcome | None, str, tuple[str, ...]], list[str]] = {}
    for index, column in enumerate(matrix.columns):
        if not column.cells:
            continue  # the verdict says why the column as a whole has nothing
        grouped: dict[tuple[Outcome | None, str], list[str]] = {}
        for row in rows:
            cell = row.cells[index]
            outcome = cell.outcome if cell is not None else None
            if outcome is not Outcome.PASSED and (outcome is None or outcome.is_silent):
                grouped.setdefault((outcome, first_line(cell.reason) if cell else ""), []).append(row.test)
        for (outcome, reason), tests in grouped.items():
            alike.setdefault((outcome, reason, tuple(tests)), []).append(column.label)
    return (Aside(tuple(labels), *about) for about, labels in alike.items())
