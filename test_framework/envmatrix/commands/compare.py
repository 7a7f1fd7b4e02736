"""`envmatrix compare`: show what changed from one matrix to another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from envmatrix.commands.options import HistoryFile, Json
from envmatrix.commands.sides import SIDE, compare_sides


def compare(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help=SIDE)],
    after: Annotated[str, typer.Argument(metavar="AFTER", help=SIDE)],
    *,
    history: HistoryFile = None,
    json: Json = False,
) -> int:
    """Show what changed from one matrix to another: tests that regressed, were fixed, renamed, got slower, are new or gone.

    Exit codes: 0 nothing got worse, 1 something got worse, 3 unknown.
    """
    from envmatrix.environments import Project
    from envmatrix.report.compare import json_, text

    comparison = compare_sides(Project.find(Path.cwd()), history, before, after)
    typer.echo((json_ if json else text).render(comparison), nl=False)
    return comparison.exit_code
