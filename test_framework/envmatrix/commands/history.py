"""`envmatrix history`, and what every command that ends a run does for it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envmatrix.commands.git import of_other_branches, order_of
from envmatrix.exceptions import UsageError, nearest

if TYPE_CHECKING:
    from envmatrix.environments import Project
    from envmatrix.runs.cells import Run

HistoryFile = Annotated[
    Path | None,
    typer.Option("--history", metavar="PATH", help="Where runs are remembered; by default .envmatrix/history.sqlite."),
]

_CANDIDATES = 3
"""Tests named where a word fits several."""


def history_file(project: Project, named: Path | None) -> Path:
    """Return where a project's runs are remembered: where the option says, or else below its root."""
    from envmatrix.history import DEFAULT

    return named or project.root / DEFAULT


def record(runs: Iterable[Run], named: Path | None) -> None:
    """Remember runs; where that fails a warning says so, and nothing else."""
    from envmatrix.environments import Project
    from envmatrix.history import remember

    if warning := remember(history_file(Project.find(Path.cwd()), named), runs):
        typer.echo(f"warning: {warning}", err=True)


def history(
    test: Annotated[
        str | None,
        typer.Argument(
            metavar="TEST",
            help="A node id, or a part that only one has; without it, the flakiest and the slowest tests.",
            show_default=False,
        ),
    ] = None,
    *,
    environment: Annotated[str, typer.Option(metavar="ENV", help="Of this environment only.", show_default=False)] = "",
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Runs of each environment, or tests, to show.")] = 10,
    prune: Annotated[
        float | None, typer.Option(metavar="DAYS", min=0.0, help="Forget the runs that are older, and do nothing else.")
    ] = None,
    path: HistoryFile = None,
    json: Annotated[bool, typer.Option("--json", help="The answer as one JSON document.")] = False,
) -> int:
    """Show what a test did over time: how often it passed, how steadily, how fast, and since which commit it fails."""
    from envmatrix.environments import Project
    from envmatrix.history import History, Timeline, forget
    from envmatrix.report import history as report

    project = Project.find(Path.cwd())
    file = history_file(project, path)
    if prune is not None:
        gone = forget(file, prune, datetime.now(UTC))
        typer.echo(f"forgot {gone} run{'s'[: gone != 1]} that are more than {prune:g} days old")
        return 0
    with History(file) as asked:
        if environment and environment not in asked.environments:
            raise UsageError(f"no run of {environment!r} is recorded", nearest(environment, asked.environments))
        if test is None:
            overview = report.Overview(asked.flakiest(limit, environment), asked.slowest(limit, environment))
            typer.echo(report.overview_as_json(overview) if json else report.overview_as_text(overview), nl=False)
            return 0
        name = _only(test, asked.tests_like(test))
        entries = asked.entries(name, environment)
    commits = {entry.commit for entry in entries}
    timelines = Timeline.by_environment(
        entries, order_of(project.root, commits), of_other_branches(project.root, commits)
    )
    typer.echo((report.as_json if json else report.as_text)(name, timelines, limit), nl=False)
    return 0


def _only(word: str, tests: tuple[str, ...]) -> str:
    if not tests:
        raise UsageError(f"no run of a test {word!r} is recorded", "Name a node id, or a part of one")
    if len(tests) > 1:
        more = f" and {len(tests) - _CANDIDATES} more" if len(tests) > _CANDIDATES else ""
        raise UsageError(f"{word!r} fits {', '.join(tests[:_CANDIDATES])}{more}", "Say more of its name")
    return tests[0]
