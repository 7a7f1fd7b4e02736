"""`envmatrix explain`: show why cells of the matrix are what they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envmatrix.commands.options import Against, Json, Runs, load_matrix
from envmatrix.commands.sides import other_side
from envmatrix.exceptions import UsageError

if TYPE_CHECKING:
    from envmatrix.environments import Project
    from envmatrix.matrix.compare import Comparison
    from envmatrix.matrix.table import Column, Matrix
    from envmatrix.report.explain.selected import SelectedCells
    from envmatrix.runs.events import Sample


_MOST = 20
"""Cells of a query that are explained: more is nothing to read, and a narrower query costs one word."""


def explain(
    name: Annotated[
        str | None, typer.Argument(metavar="ENV", help="Environment of the cell.", show_default=False)
    ] = None,
    test: Annotated[
        str | None,
        typer.Argument(
            metavar="TEST", help="Node id of the test, or a part of it that no other test has.", show_default=False
        ),
    ] = None,
    runs: Runs = None,
    *,
    query: Annotated[
        str | None,
        typer.Option(
            metavar="QUERY",
            help=f"Explain the cells that a query is true of, at most {_MOST}; every argument is then a RUN.",
            show_default=False,
        ),
    ] = None,
    against: Against = None,
    json: Json = False,
) -> int:
    """Explain cells: outcome, evidence, state of the services, deciding rule, next steps, command to run each again.

    Exit codes: 0 explained, 2 no such test or environment, or a query that cannot be understood.
    """
    from envmatrix.environments import Project
    from envmatrix.report.explain import selected
    from envmatrix.report.explain.explanation import explain
    from envmatrix.report.explain.find import column_named, find_test
    from envmatrix.report.explain.text import as_json, as_text

    project = Project.find(Path.cwd())
    if query is not None:
        paths = [*map(Path, filter(None, (name, test))), *(runs or ())]
        matrix = load_matrix(project, paths, mixed_commits=True)
        cells = _selected(project, matrix, query, other_side(project, matrix, query, against))
        typer.echo((selected.as_json if json else selected.as_text)(cells), nl=False)
        return 0
    if name is None or test is None or against is not None:
        raise UsageError(
            "no cell is named", "Name one by ENV and TEST, or several by --query, which alone takes --against"
        )
    matrix = load_matrix(project, runs, mixed_commits=True)
    column = column_named(matrix, name)
    explanation = explain(matrix, column, find_test(matrix, column, test), project, _samples(column))
    typer.echo(as_json(explanation) if json else as_text(explanation), nl=False)
    return 0


def _selected(project: Project, matrix: Matrix, query: str, comparison: Comparison | None) -> SelectedCells:
    from envmatrix.matrix.query import matching_cells
    from envmatrix.report.explain.explanation import explain
    from envmatrix.report.explain.selected import SelectedCells

    cells = list(matching_cells(matrix, query, comparison))
    columns = {column.environment: column for column, _ in cells[:_MOST]}
    samples = {name: _samples(column) for name, column in columns.items()}
    explanations = tuple(
        explain(matrix, column, cell.test, project, samples[column.environment]) for column, cell in cells[:_MOST]
    )
    return SelectedCells(query, len(cells), explanations)


def _samples(column: Column) -> Sequence[Sample]:
    from envmatrix.runs.cells import Run
    from envmatrix.runs.file import read_samples

    return read_samples(column.run.file) if isinstance(column.run, Run) and column.run.file else ()
