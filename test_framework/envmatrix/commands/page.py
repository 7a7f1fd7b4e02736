"""Write the HTML report of a matrix."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from envmatrix.commands.history import earlier_numbers, past_outcomes
from envmatrix.commands.sides import compare_sides
from envmatrix.exceptions import EnvmatrixError

if TYPE_CHECKING:
    from envmatrix.environments import Project
    from envmatrix.history import History
    from envmatrix.matrix.compare import Comparison
    from envmatrix.matrix.table import Matrix
    from envmatrix.report.matrix.summary import JudgedMatrix


def render_page(judged: JudgedMatrix, project: Project, past: History | None, comparison: Comparison | None) -> str:
    """Return the page of a matrix, with what the history knows."""
    from envmatrix.report.page.html import render
    from envmatrix.report.page.source import PageSource

    made_at, numbers = datetime.now(UTC), earlier_numbers(past)
    return render(PageSource(judged, project, made_at, comparison, past_outcomes(past), numbers))


def compare_with(against: str | None, matrix: Matrix, project: Project, history: Path | None) -> Comparison | None:
    """Compare a matrix with another side: the one named, or else the baseline; `None` where the project has none.

    Raises:
        EnvmatrixError: the side that is named is not there.
    """
    if against is not None:
        return compare_sides(project, history, against, matrix)
    if not project.baseline_file.exists():
        return None
    try:
        return compare_sides(project, history, "baseline", matrix)
    except EnvmatrixError as error:
        typer.echo(f"warning: {error.message}: nothing is compared with it", err=True)
        return None
