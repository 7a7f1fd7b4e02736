"""`envmatrix history` with its commands: ask, and share runs as Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from envmatrix.commands.history import KEPT_OBJECTS, history, history_file, open_history
from envmatrix.commands.options import HistoryFile
from envmatrix.exceptions import HistoryError, UsageError

if TYPE_CHECKING:
    from envmatrix.environments import Project

_Place = Annotated[
    str, typer.Argument(metavar="PLACE", help="A directory, or a bucket: `s3://bucket/runs`.", show_default=False)
]


class _AskingGroup(TyperGroup):
    """Takes words that name no command of the group for those of one of them."""

    default = "test"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words of the command line."""
        is_named = bool(args) and (args[0] in self.commands or args[0] == "--help")
        return super().parse_args(ctx, args if is_named else [self.default, *args])


history_app = typer.Typer(
    name="history",
    cls=_AskingGroup,
    help="Ask about earlier runs, and share them between machines. Without a command: `test`.",
)
history_app.command(_AskingGroup.default)(history)


@history_app.command("export")
def export_runs(
    place: _Place,
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RUN", help="Run files, or directories of them; by default all of the history.", show_default=False
        ),
    ] = None,
    *,
    history: HistoryFile = None,
) -> int:
    """Write each run as one Parquet file that never changes; those that are there are not written again."""
    from envmatrix.history.objects import place_of
    from envmatrix.history.parquet import export
    from envmatrix.history.rows import rows_of
    from envmatrix.runs.directory import load_paths

    if "*" in place:
        raise UsageError(f"{place} is a pattern", "Name one directory or bucket to write to")
    project = _project()
    to = place_of(place, project.root / KEPT_OBJECTS)
    if runs:
        whole = [run for run in load_paths(runs).runs if not run.header.shard]  # as the history has them
        number = export(map(rows_of, whole), to)
    else:
        with open_history(project, history) as past:
            number = export(past.kept_runs(), to)
    typer.echo(f"wrote {number} run{'s'[: number != 1]} to {place}")
    return 0


@history_app.command("import")
def import_runs(place: _Place, *, history: HistoryFile = None) -> int:
    """Add the runs of Parquet files to the history, each once, for commands that read no Parquet: compare and gate."""
    from envmatrix.history.record import adopt

    project = _project()
    with open_history(project, None, place) as past:
        number, warning = adopt(history_file(project, history), past.kept_runs)
    if warning:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(f"added {number} run{'s'[: number != 1]} from {place}")
    return 0 if number or not warning else HistoryError.exit_code


def _project() -> Project:
    from envmatrix.environments import Project

    return Project.find(Path.cwd())
