"""`envmatrix config`: show a declaration as it is used."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from envmatrix.commands.options import EnvFile, Environments, Json, Overrides


def config(
    name: Annotated[str, typer.Argument(metavar="ENV", help="Name of the environment.", show_default=False)],
    *,
    environments: Environments = None,
    env_file: EnvFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> int:
    """Print every value of a declaration as it is used, with the file and line, option, variable or default it is from.

    Secrets are masked; a `command` is shown as written. Starts nothing.
    """
    from envmatrix.environments import Project, load_environment, process_variables
    from envmatrix.environments.declaration import read_declaration
    from envmatrix.environments.resolved import resolve
    from envmatrix.report.config import as_json, as_text

    directory = environments.resolve() if environments else Project.find(Path.cwd()).environments_dir
    variables = process_variables(env_file)
    environment = load_environment(name, directory, variables=variables, overrides=overrides or ())

    def set_by(variable: str) -> str:
        return "environment" if os.environ.get(variable) else "env file" if variables.get(variable) else ""

    values = tuple(resolve(environment, read_declaration(environment.file, overrides or ()), set_by))
    typer.echo((as_json if json else as_text)(environment.label, values), nl=False)
    return 0
