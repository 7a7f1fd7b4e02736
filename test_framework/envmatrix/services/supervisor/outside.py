"""An environment for scripts, outside of tests: `envmatrix.load_environment`."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

from envmatrix.environments import Environment, Project, process_variables
from envmatrix.environments import load_environment as load_declared
from envmatrix.exceptions import UsageError
from envmatrix.services.supervisor.kept import current


def load_environment(name: str, directory: Path | None = None, *, env_file: Path | None = None) -> Environment:
    """Load an environment of the project by its name, with the URL of each service that has one.

    A remote service has its declared URL. Every service of an environment that `envmatrix up` keeps running has the URL
    at which it runs, those of a twin too. `directory` holds the declarations, by default that of the nearest project.

    Raises:
        UnknownEnvironmentError: the directory declares no such environment.
        DeclarationError: the file is wrong; the error names the line.
        UsageError: a twin stands in for it, and is not up.
        SupervisorError: it is up, and its supervisor does not answer.
    """
    variables = process_variables(env_file)
    directory = directory or Project.find(Path.cwd()).environments_dir
    declared = load_declared(name, directory, variables=variables)
    kept = current(declared, variables)
    if kept is None:
        if declared.twin:
            raise UsageError(f"{declared.label} is not up as it is declared", f"Start it: envmatrix up {name}")
        return declared
    reply = kept.client.start(declared.services)
    resolved = reply.environment or declared
    endpoints = {name: state.endpoint for name, state in reply.states.items() if state.endpoint}
    addresses = {name: {"url": each.url, "ca_file": each.ca_file or None} for name, each in endpoints.items()}
    services = {name: spec.model_copy(update=addresses.get(name)) for name, spec in resolved.services.items()}
    return resolved.model_copy(update={"services": MappingProxyType(services)})
