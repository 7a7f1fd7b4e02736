"""`envmatrix plan`: plan the jobs of a CI run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from envmatrix.commands.options import Environments
from envmatrix.exceptions import UsageError


def plan(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="ENV", help="Environments; by default all that are declared.", show_default=False),
    ] = None,
    *,
    shards: Annotated[int, typer.Option(metavar="N", min=1, help="Number of jobs for each environment.")] = 1,
    github: Annotated[
        bool, typer.Option("--github", help="Print the value of strategy.matrix for GitHub Actions.")
    ] = False,
    gitlab: Annotated[bool, typer.Option("--gitlab", help="Print a child pipeline for GitLab CI.")] = False,
    untrusted: Annotated[
        bool,
        typer.Option("--untrusted", help="Skip environments that need secrets, as for a pull request from a fork."),
    ] = False,
    manifest: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a manifest of the planned environments, for envmatrix merge."),
    ] = None,
    environments: Environments = None,
) -> int:
    """Plan the jobs of a CI run, one per environment and shard, within the limits of the platform."""
    from envmatrix.environments import Project
    from envmatrix.runner.ci import as_text, for_github, for_gitlab, make_ci_plan

    if github and gitlab:
        raise UsageError("--github and --gitlab exclude each other", "Name one")
    directory = environments.resolve() if environments else Project.find(Path.cwd()).environments_dir
    planned = make_ci_plan(names or (), directory, shards=shards, is_trusted=not untrusted)
    text = for_github(planned) if github else for_gitlab(planned, "envmatrix") if gitlab else as_text(planned)
    if manifest is not None:
        try:
            manifest.parent.mkdir(parents=True, exist_ok=True)
            manifest.write_text(planned.manifest())
        except OSError as error:
            raise UsageError(f"{manifest} cannot be written: {error.strerror}", "Name another --manifest") from None
    typer.echo(text, nl=False)
    return 0
