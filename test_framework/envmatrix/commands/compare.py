"""`envmatrix compare`: show what changed from one matrix to another."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from envmatrix.commands.history import history_file, past_runs
from envmatrix.commands.options import HistoryFile, Json
from envmatrix.commands.sides import SIDE, Sides, compare_sides


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

    project = Project.find(Path.cwd())
    with ExitStack() as stack:
        past = past_runs(project, history, stack)
        sides = Sides(project, history_file(project, history), past)
        comparison = compare_sides(project, past, sides.resolve(before), sides.resolve(after))
    typer.echo((json_ if json else text).render(comparison), nl=False)
    return comparison.exit_code
