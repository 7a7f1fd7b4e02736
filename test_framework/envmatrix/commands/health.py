"""`envmatrix health`: say whether environments are fit to be tested, and which one thing is wrong if not."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from envmatrix.commands.history import history_file
from envmatrix.commands.options import EnvFile, Environments, Format, HistoryFile, JsonFormat, Overrides
from envmatrix.commands.watch import Receivers, watch
from envmatrix.exceptions import UsageError

_INTERVAL = 30.0
"""Seconds: with 3 of 4 looks an outage is told after a minute."""


def health(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="ENV", help="Environments; by default all that are declared.", show_default=False),
    ] = None,
    *,
    comprehensive: Annotated[
        bool,
        typer.Option(
            "--comprehensive",
            help="Also use each service: a user and the life of its token, a WebSocket, stores and their settings, a completion.",
        ),
    ] = False,
    continuous: Annotated[
        bool, typer.Option("--continuous", help="Look again and again, and print a line for each change of state.")
    ] = False,
    interval: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0.001, help="With --continuous: time between two looks, 30 by default."),
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="With --continuous: serve metrics for Prometheus.")
    ] = None,
    webhook: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="With --continuous: POST each change, signed with the secret in ENVMATRIX_WEBHOOK_SECRET; may be repeated.",
            show_default=False,
        ),
    ] = None,
    push: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="With --continuous: GET this after each look, so that a monitor sees us alive."
        ),
    ] = None,
    environments: Environments = None,
    env_file: EnvFile = None,
    overrides: Overrides = None,
    format_: Format = "terminal",
    json: JsonFormat = False,
    history: HistoryFile = None,
) -> int:
    """Look at every service of environments, all at once, and show what is wrong, each cause once.

    Services that an environment starts itself are started for it, and ended again. Touches no data that it did not make; in
    production it only reads. Exit codes, as of monitoring plug-ins: 0 ok, 1 degraded, 2 down (or usage), 3 unknown.
    With --continuous it goes on until SIGTERM or Ctrl-C (exit code 0), keeps the changes in the history, and tells them to
    webhooks and to each of apprise's URLs in ENVMATRIX_NOTIFY.
    """
    from envmatrix.environments import Project, load_environments
    from envmatrix.report.health import reporter
    from envmatrix.services.health import judge, looking_at, worst

    render = reporter("json" if json else format_)
    if not continuous and (interval or metrics or webhook or push or history):
        raise UsageError("--interval, --metrics, --webhook, --push and --history go with --continuous")
    if continuous and (json or format_ != "terminal"):
        raise UsageError(
            "--continuous prints lines and no --format", "Programs can use --webhook, --metrics or the history"
        )
    project = Project.find(Path.cwd())
    directory = environments.resolve() if environments else project.environments_dir
    chosen = load_environments(names or (), directory, env_file, overrides or ())
    looking = looking_at(chosen, directory, env_file, comprehensive=comprehensive)
    if continuous:
        watch(
            looking,
            interval or _INTERVAL,
            Receivers.named(history_file(project, history), webhook or (), push, metrics),
        )
    with looking as look:
        healths = [judge(each, time.time()) for each in look()]
    typer.echo(render(healths), nl=False)
    return worst(each.status for each in healths).exit_code
