"""`envmatrix gate`, `promote`, `baseline update` and `waivers update`: from a matrix to a decision."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envmatrix.commands.git import full_commit
from envmatrix.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envmatrix.environments import Project
    from envmatrix.gate import Reason
    from envmatrix.gate.baseline import Baseline
    from envmatrix.gate.decide import Decision
    from envmatrix.gate.waivers import Waiver
    from envmatrix.matrix.table import Column, Matrix

Runs = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="RUN", help="Run files, or directories of them; by default the last run.", show_default=False
    ),
]
BaselineFile = Annotated[Path | None, typer.Option("--baseline", metavar="FILE", help="What was so before.")]
WaiversFile = Annotated[Path | None, typer.Option("--waivers", metavar="FILE", help="Known failures, owned and due.")]
Json = Annotated[bool, typer.Option("--json", help="The decision as one JSON document.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Mixed = Annotated[bool, typer.Option("--mixed-commits", help="Take runs of different commits together.")]


def gate(
    runs: Runs = None,
    *,
    baseline: BaselineFile = None,
    waivers: WaiversFile = None,
    commit: Annotated[
        str,
        typer.Option(metavar="REV", help="The commit that the change is at; by default HEAD.", show_default=False),
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Decide, and exit with 0 whatever comes of it.")] = False,
    json: Json = False,
    mixed_commits: Annotated[
        bool,
        typer.Option("--mixed-commits", help="Look at runs of different commits together; that never opens the gate."),
    ] = False,
) -> int:
    """Decide whether a change may pass: what got worse keeps the gate shut, what nobody knows leaves it unknown."""
    from envmatrix.report.gate import as_json, as_text

    root = _project().root
    change = _commit(root, commit) if commit else full_commit(root, "HEAD")
    decision = _decide(_matrix(runs, mixed_commits=mixed_commits), baseline, waivers, change)
    typer.echo(as_json(decision) if json else as_text(decision), nl=False)
    return 0 if dry_run else decision.exit_code


def promote(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The environment that a commit was tried in.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="The environment that it is to go to.")],
    runs: Runs = None,
    *,
    commit: Annotated[str, typer.Option(metavar="REV", help="The commit to promote.")] = "HEAD",
    maximum_age: Annotated[float, typer.Option(metavar="HOURS", min=0.0, help="How old a run may be to count.")] = 24.0,
    json: Json = False,
) -> int:
    """Say whether a commit may go from one environment to the next, and which evidence for that is missing."""
    from envmatrix.environments import Project, load_environment
    from envmatrix.gate.baseline import now
    from envmatrix.gate.promote import promote as judge_promotion
    from envmatrix.report.gate import promotion_as_json, promotion_as_text

    project = Project.find(Path.cwd())
    for name in (source, target):
        load_environment(name, project.environments_dir)
    if source == target:
        raise UsageError(f"{source} is where it comes from and where it goes to", "Name two environments")
    matrix = _matrix(runs, mixed_commits=True) if runs else _newest(project.runs_dir, (source, target))
    named = _commit(project.root, commit)
    columns: dict[str, Column] = {column.environment: column for column in matrix.columns}
    verdicts = {verdict.environment: verdict for verdict in _decide(matrix, None, None, "").verdicts}
    verdict = judge_promotion(
        columns.get(source),
        columns.get(target),
        names=(source, target),
        verdict=verdicts.get(source),
        commit=named,
        now=now(),
        maximum_age=maximum_age,
    )
    typer.echo(promotion_as_json(verdict, named) if json else promotion_as_text(verdict, named), nl=False)
    return verdict.answer.exit_code


baseline_app = typer.Typer(name="baseline", help="What was so before, for the gate.", no_args_is_help=True)
waivers_app = typer.Typer(name="waivers", help="Failures that are known, owned and due.", no_args_is_help=True)


@baseline_app.command("update")
def update_baseline(
    runs: Runs = None, *, baseline: BaselineFile = None, dry_run: DryRun = False, mixed_commits: Mixed = False
) -> int:
    """Make what a run says the baseline; comments in the file are kept."""
    from envmatrix.gate.baseline import Baseline, now, write_baseline

    project = _project()
    path = baseline or project.baseline_file
    matrix = _matrix(runs, mixed_commits=mixed_commits)
    if what := _unfit(matrix, path, project):
        raise UsageError(f"no baseline can be made: {what}", "Make it of whole runs that you trust: envmatrix matrix")
    made = Baseline.of(matrix, now().isoformat(timespec="seconds"))
    cells, places = sum(map(len, made.environments.values())), len(made.environments)
    if not dry_run:
        write_baseline(path, made)
    commit = "no known commit" if made.commit == "unknown" else made.commit[:12]
    typer.echo(
        f"{path.name} {'would be' if dry_run else 'is'} what {cells} cell{'s'[: cells != 1]} of {places} "
        f"environment{'s'[: places != 1]} say at {commit}{' (dirty)' * matrix.dirty}"
    )
    return 0


def _unfit(matrix: Matrix, path: Path, project: Project) -> str:
    """Say why a matrix is no baseline: a hole in it would be one in every decision; empty where it is one."""
    from envmatrix.gate import Answer, Code, judge_all
    from envmatrix.gate.baseline import environments_of

    runs = {run.header.environment for run in matrix.runs}
    if not runs:
        return "there is no run"
    told = {Code.INFRASTRUCTURE, Code.HARNESS, Code.UNDETERMINED}  # of single tests: the rest is worth keeping
    for verdict in judge_all(matrix):
        for reason in verdict.reasons:
            is_hole = reason.calls_for is Answer.UNKNOWN and reason.code not in told
            if verdict.environment in runs and (is_hole or reason.code is Code.CARRIED):
                return f"{verdict.environment}: {reason.text}"
    declared = _declared(project)
    lost = [name for name in environments_of(path) if name not in runs and (declared is None or name in declared)]
    return f"{', '.join(lost)}, of the baseline before, was not run" if lost else ""


@waivers_app.command("update")
def update_waivers(
    runs: Runs = None, *, waivers: WaiversFile = None, dry_run: DryRun = False, mixed_commits: Mixed = False
) -> int:
    """Take out the waivers that fit nothing any more, by what a run says; comments in the file are kept."""
    from envmatrix.gate.baseline import now
    from envmatrix.gate.waivers import apply
    from envmatrix.gate.waivers import update_waivers as rewrite

    project = _project()
    known = _read_waivers(waivers, project)
    waived = apply(known, _matrix(runs, mixed_commits=mixed_commits).runs, now().date(), _declared(project))
    for waiver in waived.stale:
        typer.echo(f"{'would take' if dry_run else 'took'} out: {waiver.name}")
    if waived.stale and not dry_run:
        rewrite(waivers or project.waivers_file, waived.stale)
    for reason in waived.broken:
        typer.echo(f"for you to decide: {reason.text}")
    typer.echo(f"{len(known) - len(waived.stale)} of {len(known)} waivers are left")
    return 0


def _project() -> Project:
    from envmatrix.environments import Project

    return Project.find(Path.cwd())


def _declared(project: Project) -> tuple[str, ...] | None:
    """Return the environments that there are; `None` where only run files were brought here."""
    from envmatrix.environments import declared_names

    return declared_names(project.environments_dir) if project.environments_dir.is_dir() else None


def _matrix(runs: Sequence[Path] | None, *, mixed_commits: bool) -> Matrix:
    from envmatrix.matrix.table import matrix_of
    from envmatrix.runs.directory import latest, load_paths

    return matrix_of(load_paths(runs or [latest(_project().runs_dir)]), mixed_commits=mixed_commits)


def _newest(runs_dir: Path, names: Sequence[str]) -> Matrix:
    """Return the last run of each environment, wherever it was made."""
    from envmatrix.matrix.table import Matrix
    from envmatrix.runs.directory import load_paths

    runs, notes = [], {}
    for name in names:
        found = sorted(path for path in runs_dir.glob(f"*/{name}.jsonl") if not path.parent.is_symlink())
        if found:
            loaded = load_paths([found[-1].parent])
            runs += [run for run in loaded.runs if run.header.environment == name]
            notes[name] = (loaded.notes or {}).get(name, "")
    return Matrix.from_runs(runs, notes=notes, mixed_commits=True)


def _decide(matrix: Matrix, baseline: Path | None, waivers: Path | None, commit: str) -> Decision:
    from envmatrix.gate.baseline import now
    from envmatrix.gate.decide import decide
    from envmatrix.gate.source import defined_below

    project = _project()
    known, said = _read_baseline(baseline or project.baseline_file, named=baseline is not None)
    return decide(
        matrix,
        project.gate,
        baseline=known,
        waivers=_read_waivers(waivers, project),
        now=now(),
        overall=said,
        commit=commit,
        declared=_declared(project),
        still_there=defined_below(project.root),
    )


def _read_waivers(named: Path | None, project: Project) -> tuple[Waiver, ...]:
    from envmatrix.gate.waivers import read_waivers

    if named is not None and not named.exists():
        raise UsageError(f"there are no waivers at {named}", "Name a file of them, or leave --waivers out")
    return read_waivers(named or project.waivers_file)


def _read_baseline(path: Path, *, named: bool) -> tuple[Baseline | None, tuple[Reason, ...]]:
    """Return the baseline and what is to be said of it: that there is none is never passed over."""
    from envmatrix.exceptions import BaselineError
    from envmatrix.gate import Answer, Code, Reason
    from envmatrix.gate.baseline import read_baseline

    if not named and not path.exists():
        text = f"there is no baseline at {path.name}: every failure counts. Make one: envmatrix baseline update"
        return None, (Reason(Code.BASELINE, text, Answer.COMPATIBLE),)
    try:
        return read_baseline(path), ()
    except BaselineError as error:
        return None, (Reason(Code.BASELINE, str(error), Answer.UNKNOWN),)


def _commit(root: Path, revision: str) -> str:
    if commit := full_commit(root, revision):
        return commit
    if re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", revision):
        return revision  # in full: also where there is no checkout
    raise UsageError(f"no commit {revision!r} in {root}", "Name one that git knows")
