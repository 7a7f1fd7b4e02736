"""`envmatrix up`, and the commands for an environment that it keeps running."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envmatrix.commands.options import EnvFile, Environments, Json, Overrides
from envmatrix.exceptions import EnvmatrixError, SupervisorError, UsageError, nearest

if TYPE_CHECKING:
    from envmatrix.environments import Environment
    from envmatrix.report.kept import KeptStatus
    from envmatrix.services.supervisor.kept import KeptEnvironment, Origin
    from envmatrix.services.supervisor.service_state import ServiceState

Name = Annotated[str, typer.Argument(metavar="ENV", help="Name of the environment.", show_default=False)]
Service = Annotated[str, typer.Argument(metavar="SERVICE", help="Name of the service.", show_default=False)]
_WATCH = 0.2
"""Seconds between two looks at what is followed."""


def up(
    name: Name,
    *,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay, say what becomes of the services, and end with Ctrl-C.")
    ] = False,
    environments: Environments = None,
    env_file: EnvFile = None,
    overrides: Overrides = None,
) -> int:
    """Start an environment and leave it running: `pytest --matrix-environment ENV` then connects to it.

    One that is up already is left as it is; one that was started from something else is replaced.
    """
    from envmatrix.services.supervisor import Owner, SupervisorClient
    from envmatrix.services.supervisor.client import end_run
    from envmatrix.services.supervisor.kept import kept_as, record

    environment, origin = _load(name, environments, env_file, overrides or ())
    if kept := kept_as(environment):
        if not (stale := kept.why_stale(origin)):
            return _show(kept)
        typer.echo(f"replacing {name}: {stale}", err=True)
        end_run(kept.run)
    owner = Owner()
    try:
        client = SupervisorClient(owner.run_dir, name, environment.file.parent, env_file, environment)
        reply = client.start(environment.services)
        reply.demand_required(environment)
        kept = record(owner, origin)
        if foreground and kept.run.path == owner.run_dir:
            return _watch(kept, reply.states)
        if kept.run.path == owner.run_dir:  # of two at once the first stays
            owner.hand_over()
        return _show(kept)
    finally:
        owner.close()


def status(
    name: Annotated[
        str | None,
        typer.Argument(metavar="ENV", help="Name of the environment; by default all that are up.", show_default=False),
    ] = None,
    *,
    environments: Environments = None,
    json: Json = False,
) -> int:
    """Show the environments of this project that are up: each service, and why it is not up where it is not.

    Exit codes: 0 everything is up, 1 something is not, or was started from something else.
    """
    from envmatrix.report.kept import as_json, as_text
    from envmatrix.services.supervisor.kept import kept_environments

    directory = _directory(environments)
    statuses = [
        _status(kept)
        for kept in kept_environments()
        if Path(kept.origin.declaration).parent == directory and name in (None, kept.name)
    ]
    typer.echo(as_json(statuses) if json else "".join(map(as_text, statuses)), nl=False)
    if not statuses:
        typer.echo(f"{name} is not up" if name else "no environment is up", err=True)
    return 0 if statuses and all(each.is_well for each in statuses) else 1


def logs(
    name: Name,
    service: Annotated[
        str | None, typer.Argument(metavar="SERVICE", help="By default all services.", show_default=False)
    ] = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written from now on.")] = False,
    environments: Environments = None,
) -> int:
    """Print the logs of an environment that is up, masked."""
    from envmatrix.report.text import inert
    from envmatrix.services.processes.log_lines import LogLines

    kept = _demand_kept(name, environments, service)
    states = _status(kept).states
    names = [service] if service else sorted(states)
    width = max(map(len, names), default=0)
    lines = {each: LogLines(kept.run.log(each)) for each in names}
    with ExitStack() as stack, suppress(KeyboardInterrupt):
        for log in lines.values():
            stack.callback(log.close)
        while True:
            runs_on = follow and kept.supervisor is not None
            for each, log in lines.items():
                for line in log.look():
                    typer.echo(inert(line) if service else f"{each:{width}} | {inert(line)}")
            if not runs_on:
                break
            time.sleep(_WATCH)
    return 0


def restart(name: Name, service: Service, *, environments: Environments = None) -> int:
    """Start a service of an environment that is up again, from the code as it is now, at the same address."""
    state = _demand_kept(name, environments, service).client.restart(service)
    if not state.is_up:
        raise state.as_error()
    typer.echo(f"{service} is up again after {state.start_seconds:.2f} s")
    return 0


def env(name: Name, *, environments: Environments = None, json: Json = False) -> int:
    """Print the endpoints of an environment that is up as NAME=value for a shell, an env file or an IDE, secrets included."""
    import json as json_module
    import re
    import shlex

    kept = _demand_kept(name, environments)
    status = _status(kept)
    values = {}
    for service, state in status.states.items():
        if state.endpoint is None or not state.is_up:
            typer.echo(f"{service} is {state.status}: {state.reason}", err=True)
            continue
        if not state.endpoint.port:  # it serves nothing
            continue
        prefix = re.sub(r"[^A-Z0-9]", "_", service.upper())
        values[f"{prefix}_URL"] = state.endpoint.field("url")
        if state.endpoint.ca_file:
            values[f"{prefix}_CA_FILE"] = state.endpoint.ca_file
    if status.stale:
        typer.echo(f"{name} is stale: {status.stale}", err=True)
    lines = "".join(f"{variable}={shlex.quote(value)}\n" for variable, value in values.items())
    typer.echo(json_module.dumps(values, indent=2) + "\n" if json else lines, nl=False)
    return 0


def down(name: Name, *, environments: Environments = None) -> int:
    """Stop an environment that is up, and remove all that it made; nothing is to do where it is not up."""
    from envmatrix.environments import declaration_of
    from envmatrix.report.text import plural
    from envmatrix.services.supervisor.client import end_run
    from envmatrix.services.supervisor.kept import find_kept

    kept = find_kept(*declaration_of(name, _directory(environments)))
    if kept is None:
        typer.echo(f"{name} is not up")
        return 0
    states = end_run(kept.run)
    typer.echo(f"{name} is down: {plural(len(states), 'service')} stopped")
    return 0


def _show(kept: KeptEnvironment) -> int:
    from envmatrix.report.kept import KeptStatus, as_text

    status = KeptStatus(kept.name, kept.supervisor, kept.origin.commit, "", kept.client.states())
    typer.echo(as_text(status), nl=False)
    return 0 if status.is_well else 1


def _watch(kept: KeptEnvironment, states: Mapping[str, ServiceState]) -> int:
    """Say what becomes of the services until Ctrl-C, or until somebody else ends them."""
    from envmatrix.report.kept import service_text

    _show(kept)
    try:
        while True:
            before, states = states, kept.client.states()
            for name, state in states.items():
                if state != before.get(name):
                    typer.echo(service_text(state), nl=False)
            time.sleep(_WATCH)
    except KeyboardInterrupt:
        return 0
    except SupervisorError:
        typer.echo(f"{kept.name} was ended from outside", err=True)
        return 0


def _directory(environments: Path | None) -> Path:
    from envmatrix.environments import Project

    return (environments or Project.find(Path.cwd()).environments_dir).resolve()


def _load(
    name: str, environments: Path | None, env_file: Path | None, overrides: Sequence[str]
) -> tuple[Environment, Origin]:
    from envmatrix.environments import load_environment, process_variables
    from envmatrix.services.supervisor.kept import Origin

    variables = process_variables(env_file)
    environment = load_environment(name, _directory(environments), variables=variables, overrides=overrides)
    return environment, Origin.of(environment, variables, env_file)


def _demand_kept(name: str, environments: Path | None, service: str | None = None) -> KeptEnvironment:
    """Return the environment that is kept, which has a service of that name.

    Raises:
        UsageError: there is none.
    """
    from envmatrix.environments import declaration_of
    from envmatrix.services.supervisor.kept import find_kept

    kept = find_kept(*declaration_of(name, _directory(environments)))
    if kept is None:
        raise UsageError(f"environment {name!r} is not up", f"Start it: envmatrix up {name}")
    if service is not None and service not in (states := kept.client.states()):
        raise UsageError(f"{name} has no service {service!r}", nearest(service, states))
    return kept


def _status(kept: KeptEnvironment) -> KeptStatus:
    """Return how an environment is now; all of its secrets are masked from then on."""
    from envmatrix.report.kept import KeptStatus

    given, directory = kept.origin, Path(kept.origin.declaration).parent
    try:
        _, origin = _load(kept.name, directory, Path(given.env_file) if given.env_file else None, given.overrides)
        stale = kept.why_stale(origin)
    except EnvmatrixError as error:
        stale = str(error)
    states: Mapping[str, ServiceState] = {}
    with suppress(SupervisorError):
        states = kept.client.states()
    return KeptStatus(kept.name, kept.supervisor, kept.origin.commit, stale, states)
