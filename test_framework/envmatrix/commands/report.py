"""`envmatrix report`: write the matrix of run files for others to read."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from envmatrix.commands.history import earlier_numbers, past_runs
from envmatrix.commands.options import HistoryFile, Html, MixedCommits, Runs, load_matrix
from envmatrix.commands.page import compare_with, write_page
from envmatrix.commands.sides import SIDE
from envmatrix.exceptions import UsageError


def report(
    runs: Runs = None,
    *,
    html: Html = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="SIDE", help=f"What to compare with, by default the baseline: {SIDE}", show_default=False),
    ] = None,
    history: HistoryFile = None,
    mixed_commits: MixedCommits = False,
) -> int:
    """Write the matrix of run files, by default of the last run, as a page to look at.

    Exit codes: 0 written, whatever the matrix says; 2 nothing to write, or nowhere.
    """
    from envmatrix.environments import Project
    from envmatrix.gate import judge_all
    from envmatrix.report.files import check_place
    from envmatrix.report.matrix.summary import JudgedMatrix

    if html is None:
        raise UsageError("nothing to write", "Name a file: --html matrix.html")
    check_place(html)
    project = Project.find(Path.cwd())
    matrix = load_matrix(project, runs, mixed_commits=mixed_commits)
    with ExitStack() as stack:
        past = past_runs(project, history, stack)
        judged = JudgedMatrix(matrix, judge_all(matrix, earlier=earlier_numbers(past)))
        write_page(html, judged, project, past, compare_with(against, matrix, project, history))
    return 0
