"""`envmatrix history`, and the recording of runs at the end of other commands."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envmatrix.commands.options import HistoryFile, Json
from envmatrix.exceptions import HistoryError, UsageError, nearest
from envmatrix.git import commit_order, commits_elsewhere

if TYPE_CHECKING:
    from envmatrix.environments import Project
    from envmatrix.history import History
    from envmatrix.matrix.norms import Numbers
    from envmatrix.report.page.source import PastOutcomes
    from envmatrix.runs.cells import Run
    from envmatrix.runs.outcomes import Outcome

Place = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="PLACE",
        help="Ask the Parquet files of a directory or bucket, `s3://bucket/runs`, rather than the history's own file; "
        "a pattern behind it chooses some: `s3://bucket/runs/date=2026-12-*/*`.",
        show_default=False,
    ),
]

KEPT_OBJECTS = Path(".envmatrix", "objects")
"""Below the project's root: what was fetched from buckets, which never changes there."""

_CANDIDATES = 3
"""Tests that an error names where several fit."""


def history_file(project: Project, named: Path | None) -> Path:
    """Return the file of the history: the one named, or else the project's own."""
    from envmatrix.history import DEFAULT

    return named or project.root / DEFAULT


def open_history(project: Project, named: Path | None, place: str = "") -> History:
    """Open the Parquet of a place, or else the file of the history.

    Raises:
        UsageError: both are named.
        HistoryError: it is missing or cannot be read.
    """
    from envmatrix.history import History
    from envmatrix.history.objects import place_of
    from envmatrix.history.parquet import ParquetHistory

    if not place:
        return History(history_file(project, named))
    if named is not None:
        raise UsageError("both --from and --history name runs to ask about", "Leave out one of them")
    return ParquetHistory(place_of(place, project.root / KEPT_OBJECTS), place)


def past_runs(project: Project, named: Path | None, stack: ExitStack) -> History | None:
    """Open the history until the stack is closed; `None` where there is none, with a warning where it cannot be read."""
    from envmatrix.history import History

    path = history_file(project, named)
    if named is None and not path.exists():
        return None
    try:
        return stack.enter_context(History(path))
    except HistoryError as error:
        typer.echo(f"warning: {error.message}: nothing is compared with earlier runs", err=True)
        return None


def earlier_numbers(past: History | None) -> Numbers:
    """Return what asks the history for the numbers of earlier runs; whatever is wrong with it, there are none."""

    def numbers(label: str, test: str, moment: str) -> Sequence[Mapping[str, float]]:
        with suppress(sqlite3.Error):  # a damaged file changes no verdict
            return past.earlier_numbers(label, test, moment) if past else ()
        return ()

    return numbers


def past_outcomes(past: History | None) -> PastOutcomes:
    """Return what asks the history how tests ended in earlier runs; whatever is wrong with it, there are none."""

    def outcomes(environment: str, moment: str) -> Mapping[str, Sequence[Outcome]]:
        with suppress(sqlite3.Error):
            return past.past_outcomes(environment, moment) if past else {}
        return {}

    return outcomes


def usual_durations(file: Path, environment: str) -> Mapping[str, float]:
    """Return the usual seconds of an environment's tests, as far as the history can tell them."""
    from envmatrix.history import History

    with suppress(HistoryError), History(file) as past:
        return past.durations(environment)
    return {}


def record(runs: Iterable[Run], named: Path | None) -> None:
    """Add runs to the history; a failure is only a warning."""
    from envmatrix.environments import Project
    from envmatrix.history import remember

    if warning := remember(history_file(Project.find(Path.cwd()), named), runs):
        typer.echo(f"warning: {warning}", err=True)


def history(
    test: Annotated[
        str | None,
        typer.Argument(
            metavar="TEST",
            help="Node id of a test, or a part of it that no other test has; by default the flakiest and slowest tests.",
            show_default=False,
        ),
    ] = None,
    *,
    environment: Annotated[
        str, typer.Option(metavar="ENV", help="Show this environment only.", show_default=False)
    ] = "",
    limit: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="Number of runs of each environment, of tests, or of changes, to show."),
    ] = 10,
    prune: Annotated[
        float | None,
        typer.Option(metavar="DAYS", min=0.0, help="Delete older runs from the history, and show nothing."),
    ] = None,
    health: Annotated[
        bool, typer.Option("--health", help="Show what `envmatrix health --continuous` saw change, and no test.")
    ] = False,
    path: HistoryFile = None,
    place: Place = "",
    json: Json = False,
) -> int:
    """Show how a test did over time: pass rate, flakiness, duration, and the commit since which it fails."""
    from envmatrix.environments import Project
    from envmatrix.history import Timeline, forget
    from envmatrix.report.history import json_, text
    from envmatrix.report.history.answers import Overview, TestHistory

    project = Project.find(Path.cwd())
    if place and (health or prune is not None):
        raise UsageError("--from has runs to ask about, and nothing else", "Leave out --prune and --health")
    file = history_file(project, path)
    if prune is not None:
        number = forget(file, prune, datetime.now(UTC))
        typer.echo(f"deleted {number} run{'s'[: number != 1]} older than {prune:g} days")
        return 0
    if health:
        return _show_changes(file, environment, limit, json=json)
    render = (json_ if json else text).render
    with open_history(project, path, place) as past:
        if environment and environment not in past.environments:
            raise UsageError(f"the history has no run of {environment!r}", nearest(environment, past.environments))
        if test is None:
            typer.echo(render(Overview(past.flakiest(limit, environment), past.slowest(limit, environment))), nl=False)
            return 0
        name = _only(test, past.tests_like(test))
        cells = past.cells(name, environment)
    commits = {cell.commit for cell in cells}
    timelines = Timeline.by_environment(
        cells, commit_order(project.root, commits), commits_elsewhere(project.root, commits)
    )
    typer.echo(render(TestHistory(name, timelines, limit)), nl=False)
    return 0


def _show_changes(file: Path, environment: str, limit: int, *, json: bool) -> int:
    from envmatrix.history import past_changes
    from envmatrix.report.documents import as_json
    from envmatrix.report.health.notices import payload
    from envmatrix.report.health.words import change_text, moment
    from envmatrix.report.text import inert

    changes = past_changes(file, environment, limit)
    lines = [inert(f"{moment(change.at)} {change_text(change)}") + "\n" for change in changes]
    document = as_json({"schema": 1, "changes": [payload(change) for change in changes]}) if json else ""
    typer.echo(document or "".join(lines) or "no change of health is recorded\n", nl=False)
    return 0


def _only(word: str, tests: tuple[str, ...]) -> str:
    if not tests:
        raise UsageError(f"the history has no test {word!r}", "Name a node id, or a part of one")
    if len(tests) > 1:
        more = f" and {len(tests) - _CANDIDATES} more" if len(tests) > _CANDIDATES else ""
        raise UsageError(f"{word!r} fits {', '.join(tests[:_CANDIDATES])}{more}", "Name more of it")
    return tests[0]
