"""`envmatrix show`, and the report at the end of every command that runs or merges."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envmatrix.commands.history import earlier_numbers, record
from envmatrix.commands.options import Against, Format, JsonFormat, MixedCommits, Runs, load_matrix
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


def report_run(run_dir: RunDir, format_: str, history: Path | None, *, mixed_commits: bool = False) -> int:
    """Add runs that have just ended to the history, and print their matrix; return the exit code."""
    from envmatrix.matrix.table import matrix_of

    loaded = run_dir.load()
    record(loaded.runs, history)
    # A shard that has just run is judged by itself; the history gets the whole suite, after the merge.
    code = _report(matrix_of(loaded, mixed_commits=mixed_commits), format_, history, as_parts=True)
    typer.echo(f"Run files and logs: {os.path.relpath(run_dir.path)}", err=True)
    return code


def _report(matrix: Matrix, format_: str, history: Path | None = None, *, as_parts: bool = False) -> int:
    from envmatrix.environments import Project
    from envmatrix.gate import exit_code, judge_all
    from envmatrix.report.matrix import reporter
    from envmatrix.report.matrix.summary import JudgedMatrix

    with ExitStack() as stack:
        earlier = earlier_numbers(Project.find(Path.cwd()), history, stack)
        verdicts = judge_all(matrix, as_parts=as_parts, earlier=earlier)
    typer.echo(reporter(format_)(JudgedMatrix(matrix, verdicts)), nl=False)
    return exit_code(verdicts)
