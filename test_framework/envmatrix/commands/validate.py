"""`envmatrix validate`: is what a declaration says true?"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from envmatrix.environments.toml_file import TomlFile
    from envmatrix.report.validation import Validation
    from envmatrix.runner.run import Plan
    from envmatrix.runs.directory import RunDir

_SUITE = ("--pyargs", "envmatrix.conformance")
"""By name, not by path: pytest would look for the project's own settings above the path."""

_NAMES = ("python_files=test_*.py", "python_classes=Test*", "python_functions=test_*")
"""What tests are called in it, whatever the project calls its own."""


def validate(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="ENV", help="Name of a declaration.", show_default=False)],
    *,
    fix: Annotated[bool, typer.Option("--fix", help="Write what makes the declaration true.")] = False,
    environments: Annotated[Path | None, typer.Option(metavar="DIR", help="Directory of the declarations.")] = None,
    env_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="NAME=value lines that fill in ${NAME}.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The answer as one JSON document.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the answer.")] = False,
) -> int:
    """Hold a declaration against what is there: each capability declared, observed, and exercised.

    Only the conformance suite is run. Exit codes: 0 true, 1 untrue, 3 unknown.
    """
    from envmatrix.environments.toml_file import read_toml
    from envmatrix.report.progress import progress
    from envmatrix.report.validation import as_json, as_text
    from envmatrix.runner.run import make_plan, run_matrix
    from envmatrix.runs import directory as runs

    plan = make_plan([name], environments_dir=environments, env_file=env_file, pytest_args=ctx.obj or ())
    declaration = read_toml(plan.environments[0].file)  # as it is run: who changes it meanwhile is not overwritten
    options = [word for setting in _NAMES for word in ("-o", setting)]
    with progress(quiet=quiet) as observe:
        run_dir = run_matrix(replace(plan, suites=(*_SUITE, *options)), observe)
    validation = _compare(plan, declaration, run_dir)
    if validation.truth.changes:
        validation = _propose(validation, plan, declaration, write=fix)
    typer.echo(as_json(validation) if json else as_text(validation), nl=False)
    if validation.verdict.answer.exit_code and (tail := runs.tail(run_dir.log_file(name))):
        typer.echo(f"The end of what pytest said:\n{tail}", err=True)
    typer.echo(f"Run file and log: {os.path.relpath(run_dir.path)}", err=True)
    return validation.answer.exit_code


def _compare(plan: Plan, declaration: TomlFile, run_dir: RunDir) -> Validation:
    """Read the run, and hold it against the declaration."""
    from envmatrix.gate import Code, judge_all
    from envmatrix.matrix.table import matrix_of
    from envmatrix.report.validation import Validation
    from envmatrix.validation import Truth

    (environment,) = plan.environments
    matrix = matrix_of(run_dir.load())
    (verdict,) = judge_all(matrix, as_parts=True)
    # It was asked for the conformance suite, all of it: that this is not the project's own need not be said.
    verdict = replace(verdict, reasons=tuple(each for each in verdict.reasons if each.code is not Code.NARROWED))
    nothing = Truth(environment.name, environment.label, (), ())
    return Validation(Truth.of(matrix.runs[0], environment, declaration) if matrix.runs else nothing, verdict)


def _propose(validation: Validation, plan: Plan, declaration: TomlFile, *, write: bool) -> Validation:
    """Add the change that makes the declaration true, or why there is none; make it where that is wanted."""
    from envmatrix.environments import load_file, read_env_file
    from envmatrix.environments.edit import diff, edited, rewrite
    from envmatrix.exceptions import DeclarationError
    from envmatrix.masking import MASKER
    from envmatrix.plugin.selection import declared_secrets

    (environment,) = plan.environments
    if environment.twin is not None:
        why = f"{environment.label} was looked at, not the deployment: set its variables, and validate that"
        return replace(validation, refused=why)
    MASKER.add_all(declared_secrets(environment))
    difference = ""
    try:
        text = edited(declaration, validation.truth.changes)
        difference = MASKER.mask(diff(declaration, text))
        if write:
            rewrite(declaration, text, lambda path: load_file(path, {**read_env_file(plan.env_file), **os.environ}))
    except DeclarationError as error:
        return replace(validation, diff=difference, refused=str(error))
    return replace(validation, diff=difference, written=write)
