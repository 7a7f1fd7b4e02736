"""`envmatrix monitor`: what an environment uses while a command runs against it, or while the suite did."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from envmatrix.commands.options import EnvFile, Environments, Json, Overrides
from envmatrix.commands.running import running
from envmatrix.exceptions import UsageError
from envmatrix.runs.interval import interval


def monitor(
    ctx: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="ENV", help="Name of the environment. Words after -- are the command.", show_default=False
        ),
    ],
    run_file: Annotated[
        Path | None,
        typer.Argument(
            metavar="RUN",
            help="Without a command: the run file whose samples are shown, by default of the last run.",
            show_default=False,
        ),
    ] = None,
    *,
    every: Annotated[
        float | None,
        typer.Option(
            metavar="1s", parser=interval, help="Time from one sample to the next, 0.1s to 60s; by default 1s."
        ),
    ] = None,
    svg: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw what is shown over time, as an SVG image.")
    ] = None,
    environments: Environments = None,
    env_file: EnvFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> int:
    """Show what services use while a command of any kind runs, or did in a run with --sample: highest values, what grows.

    An environment that is up is used as it is; another is started for the command, and ended after it. The exit code is the
    command's; where that is 0, it is 1 if a limit of the declaration was crossed and 3 if nothing could be sampled.
    """
    from envmatrix.environments import Project
    from envmatrix.report.files import write_files
    from envmatrix.report.monitor import reporter
    from envmatrix.report.monitor.svg import draw
    from envmatrix.report.monitor.usage import Usage
    from envmatrix.runner.monitor import run_monitored
    from envmatrix.runs.directory import RunDir, latest
    from envmatrix.runs.file import read_run, read_samples

    render = reporter("json" if json else "terminal")
    project, command, code = Project.find(Path.cwd()), ctx.obj or (), 0
    if command and run_file is not None:
        raise UsageError(f"both a run file, {run_file}, and a command", "Name one of them")
    if command:
        directory = environments.resolve() if environments else project.environments_dir
        with running(name, directory, env_file, overrides) as (client, declared):
            reply = client.start(declared.services)
            reply.demand_required(declared)
            environment = reply.environment or declared
            run_file = RunDir.create(project.runs_dir.parent / "monitor", {name: environment.label}).run_file(name)
            code = run_monitored(command, client, environment, run_file, every or 1.0)
        typer.echo(f"Samples: {os.path.relpath(run_file)}", err=True)
    run_file = run_file or RunDir(latest(project.runs_dir)).run_file(name)
    usage = Usage.of(read_run(run_file), read_samples(run_file))
    typer.echo(render(usage), nl=False)
    if svg is not None:
        write_files({svg: draw(usage)})
    return code or usage.exit_code
