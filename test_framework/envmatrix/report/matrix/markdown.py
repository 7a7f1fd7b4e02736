"""The matrix as GitHub-flavoured Markdown, for a job's summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from envmatrix.gate import Answer, Verdict, number_of_tests
from envmatrix.matrix.table import Column, Matrix, Row, count, count_reused
from envmatrix.report.markdown import code, page
from envmatrix.report.matrix.summary import (
    AlikeCells,
    JudgedMatrix,
    MatrixSummary,
    Problem,
    by_label,
    reported_versions,
    sources,
    stand_ins,
)
from envmatrix.report.words import word
from envmatrix.runs.cells import MissingRun
from envmatrix.runs.outcomes import Outcome

MARKS = {
    Outcome.PASSED: "✅",
    Outcome.XFAILED: "☑️",
    Outcome.FLAKY: "⚠️",
    Outcome.SKIPPED: "⏭️",
    Outcome.XPASSED: "❗",
    Outcome.FAILED: "❌",
    Outcome.NOT_RUN: "❔",
}
ANSWERS = {Answer.COMPATIBLE: "✅", Answer.INCOMPATIBLE: "❌", Answer.UNKNOWN: "❔"}

_NAMED = 20
"""Tests to name for one problem."""


def render(judged: JudgedMatrix) -> str:
    """Return the report, cut where GitHub would refuse it."""
    return page(_lines(*judged))


def _lines(matrix: Matrix, verdicts: Sequence[Verdict]) -> Iterator[str]:
    summary = MatrixSummary.of(matrix)
    yield "## Compatibility matrix"
    yield ""
    yield code(summary.title)
    yield ""
    if summary.selection:
        yield from (code(summary.selection), "")
    yield from table(matrix, verdicts)
    named = [(column.label, stand_ins(column)) for column in matrix.columns]
    if any(services for _, services in named):
        yield from ("", "### Stand-ins and absent services", "")
        yield from (f"- {code(label)}: {code(services)}" for label, services in named if services)
    versions = [(column.label, reported_versions(column)) for column in matrix.columns]
    if any(services for _, services in versions):
        yield from ("", "### Versions", "")
        for label, services in versions:
            yield f"- {code(label)}: {code(', '.join(services.values()) or 'none reported')}"
    if summary.problems:
        yield from ("", "### Not passed everywhere")
        for problem in summary.problems:
            yield ""
            yield from problem_lines(problem)
        yield ""
        yield from advice_lines(summary)
    if summary.asides:
        yield from ("", "### Skipped, expected to fail, or not run", "")
        for aside in summary.asides:
            because = f": {code(aside.reason)}" if aside.reason else ""
            where = ", ".join(map(code, aside.labels))
            yield f"- {where}: {number_of_tests(len(aside.tests))} {word(aside.outcome)}{because}"
    yield from ("", "### Verdict", "")
    for label, verdict in by_label(matrix, verdicts):
        yield f"- {code(label)}: {ANSWERS[verdict.answer]} **{verdict.answer}**"
        yield from (f"  - {code(reason.text)}" for reason in verdict.reasons)


def problem_lines(problem: Problem) -> Iterator[str]:
    """Yield the tests of a problem, and below them what became of them in which environment."""
    yield from _names(problem.tests)
    yield from (f"  - {_alike(cells)}" for cells in problem.cells)


def advice_lines(summary: MatrixSummary) -> Iterator[str]:
    """Yield what to do next, by cause."""
    return (f"**{cause}**: {remedy}  " for cause, remedy in summary.advice)


def table(matrix: Matrix, verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Yield the matrix as a table: a row a file, a column an environment."""
    yield row("tests", *(code(column.label, in_table=True) for column in matrix.columns))
    yield row("---", *("---" for _ in matrix.columns))
    yield row("", *(_sources(column) for column in matrix.columns))
    for group, rows in matrix.groups.items():
        yield row(code(group, in_table=True), *(counts(matrix, rows, index) for index in range(len(matrix.columns))))
    answers = (f"{ANSWERS[verdict.answer]} **{verdict.answer}**" for verdict in verdicts)
    yield row("**verdict**", *answers)


def row(*cells: str) -> str:
    """Return one row of a table."""
    return f"| {' | '.join(cells)} |"


def _sources(column: Column) -> str:
    return ", ".join(f"{code(source, in_table=True)} x{number}" for source, number in sources(column).items())


def counts(matrix: Matrix, rows: Sequence[Row], index: int) -> str:
    """Return the outcomes of some tests in one environment, each by its mark and number."""
    if isinstance(matrix.columns[index].run, MissingRun):
        return "no run"
    parts = [f"{MARKS[outcome]} {number}" for outcome, number in count(rows, index).items()]
    if reused := count_reused(rows, index):
        parts.append(f"(not run now: {', '.join(f'{number} {word(each)}' for each, number in reused.items())})")
    return " ".join(parts) or "·"


def _names(names: Sequence[str]) -> Iterator[str]:
    yield f"- {code(names[0])}" + (f" and {len(names) - 1} more, all alike:" if len(names) > 1 else "")
    yield from (f"  - {code(name)}" for name in names[1:_NAMED])
    if len(names) > _NAMED:
        yield f"  - and {len(names) - _NAMED} more"


def _alike(cells: AlikeCells) -> str:
    mark = f"{MARKS[cells.outcome]} {word(cells.outcome)}" if cells.outcome else "not planned"
    where = ", ".join(code(label) for label in cells.labels)
    cause = f" **{cells.cause}** {code(cells.rule)}" if cells.cause and cells.rule else ""
    why = f" {code(cells.summary)}" if cells.summary else ""
    place = f" at {code(cells.more_place)}" if cells.more_place else ""
    return f"{where}: {mark}{cause}{why}{place}"
