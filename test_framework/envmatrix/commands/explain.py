"""`envmatrix explain`: why is this cell red?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def explain(
    name: Annotated[str, typer.Argument(metavar="ENV", help="Environment of that run.", show_default=False)],
    test: Annotated[
        str,
        typer.Argument(metavar="TEST", help="Node id of a test, or a part that tells it from the others: its name."),
    ],
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN", help="Run files, or directories of them.", show_default=False)
    ] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="The same as one JSON document.")] = False,
) -> int:
    """Explain one cell: what happened, what the services said, which rule decided, what to do next, how to run it again.

    Of the last run, unless run files are named. Exit codes: 0 explained, 2 there is no such test or environment.
    """
    from envmatrix.environments import Project
    from envmatrix.matrix.table import matrix_of
    from envmatrix.report.explain.explanation import explain
    from envmatrix.report.explain.find import column_named, find_test
    from envmatrix.report.explain.text import as_json, as_text
    from envmatrix.runs.directory import latest, load_paths

    project = Project.find(Path.cwd())
    matrix = matrix_of(load_paths(runs or [latest(project.runs_dir)]), mixed_commits=True)
    column = column_named(matrix, name)
    told = explain(matrix, column, find_test(matrix, column, test), project)
    typer.echo(as_json(told) if json else as_text(told), nl=False)
    return 0
