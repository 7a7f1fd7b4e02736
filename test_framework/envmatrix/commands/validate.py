"""`envmatrix validate`: check a declaration against the environment itself."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from envmatrix.commands.options import EnvFile, Environments, Json, Overrides, Quiet

if TYPE_CHECKING:
    from envmatrix.environments.declaration import Declaration
    from envmatrix.report.validation.validation import ValidationReport
    from envmatrix.runner.plan import Plan
    from envmatrix.runs.directory import RunDir

_SUITE = ("--pyargs", "envmatrix.conformance")
"""The conformance suite, by name: above a path, pytest would look for the project's settings."""

_WITHOUT_CONFTESTS = ("--noconftest", "-p", "envmatrix.conformance.conftest")
"""The project's conftests may need the arguments and variables that only its own suite is given."""

_NAMES = ("python_files=test_*.py", "python_classes=Test*", "python_functions=test_*")
"""How the suite names its tests; the project may name its own otherwise."""


def validate(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="ENV", help="Environment to validate.", show_default=False)],
    *,
    fix: Annotated[bool, typer.Option("--fix", help="ServiceEdit the declaration to what is true.")] = False,
    environments: Environments = None,
    env_file: EnvFile = None,
    overrides: Overrides = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Check a declaration against the environment: each capability as declared, as observed, and as tests exercised it.

    Only the conformance suite is run. Exit codes: 0 true, 1 untrue, 3 unknown.
    """
    from envmatrix.environments.declaration import read_declaration
    from envmatrix.gate import Answer
    from envmatrix.report.progress import progress
    from envmatrix.report.validation import json_, text
    from envmatrix.runner.plan import make_plan
    from envmatrix.runner.run import run_matrix
    from envmatrix.runs import directory as runs

    plan = make_plan(
        [name],
        environments_dir=environments,
        env_file=env_file,
        overrides=overrides or (),
        pytest_args=ctx.obj or (),
    )
    # Read before the run: a change made meanwhile is not overwritten.
    declaration = read_declaration(plan.environments[0].file, overrides or ())
    options = [word for setting in _NAMES for word in ("-o", setting)]
    if not plan.project.contracts:  # else a conftest may say what the fields of the project's own contract are
        options += _WITHOUT_CONFTESTS
    with progress(quiet=quiet) as observe:
        run_dir = run_matrix(replace(plan, suites=(*_SUITE, *options), is_ours=True), observe)
    validation = _compare(plan, declaration, run_dir)
    if validation.truth.edits:
        validation = _propose(validation, plan, declaration, write=fix)
    typer.echo((json_ if json else text).render(validation), nl=False)
    if validation.verdict.answer is Answer.UNKNOWN and (tail := runs.tail(run_dir.log_file(name))):
        typer.echo(f"The end of pytest's output:\n{tail}", err=True)
    typer.echo(f"Run file and log: {os.path.relpath(run_dir.path)}", err=True)
    return validation.answer.exit_code


def _compare(plan: Plan, declaration: Declaration, run_dir: RunDir) -> ValidationReport:
    """Compare the run with the declaration."""
    from envmatrix.gate import Code, judge_all
    from envmatrix.matrix.table import matrix_of
    from envmatrix.report.validation.validation import ValidationReport
    from envmatrix.validation import Validation

    (environment,) = plan.environments
    matrix = matrix_of(run_dir.load())
    (verdict,) = judge_all(matrix, as_parts=True)
    # The conformance suite ran as a whole: that the run left out the project's own tests is no reason.
    verdict = replace(verdict, reasons=tuple(each for each in verdict.reasons if each.code is not Code.NARROWED))
    if not matrix.runs:
        return ValidationReport(Validation(environment.name, environment.label, (), ()), verdict)
    (run,) = matrix.runs
    whys = {test: cell.evidence.summary for test, cell in run.cells.items() if cell.evidence}
    return ValidationReport(Validation.of(run, environment, declaration), verdict, whys)


def _propose(validation: ValidationReport, plan: Plan, declaration: Declaration, *, write: bool) -> ValidationReport:
    """Add the change that makes the declaration true, or why there is none; with `write`, make it."""
    from envmatrix.environments import load_file, process_variables
    from envmatrix.environments.edit import diff, edited, rewrite
    from envmatrix.exceptions import DeclarationError
    from envmatrix.masking import MASKER

    (environment,) = plan.environments
    if environment.twin is not None:
        why = f"{environment.label} ran, not the deployment: set the deployment's variables, and validate again"
        return replace(validation, refused=why)
    if environment.overrides:
        return replace(validation, refused="--set decided what ran: leave it out, and validate again")
    difference, file = "", declaration.files[0]
    try:
        text = edited(file, validation.truth.edits)
        difference = MASKER.mask(diff(file, text))
        if write:
            rewrite(file, text, lambda path: load_file(path, process_variables(plan.env_file)))
    except DeclarationError as error:
        return replace(validation, diff=difference, refused=str(error))
    return replace(validation, diff=difference, written=write)
