"""`envmatrix gate`, `promote`, `baseline update` and `waivers update`: decide on a matrix."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envmatrix.commands.history import earlier_numbers, past_runs
from envmatrix.commands.options import HistoryFile, Json, MixedCommits, Runs, load_matrix
from envmatrix.exceptions import UsageError
from envmatrix.git import full_commit, working_tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from envmatrix.environments import Project
    from envmatrix.gate import Reason
    from envmatrix.gate.baseline import Baseline
    from envmatrix.gate.decide import Decision
    from envmatrix.gate.waivers import Waiver
    from envmatrix.matrix.table import Column, Matrix

BaselineFile = Annotated[
    Path | None, typer.Option("--baseline", metavar="FILE", help="Baseline to compare with; by default the project's.")
]
WaiversFile = Annotated[
    Path | None, typer.Option("--waivers", metavar="FILE", help="Waivers to apply; by default the project's.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")]


def gate(
    runs: Runs = None,
    *,
    baseline: BaselineFile = None,
    waivers: WaiversFile = None,
    history: HistoryFile = None,
    commit: Annotated[str, typer.Option(metavar="REV", help="Commit to judge; by default HEAD.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the decision, but exit with 0.")] = False,
    json: Json = False,
    mixed_commits: MixedCommits = False,
) -> int:
    """Decide whether a change may be merged: what got worse shuts the gate, and missing evidence leaves it unknown.

    Runs of different commits never open the gate.
    """
    from envmatrix.gate import Answer, Code, Reason
    from envmatrix.report.gate import json_, text

    project = _project()
    change = _commit(project.root, commit) if commit else full_commit(project.root, "HEAD")
    matrix = load_matrix(project, runs, mixed_commits=mixed_commits)
    decision = _decide(project, matrix, baseline, waivers, change, history=history)
    if not change:
        why = f"the commit to judge is unknown: {working_tree(project.root).problem}. Name it: --commit REV"
        unknown = Reason(Code.NO_COMMIT, why, Answer.UNKNOWN)
        decision = replace(decision, overall=(unknown, *decision.overall))
    typer.echo((json_ if json else text).render(decision), nl=False)
    return 0 if dry_run else decision.exit_code


def promote(
    source: Annotated[str, typer.Argument(metavar="FROM", help="Environment in which the commit passed.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="Environment to which the commit goes next.")],
    runs: Runs = None,
    *,
    commit: Annotated[str, typer.Option(metavar="REV", help="Commit to promote.")] = "HEAD",
    maximum_age: Annotated[float, typer.Option(metavar="HOURS", min=0.0, help="Age up to which a run counts.")] = 24.0,
    json: Json = False,
) -> int:
    """Decide whether a commit may go from one environment to the next, and name the missing evidence."""
    from envmatrix.environments import load_environment
    from envmatrix.gate.baseline import now
    from envmatrix.gate.promote import promote as judge_promotion
    from envmatrix.report.gate import json_, text
    from envmatrix.report.gate.promotion import Promotion

    project = _project()
    for name in (source, target):
        load_environment(name, project.environments_dir)
    if source == target:
        raise UsageError(f"FROM and TO are both {source!r}", "Name two environments")
    matrix = load_matrix(project, runs, mixed_commits=True) if runs else _newest(project.runs_dir, (source, target))
    commit = _commit(project.root, commit)
    columns: dict[str, Column] = {column.environment: column for column in matrix.columns}
    verdicts = {verdict.environment: verdict for verdict in _decide(project, matrix, None, None, "").verdicts}
    verdict = judge_promotion(
        columns.get(source),
        columns.get(target),
        names=(source, target),
        verdict=verdicts.get(source),
        commit=commit,
        now=now(),
        maximum_age=maximum_age,
    )
    typer.echo((json_ if json else text).render(Promotion(verdict, commit)), nl=False)
    return verdict.answer.exit_code


baseline_app = typer.Typer(name="baseline", help="The matrix that the gate compares with.", no_args_is_help=True)
waivers_app = typer.Typer(
    name="waivers", help="Expected failures, each with an owner and an expiry.", no_args_is_help=True
)


@baseline_app.command("update")
def update_baseline(
    runs: Runs = None, *, baseline: BaselineFile = None, dry_run: DryRun = False, mixed_commits: MixedCommits = False
) -> int:
    """Write the baseline from a run."""
    from envmatrix.gate.baseline import Baseline, now, write_baseline

    project = _project()
    path = baseline or project.baseline_file
    matrix = load_matrix(project, runs, mixed_commits=mixed_commits)
    if reason := _unfit(matrix, path, project):
        raise UsageError(f"no baseline can be made: {reason}", "Make it of whole runs that you trust: envmatrix matrix")
    new = Baseline.of(matrix, now().isoformat(timespec="seconds"))
    cells, places = sum(map(len, new.environments.values())), len(new.environments)
    if not dry_run:
        write_baseline(path, new)
    commit = "an unknown commit" if new.commit == "unknown" else new.commit[:12]
    typer.echo(
        f"{path.name} {'would hold' if dry_run else 'holds'} {cells} cell{'s'[: cells != 1]} of {places} "
        f"environment{'s'[: places != 1]} at {commit}{' (dirty)' * matrix.dirty}"
    )
    return 0


def _unfit(matrix: Matrix, path: Path, project: Project) -> str:
    """Return why a matrix cannot be a baseline, empty if it can: a hole in it would be one in every decision."""
    from envmatrix.gate import Answer, Code, judge_all
    from envmatrix.gate.baseline import environments_of

    runs = {run.header.environment for run in matrix.runs}
    if not runs:
        return "there is no run"
    if other := next((run.header for run in matrix.runs if run.header.base), None):
        return f"{other.environment} is {other.base} under another name: a baseline is made of {other.base}'s own runs"
    of_tests = {Code.INFRASTRUCTURE, Code.HARNESS, Code.UNDETERMINED}  # the other tests are worth keeping
    for verdict in judge_all(matrix):
        for reason in verdict.reasons:
            is_hole = reason.calls_for is Answer.UNKNOWN and reason.code not in of_tests
            if verdict.environment in runs and (is_hole or reason.code is Code.REUSED):
                return f"{verdict.environment}: {reason.text}"
    declared = _declared(project)
    lost = [name for name in environments_of(path) if name not in runs and (declared is None or name in declared)]
    return f"{', '.join(lost)}, of the present baseline, was not run" if lost else ""


@waivers_app.command("update")
def update_waivers(
    runs: Runs = None, *, waivers: WaiversFile = None, dry_run: DryRun = False, mixed_commits: MixedCommits = False
) -> int:
    """Remove the waivers that no longer match a failure of the run; comments in the file are kept."""
    from envmatrix.gate.baseline import now
    from envmatrix.gate.waivers import apply
    from envmatrix.gate.waivers import update_waivers as rewrite

    project = _project()
    known = _read_waivers(waivers, project)
    waived = apply(
        known, load_matrix(project, runs, mixed_commits=mixed_commits).runs, now().date(), _declared(project)
    )
    for waiver in waived.stale:
        typer.echo(f"{'would remove' if dry_run else 'removed'}: {waiver.name}")
    if waived.stale and not dry_run:
        rewrite(waivers or project.waivers_file, waived.stale)
    for reason in waived.broken:
        typer.echo(f"needs a decision: {reason.text}")
    typer.echo(f"{len(known) - len(waived.stale)} of {len(known)} waivers are left")
    return 0


def _project() -> Project:
    from envmatrix.environments import Project

    return Project.find(Path.cwd())


def _declared(project: Project) -> tuple[str, ...] | None:
    """Return the declared environments; `None` where only run files are at hand, without declarations."""
    from envmatrix.environments import declared_names

    return declared_names(project.environments_dir) if project.environments_dir.is_dir() else None


def _newest(runs_dir: Path, names: Sequence[str]) -> Matrix:
    """Return the last run of each environment, wherever it was made."""
    from envmatrix.matrix.table import Matrix
    from envmatrix.runs.directory import load_paths

    runs, notes = [], {}
    for name in names:
        paths = sorted(path for path in runs_dir.glob(f"*/{name}.jsonl") if not path.parent.is_symlink())
        if paths:
            loaded = load_paths([paths[-1].parent])
            runs += [run for run in loaded.runs if run.header.environment == name]
            notes[name] = (loaded.notes or {}).get(name, "")
    return Matrix.from_runs(runs, notes=notes, mixed_commits=True)


def _decide(
    project: Project,
    matrix: Matrix,
    baseline: Path | None,
    waivers: Path | None,
    commit: str,
    *,
    history: Path | None = None,
) -> Decision:
    from envmatrix.gate.baseline import now
    from envmatrix.gate.decide import decide
    from envmatrix.gate.source import defined_below

    known, overall = _read_baseline(baseline or project.baseline_file, named=baseline is not None)
    with ExitStack() as stack:
        return decide(
            matrix,
            project.gate,
            baseline=known,
            waivers=_read_waivers(waivers, project),
            now=now(),
            overall=overall,
            commit=commit,
            declared=_declared(project),
            still_there=defined_below(project.root),
            earlier=earlier_numbers(past_runs(project, history, stack)),
        )


def _read_waivers(named: Path | None, project: Project) -> tuple[Waiver, ...]:
    from envmatrix.gate.waivers import read_waivers

    if named is not None and not named.exists():
        raise UsageError(f"no file {named}", "Name a file of waivers, or leave --waivers out")
    return read_waivers(named or project.waivers_file)


def _read_baseline(path: Path, *, named: bool) -> tuple[Baseline | None, tuple[Reason, ...]]:
    """Return the baseline, or a reason that says why there is none."""
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
        return revision  # a whole hash needs no checkout
    raise UsageError(f"no commit {revision!r} in {root}", working_tree(root).problem or "Name a commit that git knows")
