"""`envmatrix doctor`: say why it does not work here."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from envmatrix.commands.options import EnvFile, Environments, Json


def doctor(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="ENV", help="Environments to look at; by default all.", show_default=False),
    ] = None,
    *,
    environments: Environments = None,
    env_file: EnvFile = None,
    json: Json = False,
) -> int:
    """Say why envmatrix does not work here, how to mend it, and which environments it matters for.

    Looks at the interpreter, extras, servers, ports, permissions, disk, shared memory, the container engine, proxies, DNS, clocks
    and pytest's plugins. Starts no service. Exit codes: 0 nothing found, 1 findings.
    """
    from envmatrix.environments import Project, declared_names, load_environment, process_variables
    from envmatrix.exceptions import DeclarationError, UsageError
    from envmatrix.report.doctor import as_json, as_text
    from envmatrix.runner.doctor import Check, Place, examine

    project = Project.find(Path.cwd())
    directory = environments.resolve() if environments else project.environments_dir
    variables = process_variables(env_file)
    loaded, findings = [], []
    with suppress(UsageError):  # there is no such directory
        names = names or list(declared_names(directory))
    if not names:
        findings.append(Check("declarations", f"no environment is declared in {directory}", "envmatrix init"))
    for name in names or ():
        try:
            loaded.append(load_environment(name, directory, variables=variables))
        except DeclarationError as error:
            findings.append(Check("declarations", error.message, error.hint or "Correct that line", (name,)))
    runs = next(each for each in (project.runs_dir, *project.runs_dir.parents) if each.exists())
    seen = (*findings, *examine(Place(project.root, runs, tuple(loaded), os.environ)))
    typer.echo((as_json if json else as_text)(seen), nl=False)
    return 1 if any(each.mend for each in seen) else 0
