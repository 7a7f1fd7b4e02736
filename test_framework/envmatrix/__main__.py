"""The command line: thin, one function a command. Exit codes: 0 compatible, 1 incompatible, 2 usage, 3 unknown."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envmatrix.commands import compare as compare_commands
from envmatrix.commands import gate as gate_commands
from envmatrix.commands import history as history_commands
from envmatrix.commands.audit import audit
from envmatrix.commands.explain import explain
from envmatrix.commands.fixtures import fixtures
from envmatrix.commands.history import HistoryFile
from envmatrix.commands.impact import impact
from envmatrix.commands.impacted import narrow, seed_of, verified
from envmatrix.commands.plan import plan
from envmatrix.commands.validate import validate
from envmatrix.exceptions import EnvmatrixError, UsageError

if TYPE_CHECKING:
    from envmatrix.runs.directory import Loaded, RunDir

KILLED = 130
"""After a second Ctrl-C, which leaves no time for a report."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EIO}
"""What a disk or a device says that takes no more."""

_BROKEN_PIPE = 141
"""As the shell says of a program whose reader went away."""

_WHERE = "Name of a declaration: staging for environments/staging.toml. What follows -- goes to pytest."

app = typer.Typer(
    name="envmatrix",
    help="One test suite, every environment, one compatibility matrix.",
    epilog="Exit codes: 0 compatible, 1 incompatible, 2 usage or configuration, 3 unknown.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Environments = Annotated[Path | None, typer.Option(metavar="DIR", help="Directory of the declarations.")]
EnvFile = Annotated[Path | None, typer.Option(metavar="FILE", help="NAME=value lines that fill in ${NAME}.")]
Deadline = Annotated[float | None, typer.Option(metavar="SECONDS", min=0.1, help="How long one environment may take.")]
TestDeadline = Annotated[
    float | None, typer.Option(metavar="SECONDS", min=0.1, help="How long one test may take, 60 s by default.")
]
Retries = Annotated[int, typer.Option(metavar="N", min=0, help="Try a test that failed so often again.")]
Format = Annotated[str, typer.Option("--format", metavar="FORMAT", help="terminal, markdown, json or github.")]
Json = Annotated[bool, typer.Option("--json", help="The same as --format json.")]
Mixed = Annotated[bool, typer.Option("--mixed-commits", help="Put runs of different commits side by side.")]
ShardOf = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Run one part of the suite: 2/4 is the second of four. Else by CI_NODE_INDEX and CI_NODE_TOTAL, or "
        "JOB_COMPLETION_INDEX and MATRIX_SHARDS.",
    ),
]
Durations = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        help="A run file or a directory of them, the same for all shards: by it they take equally long. "
        "By default the last complete run.",
    ),
]
ImpactedSince = Annotated[
    str | None,
    typer.Option(
        metavar="REV",
        help="Run only what may have changed since; take the rest over from the last run of that commit, marked as such.",
    ),
]
VerifyImpact = Annotated[
    bool, typer.Option("--verify-impact", help="Run a random sample of the rest too, and say where impact was wrong.")
]
ImpactSeed = Annotated[
    int | None, typer.Option(metavar="N", help="Choose that sample as a run did that named this seed.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the report.")]


@app.callback(invoke_without_command=True)
def envmatrix(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Run one test suite in every environment, and show where it holds."""
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"envmatrix {installed('envmatrix')}")
        raise typer.Exit


@app.command()
def matrix(
    ctx: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(metavar="ENV", help=_WHERE, show_default=False)] = None,
    *,
    environments: Environments = None,
    env_file: EnvFile = None,
    deadline: Deadline = None,
    test_deadline: TestDeadline = None,
    retries: Retries = 0,
    format_: Format = "terminal",
    json: Json = False,
    quiet: Quiet = False,
    shard: ShardOf = None,
    durations: Durations = None,
    history: HistoryFile = None,
    impacted_since: ImpactedSince = None,
    verify_impact: VerifyImpact = False,
    impact_seed: ImpactSeed = None,
) -> int:
    """Run the suite in several environments at the same time, all that are declared by default; show the matrix."""
    from envmatrix.report import reporter
    from envmatrix.report.progress import progress
    from envmatrix.runner.run import make_plan, run_matrix
    from envmatrix.runs.shards import Shard

    format_ = "json" if json else format_
    reporter(format_)
    plan = make_plan(
        names or (),
        environments_dir=environments,
        env_file=env_file,
        deadline=deadline,
        test_deadline=test_deadline,
        retries=retries,
        shard=Shard.chosen(shard, os.environ),
        durations=durations,
        pytest_args=ctx.obj or (),
    )
    narrowed = None
    if impacted_since is not None:
        narrowed = narrow(
            plan,
            impacted_since,
            environments=environments,
            env_file=env_file,
            history=history,
            seed=seed_of(impact_seed, wanted=verify_impact),
        )
        plan = narrowed.plan
    elif verify_impact or impact_seed is not None:
        raise UsageError(
            "--verify-impact tries what --impacted-since leaves out", "Say since when: --impacted-since REV"
        )
    with progress(quiet=quiet) as observe:
        run_dir = run_matrix(plan, observe)
    code = _finish(run_dir, format_, history)
    return verified(narrowed, run_dir, code) if narrowed else code


@app.command()
def run(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="ENV", help=_WHERE, show_default=False)],
    *,
    environments: Environments = None,
    env_file: EnvFile = None,
    deadline: Deadline = None,
    test_deadline: TestDeadline = None,
    retries: Retries = 0,
    format_: Format = "terminal",
    json: Json = False,
    shard: ShardOf = None,
    durations: Durations = None,
    history: HistoryFile = None,
) -> int:
    """Run the suite in one environment, with pytest's own output; show its column."""
    from envmatrix.report import reporter
    from envmatrix.runner.run import make_plan, run_attached
    from envmatrix.runs.shards import Shard

    format_ = "json" if json else format_
    reporter(format_)
    plan = make_plan(
        [name],
        environments_dir=environments,
        env_file=env_file,
        deadline=deadline,
        test_deadline=test_deadline,
        retries=retries,
        shard=Shard.chosen(shard, os.environ),
        durations=durations,
        pytest_args=ctx.obj or (),
    )
    run_dir = run_attached(plan, stdout=sys.stderr.fileno() if format_ == "json" else None)
    return _finish(run_dir, format_, history)


@app.command()
def show(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN", help="Run files, or directories of them.", show_default=False)
    ] = None,
    *,
    format_: Format = "terminal",
    json: Json = False,
    mixed_commits: Mixed = False,
) -> int:
    """Show the matrix from run files, or directories of them; by default of the last run."""
    from envmatrix.environments import Project
    from envmatrix.runs.directory import latest, load_paths

    paths = runs or [latest(Project.find(Path.cwd()).runs_dir)]
    return _report(load_paths(paths), "json" if json else format_, mixed_commits=mixed_commits)


