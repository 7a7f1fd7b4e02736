"""`envmatrix matrix` and `envmatrix run`: run the suite, in several environments or in one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envmatrix.commands.history import history_file, usual_durations
from envmatrix.commands.impacted import narrow
from envmatrix.commands.options import Quiet, RunOptions, takes_run_options
from envmatrix.commands.rounds import Rounds
from envmatrix.commands.show import report_run

if TYPE_CHECKING:
    from envmatrix.runner.plan import Plan
    from envmatrix.runner.processes import Child
    from envmatrix.runs.directory import RunDir

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
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Stay, and after each change of a file run again what failed or may be affected."),
    ] = False,
) -> int:
    """Run the suite in several environments at once, by default in all that are declared, and show the matrix."""
    plan = options.plan(names or (), ctx.obj)
    run = partial(_run_shown, quiet=quiet, history=options.history, jobs=jobs)
    if impacted_since is not None:
        plan = narrow(
            plan, impacted_since, environments=options.environments, env_file=options.env_file, history=options.history
        )
    if watch:
        return Rounds(plan, lambda: options.plan(names or (), ctx.obj), run, options).run()
    run_dir, _ = run(plan)
    return report_run(run_dir, options.format, options.history, html=options.html)


def _run_shown(plan: Plan, *, quiet: bool, history: Path | None, jobs: int | None) -> tuple[RunDir, bool]:
    """Run a plan and show its progress; also return whether the user ended it."""
    from envmatrix.report.progress import progress
    from envmatrix.runner.run import run_matrix

    durations = partial(usual_durations, history_file(plan.project, history))
    interrupted = False
    with progress(quiet=quiet, durations=durations) as observe:

        def watched(children: Sequence[Child]) -> None:
            nonlocal interrupted
            interrupted = any(child.interrupted for child in children)
            observe(children)

        return run_matrix(plan, watched, at_once=jobs), interrupted


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
    return report_run(run_dir, options.format, options.history, html=options.html)
