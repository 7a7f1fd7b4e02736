"""The matrix as a comment on a pull request: the verdicts are read at a glance, the rest unfolds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from envmatrix.gate import Answer, number_of_tests, worst
from envmatrix.report.markdown import code, within
from envmatrix.report.matrix.markdown import ANSWERS, advice_lines, counts, problem_lines, row, table
from envmatrix.report.matrix.summary import JudgedMatrix, MatrixSummary, stand_ins
from envmatrix.report.text import plural

MOST = 60_000
"""Bytes. GitHub takes 65,536 characters and refuses a longer comment whole."""

_ROWS = 30
"""Environments to name; hundreds would leave no room for the problems."""

_CUT = "**Cut here: a comment may hold 65,536 characters. The job's summary and the run files have more.**"
_FOLD = len("\n<details><summary></summary>\n\n\n</details>\n") + len(_CUT) + 2


def render(judged: JudgedMatrix) -> str:
    """Return the comment, cut where GitHub would refuse it."""
    summary = MatrixSummary.of(judged.matrix)
    lines = list(head(judged, summary))
    room = MOST - sum(len(line.encode()) + 1 for line in lines)
    for title, content in _folded(judged, summary):
        kept = within(content, room - _FOLD - len(title.encode()), _CUT)
        lines += ["", f"<details><summary>{title}</summary>", "", *kept, "", "</details>"]
        room -= sum(len(line.encode()) + 1 for line in kept) + _FOLD + len(title.encode())
    return "\n".join(lines) + "\n"


def head(judged: JudgedMatrix, summary: MatrixSummary) -> Iterator[str]:
    """Yield the answer, and a table of the environments with their verdicts."""
    matrix, verdicts = judged
    answer = worst(verdict.answer for verdict in verdicts)
    yield f"## {ANSWERS[answer]} Compatibility matrix: {answer}"
    yield ""
    yield code(summary.title)
    yield ""
    if summary.selection:
        yield from (code(summary.selection), "")
    yield row("environment", "verdict", "tests", "why", "stand-ins")
    yield row(*["---"] * 5)
    for index, (column, verdict) in list(enumerate(zip(matrix.columns, verdicts, strict=True)))[:_ROWS]:
        yield row(
            code(column.label, in_table=True),
            f"{ANSWERS[verdict.answer]} **{verdict.answer}**",
            counts(matrix, matrix.rows, index),
            "" if verdict.answer is Answer.COMPATIBLE else code(verdict.reasons[0].text, in_table=True),
            code(names, in_table=True) if (names := stand_ins(column)) else "",
        )
    if len(matrix.columns) > _ROWS:
        yield ""
        yield f"and {plural(len(matrix.columns) - _ROWS, 'environment')} more"


def _folded(judged: JudgedMatrix, summary: MatrixSummary) -> Iterator[tuple[str, Iterable[str]]]:
    """Yield the title and the lines of each part that unfolds."""
    if summary.problems:
        tests = sum(len(problem.tests) for problem in summary.problems)
        yield f"Not passed everywhere: {number_of_tests(tests)}", _problems(summary)
    yield "Every file in every environment", table(*judged)


def _problems(summary: MatrixSummary) -> Iterator[str]:
    yield from advice_lines(summary)
    for problem in summary.problems:
        yield ""
        yield from problem_lines(problem)
