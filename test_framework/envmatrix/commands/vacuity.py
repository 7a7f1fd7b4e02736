"""`envmatrix vacuity`: find tests that prove nothing about a service that they require."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Annotated

import typer

from envmatrix.commands.options import EnvFile, Environments, Json, Quiet


def vacuity(
    ctx: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="ENV", help="Environment whose services we start. Words after -- go to pytest.")
    ],
    *,
    environments: Environments = None,
    env_file: EnvFile = None,
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

    plan = make_plan([name], environments_dir=environments, env_file=env_file, pytest_args=ctx.obj or ())
    (environment,) = plan.environments
    variants = [environment.degraded(f"{service}{DOWN}") for service in services_to_take_down(environment)]
    if not variants:
        raise UsageError(f"{name} starts no service that could be taken down", "Name an environment that starts some")
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
                at_once=False,
            )
    finally:
        owner.close()
    found = vacuity_of(environment, matrix_of(run_dir.load()))
    typer.echo((json_ if json else text).render(found), nl=False)
    typer.echo(f"Run files and logs: {os.path.relpath(run_dir.path)}", err=True)
    return found.answer.exit_code