@app.command()
def merge(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH", help="Run files, directories of them, .zip or .tar.gz of either.", show_default=False
        ),
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where to write; by default beside the other runs, as the last one."),
    ] = None,
    expect: Annotated[
        list[str] | None,
        typer.Option(metavar="ENV", help="An environment that must be there, beside those of the manifests."),
    ] = None,
    mixed_commits: Mixed = False,
    mixed_contracts: Annotated[
        bool,
        typer.Option("--mixed-contracts", help="Merge runs whose fixtures keep different versions of the contract."),
    ] = False,
    format_: Format = "terminal",
    json: Json = False,
    history: HistoryFile = None,
) -> int:
    """Put the shards of a run together, and the runs of several environments; show the matrix.

    What is missing is in the matrix, with the reason; what does not belong together is refused.
    """
    from envmatrix.environments import Project
    from envmatrix.report import reporter
    from envmatrix.runs.directory import RunDir
    from envmatrix.runs.merge import Allowed
    from envmatrix.runs.merge import merge as put_together

    format_ = "json" if json else format_
    reporter(format_)
    runs_dir = Project.find(Path.cwd()).runs_dir
    run_dir = put_together(
        paths,
        lambda labels: RunDir.at(output, labels) if output else RunDir.create(runs_dir, labels),
        expect=expect or (),
        allowed=Allowed(commits=mixed_commits, contracts=mixed_contracts),
    )
    return _finish(run_dir, format_, history, mixed_commits=mixed_commits)


app.command()(explain)
app.command()(validate)
app.command("compare")(compare_commands.compare_command)
app.command()(history_commands.history)
app.command()(gate_commands.gate)
app.command()(gate_commands.promote)
app.command()(plan)
app.command()(audit)
app.command()(impact)
app.command()(fixtures)
app.add_typer(gate_commands.baseline_app)
app.add_typer(gate_commands.waivers_app)


def _finish(run_dir: RunDir, format_: str, history: Path | None, *, mixed_commits: bool = False) -> int:
    """Print the report of runs that have just ended, then remember them: whatever becomes of that, the code is theirs.

    A shard that was just run is judged for what it is, and what is remembered is the whole, once it is merged.
    """
    loaded = run_dir.load()
    try:
        return _report(loaded, format_, where=run_dir.path, mixed_commits=mixed_commits, as_parts=True)
    finally:
        history_commands.record(loaded.runs, history)


def _report(
    loaded: Loaded,
    format_: str,
    *,
    where: Path | None = None,
    mixed_commits: bool = False,
    as_parts: bool = False,
) -> int:
    """Print the report; return the exit code that its verdicts call for."""
    from envmatrix.gate import exit_code, judge_all
    from envmatrix.matrix.table import matrix_of
    from envmatrix.report import reporter

    found = matrix_of(loaded, mixed_commits=mixed_commits)
    verdicts = judge_all(found, as_parts=as_parts)
    typer.echo(reporter(format_)(found, verdicts), nl=False)
    if where is not None:
        typer.echo(f"Run files and logs: {os.path.relpath(where)}", err=True)
    return exit_code(verdicts)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line. What follows `--` is pytest's."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    cut = words.index("--") if "--" in words else len(words)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show must not end us
    sys.exit(_call(words[:cut], tuple(words[cut + 1 :])))


def _drop_output() -> None:
    """Let what is still to be written go nowhere, or Python complains, and has an exit code of its own, when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _call(words: list[str], pytest_args: tuple[str, ...]) -> int:
    try:
        code: int = app(words, obj=pytest_args, prog_name="envmatrix", standalone_mode=False) or 0
    except EnvmatrixError as error:
        typer.echo(f"error: {error}", err=True)
        return error.exit_code
    except typer.TyperException as error:
        if message := error.format_message():  # none where the help was printed instead
            typer.echo(f"error: {message}", err=True)
        return error.exit_code
    except typer.Abort:
        code = KILLED
    except BrokenPipeError:
        _drop_output()
        return _BROKEN_PIPE
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _drop_output()
        typer.echo(f"error: nothing more can be written: {os.strerror(error.errno)}", err=True)
        return EnvmatrixError.exit_code
    if code == KILLED:  # what typer makes of KeyboardInterrupt
        typer.echo("error: killed by Ctrl-C", err=True)
    return code


if __name__ == "__main__":
    main()
