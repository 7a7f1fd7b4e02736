"""`envmatrix gate`, `promote`, `baseline update` and `waivers update`: from a matrix to a decision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from test_framework.commands.git import full_commit
from test_framework.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from test_framework.environments import Project
    from test_framework.gate import Reason
    from test_framework.gate.baseline import Baseline
    from test_framework.gate.decide import Decision
    from test_framework.matrix import Column, Matrix

Runs = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="RUN", help="Run files, or directories of them; by default the last run.", show_default=False
    ),
]
BaselineFile = Annotated[Path | None, typer.Option("--baseline", metavar="FILE", help="What was so before.")]
WaiversFile = Annotated[Path | None, typer.Option("--waivers", metavar="FILE", help="Known failures, owned and due.")]
Json = Annotated[bool, typer.Option("--json", help="The decision as one JSON document.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, and do nothing; the gate exits with 0.")
]
Mixed = Annotated[bool, typer.Option("--mixed-commits", help="Take runs of different commits together.")]


def gate(
    runs: Runs = None,
    *,
    baseline: BaselineFile = None,
    waivers: WaiversFile = None,
    dry_run: DryRun = False,
    json: Json = False,
    mixed_commits: Mixed = False,
) -> int:
    """Decide whether a change may pass: what got worse keeps the gate shut, what nobody knows leaves it unknown."""
    from test_framework.report.gate import as_json, as_text

    decision = _decide(_matrix(runs, mixed_commits=mixed_commits), baseline, waivers)
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
    from test_framework.environments import Project, load_environment
    from test_framework.gate.baseline import now
    from test_framework.gate.promote import promote as judge_promotion
    from test_framework.report.gate import promotion_as_json, promotion_as_text

    project = Project.find(Path.cwd())
    for name in (source, target):
        load_environment(name, project.environments_dir)
    matrix = _matrix(runs, mixed_commits=True)
    columns: dict[str, Column] = {column.environment: column for column in matrix.columns}
    verdicts = {verdict.environment: verdict for verdict in _decide(matrix, None, None).verdicts}
    verdict = judge_promotion(
        columns.get(source),
        columns.get(target),
        names=(source, target),
        verdict=verdicts.get(source),
        commit=_commit(project.root, commit),
        now=now(),
        maximum_age=maximum_age,
    )
    typer.echo(promotion_as_json(verdict) if json else promotion_as_text(verdict), nl=False)
    return verdict.answer.exit_code


baseline_app = typer.Typer(name="baseline", help="What was so before, for the gate.", no_args_is_help=True)
waivers_app = typer.Typer(name="waivers", help="Failures that are known, owned and due.", no_args_is_help=True)


@baseline_app.command("update")
def update_baseline(
    runs: Runs = None, *, baseline: BaselineFile = None, dry_run: DryRun = False, mixed_commits: Mixed = False
) -> int:
    """Make what a run says the baseline; comments in the file are kept."""
    from test_framework.gate.baseline import Baseline, now, write_baseline

    matrix = _matrix(runs, mixed_commits=mixed_commits)
    incomplete = [run.header.label for run in matrix.runs if not run.complete]
    if incomplete or not matrix.runs:
        what = f"the run of {', '.join(incomplete)} is incomplete" if incomplete else "there is no run"
        raise UsageError(f"no baseline can be made: {what}", "Make one: envmatrix matrix")
    path = baseline or _project().baseline_file
    made = Baseline.of(matrix, now().isoformat(timespec="seconds"))
    tests = sum(map(len, made.environments.values()))
    if not dry_run:
        write_baseline(path, made)
    said = "would be" if dry_run else "is"
    typer.echo(
        f"{path.name} {said} what {tests} cells of {len(made.environments)} environments say at {made.commit[:12]}"
    )
    return 0


@waivers_app.command("update")
def update_waivers(
    runs: Runs = None, *, waivers: WaiversFile = None, dry_run: DryRun = False, mixed_commits: Mixed = False
) -> int:
    """Take out the waivers that fit nothing any more, by what a run says; comments in the file are kept."""
    from test_framework.gate.baseline import now
    from test_framework.gate.waivers import apply, read_waivers
    from test_framework.gate.waivers import update_waivers as rewrite

    path = waivers or _project().waivers_file
    known = read_waivers(path)
    stale = apply(known, _matrix(runs, mixed_commits=mixed_commits).runs, now().date()).stale
    for waiver in stale:
        typer.echo(f"{'would take' if dry_run else 'took'} out: {waiver.name}")
    if stale and not dry_run:
        rewrite(path, stale)
    typer.echo(f"{len(known) - len(stale)} of {len(known)} waivers are left")
    return 0


def _project() -> Project:
    from test_framework.environments import Project

    return Project.find(Path.cwd())


def _matrix(runs: Sequence[Path] | None, *, mixed_commits: bool) -> Matrix:
    from test_framework.runs import latest, load_paths

    return load_paths(runs or [latest(_project().runs_dir)]).matrix(mixed_commits=mixed_commits)


def _decide(matrix: Matrix, baseline: Path | None, waivers: Path | None) -> Decision:
    from test_framework.gate.baseline import now
    from test_framework.gate.decide import decide
    from test_framework.gate.waivers import read_waivers

    project = _project()
    known, said = _read_baseline(baseline or project.baseline_file, named=baseline is not None)
    return decide(
        matrix,
        project.gate,
        baseline=known,
        waivers=read_waivers(waivers or project.waivers_file),
        now=now(),
        overall=said,
    )


def _read_baseline(path: Path, *, named: bool) -> tuple[Baseline | None, tuple[Reason, ...]]:
    """Return the baseline and what is to be said of it: that there is none is never passed over."""
    from test_framework.exceptions import BaselineError
    from test_framework.gate import Answer, Code, Reason
    from test_framework.gate.baseline import read_baseline

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
    raise UsageError(f"no commit {revision!r} in {root}", "Name one that git knows")
