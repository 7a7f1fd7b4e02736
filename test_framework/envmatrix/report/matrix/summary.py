"""What a person wants to read of a matrix: the counts, then everything that did not pass everywhere, said once.

Tests that became the same for the same reasons in every environment are one problem; a skip's reason is said once
for all the tests that it holds for. The formats for people only lay this out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from envmatrix.gate import Verdict
from envmatrix.matrix.table import Column, Matrix, Row
from envmatrix.report.text import first_line
from envmatrix.runs.cells import Cause, Cell, MissingRun, Outcome

ADVICE = {
    Cause.CONTRACT: "mend the fixture that the line names, or delete it: the plugin brings one that keeps the contract",
    Cause.INFRASTRUCTURE: "look at the named service first: the test has said nothing about the product",
    Cause.LOGIC: "the services are healthy: mend the product or the test",
    Cause.HARNESS: "run it again; if it stays, its log tells what ended the test",
    Cause.UNDETERMINED: "run it again; if it stays, look at what stands between the test and the service",
}
"""What to do next, by cause."""

_TELLS_NOTHING = frozenset({Outcome.SKIPPED, Outcome.XFAILED, Outcome.NOT_RUN, None})
_BAD = frozenset({Outcome.FAILED, Outcome.FLAKY, Outcome.XPASSED})


@dataclass(frozen=True, slots=True)
class Look:
    """One cell as people read it; alike cells of several environments are one."""

    labels: tuple[str, ...]
    outcome: Outcome | None
    """`None` where the test was not planned."""
    cause: Cause | None = None
    rule: str = ""
    summary: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """Tests that failed somewhere, all in the same way."""

    tests: tuple[str, ...]
    looks: tuple[Look, ...]
    """Every environment that has a run stands in exactly one."""


@dataclass(frozen=True, slots=True)
class Aside:
    """Tests that one reason kept from telling anything."""

    labels: tuple[str, ...]
    """Where."""
    outcome: Outcome | None
    """`skipped`, `xfailed`, `not_run`; `None` for not planned."""
    reason: str
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """A matrix, ready to be laid out."""

    title: str
    problems: tuple[Problem, ...]
    asides: tuple[Aside, ...]

    @classmethod
    def of(cls, matrix: Matrix) -> Summary:
        """Sum a matrix up."""
        return cls(_title(matrix), tuple(_problems(matrix)), tuple(_asides(matrix)))

    @property
    def causes(self) -> tuple[Cause, ...]:
        """Return the causes that occur, for which advice is due."""
        found = {look.cause for problem in self.problems for look in problem.looks}
        return tuple(cause for cause in Cause if cause in found)


def sources(column: Column) -> Mapping[str, int]:
    """Count where the services of an environment come from; absent ones are left out."""
    return dict(sorted(Counter(source for source in column.sources.values() if source != "absent").items()))


def stand_ins(column: Column) -> str:
    """Say which services of an environment are stand-ins, and which it has not: `stub: auth, llm; absent: redis`."""
    named = {
        source: ", ".join(sorted(name for name, where in column.sources.items() if where == source))
        for source in ("stub", "absent")
    }
    return "; ".join(f"{source}: {names}" for source, names in named.items() if names)


def word(outcome: Outcome | None) -> str:
    """Return what an outcome is called; `None` was not planned."""
    return outcome.replace("_", " ") if outcome else "not planned"


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


def _problems(matrix: Matrix) -> Iterator[Problem]:
    alike: dict[tuple[Look, ...], list[str]] = {}
    for row in matrix.rows:
        if any(cell is not None and cell.outcome in _BAD for cell in row.cells):
            alike.setdefault(tuple(_looks(matrix, row)), []).append(row.test)
    return (Problem(tuple(tests), looks) for looks, tests in alike.items())


def _looks(matrix: Matrix, row: Row) -> Iterator[Look]:
    """Yield the row's cells, those that need attention first, alike ones merged."""
    alike: dict[Look, list[str]] = {}
    for column, cell in zip(matrix.columns, row.cells, strict=True):
        if isinstance(column.run, MissingRun):
            continue  # what it would have planned is unknown, and its verdict says why
        alike.setdefault(_look(cell), []).append(column.label)
    order = sorted(alike.items(), key=lambda entry: entry[0].outcome not in _BAD)
    return (
        Look(tuple(labels), look.outcome, look.cause, look.rule, look.summary, look.place) for look, labels in order
    )


def _look(cell: Cell | None) -> Look:
    if cell is None:
        return Look((), None)
    if cell.carried:
        look = _look(cell._replace(carried=""))
        return replace(look, summary=f"not run now, but at {cell.carried[:12]}: {look.summary}".rstrip(": "))
    reason = first_line(cell.reason)
    if cell.evidence is None or cell.outcome is Outcome.NOT_RUN:
        expected = f"expected to fail: {reason}" if cell.outcome is Outcome.XPASSED and reason else reason
        return Look((), cell.outcome, cell.cause, summary=expected)
    evidence = cell.evidence
    # Where a test stood when its service was down says nothing, and would tell alike failures apart.
    summary = first_line(evidence.summary)
    place = "" if cell.cause is Cause.INFRASTRUCTURE or evidence.place in summary else evidence.place
    return Look((), cell.outcome, cell.cause, evidence.rule, summary, place)


def _asides(matrix: Matrix) -> Iterator[Aside]:
    """Yield what tells nothing, reason by reason; environments of which the very same is true are one."""
    alike: dict[tuple[Outcome | None, str, tuple[str, ...]], list[str]] = {}
    for index, column in enumerate(matrix.columns):
        if not column.cells:
            continue  # the verdict says why the column as a whole has nothing
        grouped: dict[tuple[Outcome | None, str], list[str]] = {}
        for row in matrix.rows:
            cell = row.cells[index]
            outcome = cell.outcome if cell is not None else None
            if outcome in _TELLS_NOTHING:
                grouped.setdefault((outcome, first_line(cell.reason) if cell else ""), []).append(row.test)
        for (outcome, reason), tests in grouped.items():
            alike.setdefault((outcome, reason, tuple(tests)), []).append(column.label)
    return (Aside(tuple(labels), *about) for about, labels in alike.items())
