"""`envmatrix matrix` and `envmatrix run`: run the suite, in several environments or in one."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from envmatrix.commands.impacted import narrow
from envmatrix.commands.options import Quiet, RunOptions, takes_run_options
from envmatrix.commands.show import report_run

_NAME = "Environment: staging for environments/staging.toml. Words after -- go to pytest."


@takes_run_options
def matrix(
    ctx: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(metavar="ENV", help=_NAME, show_default=False)] = None,
    *,
    options: RunOptions,
    quiet: Quiet = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Run at most N environments at once; by default [tool.envmatrix] jobs, else two for each core and one for "
            "each GiB of free memory.",
            show_default=False,
        ),
    ] = None,
    impacted_since: Annotated[
        str | None,
        typer.Option(
            metavar="REV",
            help="Run only tests that changes since REV may affect; reuse the others' results of the last run of REV.",
        ),
    ] = None,
) -> int:
    """Run the suite in several environments at once, by default in all that are declared, and show the matrix."""
    from envmatrix.report.progress import progress
    from envmatrix.runner.run import run_matrix

    plan = options.plan(names or (), ctx.obj)
    if impacted_since is not None:
        plan = narrow(
            plan, impacted_since, environments=options.environments, env_file=options.env_file, history=options.history
        )
    with progress(quiet=quiet) as observe:
        run_dir = run_matrix(plan, observe, at_once=jobs)
    return report_run(run_dir, options.format, options.history)


@takes_run_options
def run(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="ENV", help=_NAME, show_default=False)],
    *,
    options: RunOptions,
    alias: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="NAME",
            help="Name of the run in every report, as of a pull request's own deployment. It is judged as a run of ENV.",
            show_default=False,
        ),
    ] = "",
) -> int:
    """Run the suite in one environment, with pytest's own output, and show the environment's column of the matrix."""
    from envmatrix.runner.run import run_attached

    plan = options.plan([name], ctx.obj, alias)
    run_dir = run_attached(plan, stdout=sys.stderr.fileno() if options.format == "json" else None)
    return report_run(run_dir, options.format, options.history)
