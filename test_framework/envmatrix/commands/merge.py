"""`envmatrix merge`: put shards and environments of several jobs together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from envmatrix.commands.options import Format, HistoryFile, JsonFormat, MixedCommits
from envmatrix.commands.show import report_run


def merge(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH", help="Run files, directories of them, .zip or .tar.gz of either.", show_default=False
        ),
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where to write; by default a new run beside the others, as the last run."),
    ] = None,
    expect: Annotated[
        list[str] | None,
        typer.Option(metavar="ENV", help="Environment that must be there, besides those of the manifests; repeatable."),
    ] = None,
    mixed_commits: MixedCommits = False,
    mixed_contracts: Annotated[
        bool, typer.Option("--mixed-contracts", help="Accept runs whose fixtures keep different contract versions.")
    ] = False,
    format_: Format = "terminal",
    json: JsonFormat = False,
    history: HistoryFile = None,
) -> int:
    """Merge the shards of a run, and the runs of several environments, and show the matrix.

    A missing shard or environment is shown with the reason. Runs that do not belong together are refused.
    """
    from envmatrix.environments import Project
    from envmatrix.report.matrix import reporter
    from envmatrix.runs.directory import RunDir
    from envmatrix.runs.merge import Allowed
    from envmatrix.runs.merge import merge as merge_runs

    format_ = "json" if json else format_
    reporter(format_)  # refused before anything is written
    runs_dir = Project.find(Path.cwd()).runs_dir
    run_dir = merge_runs(
        paths,
        lambda labels: RunDir.at(output, labels) if output else RunDir.create(runs_dir, labels),
        expect=expect or (),
        allowed=Allowed(commits=mixed_commits, contracts=mixed_contracts),
    )
    return report_run(run_dir, format_, history, mixed_commits=mixed_commits)
