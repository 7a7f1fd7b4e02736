"""`envmatrix drift`: show how environments differ, and which tests' results differ along with that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envmatrix.commands.options import EnvFile, Environments, JsonFormat, Overrides
from envmatrix.commands.running import running
from envmatrix.exceptions import UsageError

if TYPE_CHECKING:
    from envmatrix.environments import Project
    from envmatrix.matrix.drift import Side
    from envmatrix.runs.cells import Run

_FEWEST = 2
"""Sides of a comparison."""


def drift(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SIDE",
            help="Two or more: environments, of which the last run is read, run files, or directories of them; by default "
            "all of the last matrix. An environment without a run is looked at live.",
            show_default=False,
        ),
    ] = None,
    *,
    live: Annotated[
        bool, typer.Option("--live", help="Start or connect to the environments, and look at them as they are now.")
    ] = False,
    environments: Environments = None,
    env_file: EnvFile = None,
    overrides: Overrides = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="terminal, markdown or json.")
    ] = "terminal",
    json: JsonFormat = False,
) -> int:
    """Show how environments differ: versions, settings, database schema, OpenAPI document, feature flags, TLS, contract.

    Differences with which tests' results go come first, with counts: a correlation, never a cause. Only reads.
    Exit codes: 0 no difference, 1 differences, 3 unknown.
    """
    from envmatrix.environments import Project, declared_names
    from envmatrix.matrix.drift import Side, compare_sides
    from envmatrix.report.drift import reporter
    from envmatrix.runs.directory import latest, load_paths

    render = reporter("json" if json else format_)
    project = Project.find(Path.cwd())
    directory = environments.resolve() if environments else project.environments_dir
    recorded = {} if live else {word: path for word in words or () if (path := _recorded(project, word))}
    unrecorded = [word for word in words or () if word not in recorded]
    if not words and live:
        unrecorded = list(declared_names(directory))
    elif not words:
        recorded = {"": latest(project.runs_dir)}
    loaded = load_paths(recorded.values())
    sides = [Side.of(run, _label(run, loaded.runs)) for run in loaded.runs]
    sides += [_look(name, directory, env_file, overrides) for name in unrecorded]
    if len(sides) + len(loaded.missing) < _FEWEST:
        raise UsageError("one environment cannot differ from itself", "Name two environments or run files")
    found = compare_sides(sides, [f"{each.label}: {each.reason}" for each in loaded.missing])
    typer.echo(render(found), nl=False)
    return found.exit_code


def _recorded(project: Project, word: str) -> Path | None:
    """Return the last run file of an environment, or the path that a word is; `None` for an environment without a run."""
    from envmatrix.runs.directory import run_files
    from envmatrix.safety.names import is_name

    if not is_name(word):
        return Path(word)
    return next(run_files(project.runs_dir, word), Path(word) if Path(word).exists() else None)


def _label(run: Run, runs: Sequence[Run]) -> str:
    """Return the name of a run's column, with its time where another run has the same."""
    label, started = run.header.label, run.header.started_at[:16].replace("T", " ")
    return f"{label} {started}" if sum(each.header.label == label for each in runs) > 1 else label


def _look(name: str, directory: Path, env_file: Path | None, overrides: Sequence[str] | None) -> Side:
    """Look at all services of an environment as they are now."""
    from envmatrix.matrix.drift import Side
    from envmatrix.runs.reused import versions

    with running(name, directory, env_file, overrides) as (client, declared):
        reply = client.start(declared.services)
        services = (reply.environment or declared).services
        reached = {
            name: (services[name], state.endpoint)
            for name, state in reply.states.items()
            if name in services and state.endpoint
        }
        sources = {name: spec.shown_source for name, spec in services.items()}
        return Side(f"{declared.label} now", versions(), sources, client.ping(reached, 1), client.fingerprint())
