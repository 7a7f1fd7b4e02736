"""`envmatrix health`: say whether environments are fit to be tested, and which one thing is wrong if not."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from envmatrix.commands.options import EnvFile, Environments, Format, JsonFormat


def health(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="ENV", help="Environments; by default all that are declared.", show_default=False),
    ] = None,
    *,
    comprehensive: Annotated[
        bool,
        typer.Option(
            "--comprehensive",
            help="Also use each service: a user and the life of its token, a WebSocket, stores and their settings, a completion.",
        ),
    ] = False,
    environments: Environments = None,
    env_file: EnvFile = None,
    format_: Format = "terminal",
    json: JsonFormat = False,
) -> int:
    """Look at every service of environments, all at once, and show what is wrong, each cause once.

    Services that an environment starts itself are started for it, and ended again. Touches no data that it did not make; in
    production it only reads. Exit codes, as of monitoring plug-ins: 0 ok, 1 degraded, 2 down (or usage), 3 unknown.
    """
    from envmatrix.environments import Project, load_environments
    from envmatrix.report.health import reporter
    from envmatrix.services.health import judge, look_at, worst

    render = reporter("json" if json else format_)
    directory = environments.resolve() if environments else Project.find(Path.cwd()).environments_dir
    chosen = load_environments(names or (), directory, env_file)
    looks = look_at(chosen, directory, env_file, comprehensive=comprehensive)
    healths = [judge(look, time.time()) for look in looks]
    typer.echo(render(healths), nl=False)
    return worst(each.status for each in healths).exit_code
