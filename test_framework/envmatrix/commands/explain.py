"""`envmatrix explain`: show why a cell of the matrix is what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from envmatrix.commands.options import Json, Runs, load_matrix


def explain(
    name: Annotated[str, typer.Argument(metavar="ENV", help="Environment of the cell.", show_default=False)],
    test: Annotated[
        str, typer.Argument(metavar="TEST", help="Node id of the test, or a part of it that no other test has.")
    ],
    runs: Runs = None,
    *,
    json: Json = False,
) -> int:
    """Explain one cell: outcome, evidence, state of the services, deciding rule, next steps, command to run it again.

    Exit codes: 0 explained, 2 no such test or environment.
    """
    from envmatrix.environments import Project
    from envmatrix.report.explain.explanation import explain
    from envmatrix.report.explain.find import column_named, find_test
    from envmatrix.report.explain.text import as_json, as_text
    from envmatrix.runs.cells import Run
    from envmatrix.runs.file import read_samples

    project = Project.find(Path.cwd())
    matrix = load_matrix(project, runs, mixed_commits=True)
    column = column_named(matrix, name)
    file = column.run.file if isinstance(column.run, Run) else None
    explanation = explain(matrix, column, find_test(matrix, column, test), project, read_samples(file) if file else ())
    typer.echo(as_json(explanation) if json else as_text(explanation), nl=False)
    return 0
