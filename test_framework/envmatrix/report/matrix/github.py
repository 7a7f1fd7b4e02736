"""The matrix as annotations on a pull request's diff."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from envmatrix.gate import Answer, Verdict, number_of_tests
from envmatrix.matrix.table import Matrix
from envmatrix.report.github import command, within_limit
from envmatrix.report.matrix.summary import AlikeCells, JudgedMatrix, MatrixSummary, Problem, by_label
from envmatrix.report.words import cause_and_rule, word
from envmatrix.runs.nodeid import file_of


def render(judged: JudgedMatrix) -> str:
    """Return the problems of the tests that are shown, then each environment whose answer is not `compatible`."""
    matrix, verdicts = judged
    summary = MatrixSummary.of(matrix)
    selection = [command("envmatrix", summary.selection, level="notice")] if summary.selection else []
    commands = [*selection, *_about_problems(summary.problems), *_about_verdicts(matrix, verdicts)]
    return within_limit(commands, "the job's summary has them all")


def _about_problems(problems: Sequence[Problem]) -> Iterator[str]:
    for problem in problems:
        cells = problem.cells[0]
        file, line = _place(cells, problem.tests[0])
        cause = f": {cause_and_rule(cells.cause, cells.rule)}" if cells.cause else ""
        more = f" and {number_of_tests(len(problem.tests) - 1)} more" if len(problem.tests) > 1 else ""
        what = cells.summary or word(cells.outcome)
        yield command(f"{', '.join(cells.labels)}{cause}", f"{problem.tests[0]}{more}: {what}", file, line)


def _about_verdicts(matrix: Matrix, verdicts: Sequence[Verdict]) -> Iterator[str]:
    for label, verdict in by_label(matrix, verdicts):
        if verdict.answer is not Answer.COMPATIBLE:
            yield command(f"{label}: {verdict.answer}", verdict.reasons[0].text)


def _place(cells: AlikeCells, test: str) -> tuple[str, str]:
    """Return the file and line of what broke; the test's file where that is not known."""
    file, _, line = cells.place.rpartition(":")
    return (file, line) if file and line.isdecimal() else (file_of(test), "")
