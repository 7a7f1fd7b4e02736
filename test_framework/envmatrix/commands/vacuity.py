"""`envmatrix vacuity`: find tests that prove nothing about a service that they require."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Annotated

import typer

from envmatrix.commands.options import EnvFile, Environments, Json, Overrides, Quiet


def vacuity(
    ctx: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="ENV",
            help="Environment whose services we start; by default the only such one. Words after -- go to pytest.",
            show_default=False,
        ),
    ] = None,
    *,
    environments: Environments = None,
    env_file: EnvFile = None,
    overrides: Overrides = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Take down each service in turn, run the tests that require it, and list those that pass all the same.

    The environment is started once. Exit codes: 0 no such test, 1 there is one, 3 unknown.
    """
    from envmatrix.environments import DOWN
    from envmatrix.exceptions import UsageError
    from envmatrix.gate.vacuity import services_to_take_down, vacuity_of
    from envmatrix.matrix.table import matrix_of
    from envmatrix.report.progress import progress
    from envmatrix.report.vacuity import json_, text
    from envmatrix.runner.plan import make_plan
    from envmatrix.runner.run import run_matrix
    from envmatrix.services.supervisor import Owner

    names = [name] if name else []
    plan = make_plan(
        names,
        environments_dir=environments,
        env_file=env_file,
        overrides=overrides or (),
        pytest_args=ctx.obj or (),
    )
    started = [environment for environment in plan.environments if services_to_take_down(environment)]
    if len(started) > 1:
        raise UsageError("several environments start services", f"Name one: {', '.join(each.name for each in started)}")
    if not started:
        known = ", ".join(each.name for each in plan.environments)
        raise UsageError(
            f"no service that could be taken down is started by {known}", "Name an environment that starts some"
        )
    (environment,) = started
    variants = [environment.degraded(f"{service}{DOWN}") for service in services_to_take_down(environment)]
    owner = Owner()
    try:
        with progress(quiet=quiet) as observe:
            run_dir = run_matrix(
                replace(
                    plan,
                    environments=tuple(filter(None, variants)),
                    pytest_args=(*plan.pytest_args, f"--matrix-vacuity={owner.run_dir}"),
                ),
                observe,
                at_once=1,
            )
    finally:
        owner.close()
    found = vacuity_of(environment, matrix_of(run_dir.load(), mixed_commits=True))
    typer.echo((json_ if json else text).render(found), nl=False)
    typer.echo(f"Run files and logs: {os.path.relpath(run_dir.path)}", err=True)
    return found.answer.exit_code
