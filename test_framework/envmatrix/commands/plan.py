"""`envmatrix plan`: what a CI system is to run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from envmatrix.exceptions import UsageError


def plan(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="ENV", help="Environments; by default all that are declared.", show_default=False),
    ] = None,
    *,
    shards: Annotated[int, typer.Option(metavar="N", min=1, help="Jobs that each environment is cut into.")] = 1,
    github: Annotated[bool, typer.Option("--github", help="As the value of strategy.matrix.")] = False,
    gitlab: Annotated[bool, typer.Option("--gitlab", help="As a child pipeline.")] = False,
    untrusted: Annotated[
        bool, typer.Option("--untrusted", help="Leave out what needs secrets, as for a fork: skipped, and said.")
    ] = False,
    manifest: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write which environments are asked for, for the merge.")
    ] = None,
    environments: Annotated[Path | None, typer.Option(metavar="DIR", help="Directory of the declarations.")] = None,
) -> int:
    """Plan a CI run: one job an environment and shard, within what the platform allows."""
    from envmatrix.environments import Project
    from envmatrix.runner.ci import as_text, for_github, for_gitlab, make_ci_plan

    if github and gitlab:
        raise UsageError("--github and --gitlab exclude each other", "Name one")
    directory = environments.resolve() if environments else Project.find(Path.cwd()).environments_dir
    made = make_ci_plan(names or (), directory, shards=shards, is_trusted=not untrusted)
    text = for_github(made) if github else for_gitlab(made, "envmatrix") if gitlab else as_text(made)
    if manifest is not None:
        try:
            manifest.parent.mkdir(parents=True, exist_ok=True)
            manifest.write_text(made.manifest())
        except OSError as error:
            raise UsageError(f"{manifest} cannot be written: {error.strerror}", "Name another --manifest") from None
    typer.echo(text, nl=False)
    return 0
