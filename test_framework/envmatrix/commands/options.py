"""Arguments and options that several commands share."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from envmatrix.runs.interval import interval

if TYPE_CHECKING:
    from envmatrix.environments import Project
    from envmatrix.matrix.table import Matrix
    from envmatrix.runner.plan import Plan

Runs = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="RUN", help="Run files, or directories of them; by default the last run.", show_default=False
    ),
]
Environments = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Directory of the environments' declarations.", show_default=False)
]
EnvFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="File of NAME=value lines that set ${NAME} in a declaration.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Set a key of the declaration, as services.backend.url=https://…; a value that is no TOML is a text. May be "
        "repeated.",
        show_default=False,
    ),
]
HistoryFile = Annotated[
    Path | None,
    typer.Option("--history", metavar="FILE", help="History of runs; by default .envmatrix/history.sqlite."),
]
Format = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="terminal, full (the same with nothing left out), markdown, comment, json or github.",
    ),
]
JsonFormat = Annotated[bool, typer.Option("--json", help="Short for --format json.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Html = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write the matrix as one HTML page.", show_default=False)
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress, only the report.")]
Against = Annotated[
    str | None,
    typer.Option(
        metavar="SIDE",
        help="What words such as `regressed` in a query compare with: `baseline`, `last`, a run file, a directory of them, "
        "or a commit of the history.",
        show_default=False,
    ),
]
MixedCommits = Annotated[bool, typer.Option("--mixed-commits", help="Accept runs of different commits.")]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of the commands that run a project's suite."""

    environments: Environments = None
    env_file: EnvFile = None
    overrides: Overrides = None
    deadline: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", min=0.1, help="Time limit of each environment, 1800 unless the project sets another."
        ),
    ] = None
    test_deadline: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0.1, help="Time limit of each test, 60 unless the project sets another."),
    ] = None
    retries: Annotated[int, typer.Option(metavar="N", min=0, help="Run a failed test up to N more times.")] = 0
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Run one part of the suite: 2/4 is the second of four; by default CI_NODE_INDEX of CI_NODE_TOTAL, or "
            "JOB_COMPLETION_INDEX of MATRIX_SHARDS, where set.",
        ),
    ] = None
    durations: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Run file, or directory of them, whose durations balance the shards; by default the last complete run. "
            "Every shard must get the same.",
        ),
    ] = None
    record_contexts: Annotated[
        bool, typer.Option("--record-contexts", help="Record which functions each test runs; impact reads it.")
    ] = False
    sample: Annotated[
        float | None,
        typer.Option(
            metavar="1s",
            parser=interval,
            help="Record every so often what services and tests use, and judge the limits of the declaration.",
        ),
    ] = None
    format_: Format = "terminal"
    json: JsonFormat = False
    html: Html = None
    history: HistoryFile = None

    @property
    def format(self) -> str:
        """Return the format of the report."""
        return "json" if self.json else self.format_

    def plan(self, names: Sequence[str], pytest_args: Sequence[str] | None, alias: str = "") -> Plan:
        """Load the environments to run, all that are declared if no name is given; `alias` is the name of the runs.

        Raises:
            EnvmatrixError: the format or an environment is unknown, a declaration is wrong, or there is no place for a page.
        """
        from envmatrix.report.files import check_place
        from envmatrix.report.matrix import reporter
        from envmatrix.runner.plan import make_plan
        from envmatrix.runs.shards import Shard

        reporter(self.format)  # a mistyped format is better refused before the suite than after it
        check_place(self.html)
        return make_plan(
            names,
            environments_dir=self.environments,
            env_file=self.env_file,
            overrides=self.overrides or (),
            alias=alias,
            deadline=self.deadline,
            test_deadline=self.test_deadline,
            retries=self.retries,
            record_contexts=self.record_contexts,
            sample=self.sample,
            shard=Shard.chosen(self.shard, os.environ),
            durations=self.durations,
            pytest_args=pytest_args or (),
        )


def takes_run_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options of `RunOptions`, which it receives as its argument `options`."""
    hints = get_type_hints(RunOptions, include_extras=True)
    own = [each for each in inspect.signature(command, eval_str=True).parameters.values() if each.name != "options"]
    shared = [
        inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=hints[each.name])
        for each in fields(RunOptions)
    ]

    def call(**values: Any) -> int:
        options = RunOptions(**{each.name: values.pop(each.name) for each in shared})
        return command(**values, options=options)

    call.__name__, call.__doc__ = command.__name__, command.__doc__
    call.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]  # typer reads the options there
    return call


def load_matrix(project: Project, paths: Sequence[Path] | None, *, mixed_commits: bool) -> Matrix:
    """Read run files, those of the last run if none is named, and put them side by side."""
    from envmatrix.matrix.table import matrix_of
    from envmatrix.runs.directory import latest, load_paths

    return matrix_of(load_paths(paths or [latest(project.runs_dir)]), mixed_commits=mixed_commits)
