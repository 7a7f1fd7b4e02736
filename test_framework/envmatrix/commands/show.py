"""`envmatrix show`, and the report at the end of every command that runs or merges."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envmatrix.commands.history import earlier_numbers, past_runs, record
from envmatrix.commands.options import Against, Format, JsonFormat, MixedCommits, Runs, load_matrix
from envmatrix.commands.page import compare_with, render_page
from envmatrix.commands.sides import other_side

if TYPE_CHECKING:
    from envmatrix.matrix.table import Matrix
    from envmatrix.runs.directory import RunDir


def show(
    runs: Runs = None,
    *,
    query: Annotated[
        str | None,
        typer.Option(
            metavar="QUERY", help="Show the tests that it selects: 'failed in:staging cause:logic'.", show_default=False
        ),
    ] = None,
    against: Against = None,
    format_: Format = "terminal",
    json: JsonFormat = False,
    mixed_commits: MixedCommits = False,
) -> int:
    """Show the matrix of run files, by default of the last run; of all tests, or of those that a query selects.

    The verdicts, and so the exit code, are of all tests in any case.
    """
    from envmatrix.environments import Project
    from envmatrix.matrix.query import select

    project = Project.find(Path.cwd())
    matrix = load_matrix(project, runs, mixed_commits=mixed_commits)
    comparison = other_side(project, matrix, query, against)
    if query is not None:
        matrix = select(matrix, query, comparison)  # a verdict is of a column, and those stay whole
    return _report(matrix, "json" if json else format_)


def report_run(
    run_dir: RunDir,
    format_: str,
    history: Path | None,
    *,
    mixed_commits: bool = False,
    html: Path | None = None,
    preface: Callable[[Matrix], str] = lambda _: "",
) -> int:
    """Add runs that have just ended to the history, and print a preface and their matrix, write its page; return the exit code."""
    from envmatrix.matrix.table import matrix_of

    loaded = run_dir.load()
    record(loaded.runs, history)
    matrix = matrix_of(loaded, mixed_commits=mixed_commits)
    typer.echo(preface(matrix), nl=False)
    # A shard that has just run is judged by itself; the history gets the whole suite, after the merge.
    code = _report(matrix, format_, history, as_parts=True, html=html)
    typer.echo(f"Run files and logs: {os.path.relpath(run_dir.path)}", err=True)
    return code


def _report(
    matrix: Matrix, format_: str, history: Path | None = None, *, as_parts: bool = False, html: Path | None = None
) -> int:
    from envmatrix.environments import Project
    from envmatrix.gate import exit_code, judge_all
    from envmatrix.report.files import write_files
    from envmatrix.report.matrix import reporter
    from envmatrix.report.matrix.summary import JudgedMatrix

    project = Project.find(Path.cwd())
    with ExitStack() as stack:
        past = past_runs(project, history, stack)
        judged = JudgedMatrix(matrix, judge_all(matrix, as_parts=as_parts, earlier=earlier_numbers(past)))
        typer.echo(reporter(format_)(judged), nl=False)
        if html is not None:
            comparison = compare_with(None, matrix, project, history)
            write_files({html: render_page(judged, project, past, comparison)})
            typer.echo(f"HTML: {html}", err=True)
    return exit_code(judged.verdicts)
