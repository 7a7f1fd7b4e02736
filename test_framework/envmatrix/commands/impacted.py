"""`envmatrix matrix --impacted-since`: run what may have changed, take the rest over from a run of that commit."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from envmatrix.commands.history import history_file
from envmatrix.commands.impact import find_impact
from envmatrix.exceptions import HistoryError, RunFileError, UsageError
from envmatrix.git import working_tree

if TYPE_CHECKING:
    from envmatrix.environments import Environment
    from envmatrix.runner.plan import Plan
    from envmatrix.runs.cells import Run
    from envmatrix.runs.ping import Ping


def narrow(plan: Plan, since: str, *, environments: Path | None, env_file: Path | None, history: Path | None) -> Plan:
    """Leave out the tests that no change since a revision may affect, and reuse their results of a run of it.

    Raises:
        UsageError: git knows no such revision, or the plan is of a part of the suite.
        EnvmatrixError: pytest's configuration is broken.
    """
    from envmatrix.runs.contexts import contexts_at
    from envmatrix.runs.nodeid import function_of
    from envmatrix.runs.reused import Reuse

    _refuse_parts(plan)
    found = find_impact(plan.project, since, environments, env_file)
    reuse: dict[str, Reuse] = {}
    for environment in plan.environments:
        name, declared = environment.name, environment.declared_name
        known = frozenset(found.impact.tests.get(declared, ()))
        selected = found.impact.selected.get(declared, {})
        if selected.keys() >= known:
            _say(f"{name}: all {len(known)} tests are run: what changed may lead to each")
            continue
        run, why = _run_at(plan, environment, found.commit, history)
        if run is None:
            _say(f"{name}: all {len(known)} tests are run: {why}")
            continue
        contexts = contexts_at(plan.project.runs_dir, name, found.commit)
        reuse[name] = Reuse.of(run, selected, known, contexts)
        left = len(known) - len({function_of(test) for test in reuse[name].tests})
        _say(f"{name}: {left} of {len(known)} tests are run, the others taken over from commit {found.commit[:12]}")
    here = working_tree(plan.project.root)
    return replace(plan, reuse=reuse, commit=here.commit, dirty=here.dirty)


def _refuse_parts(plan: Plan) -> None:
    """Refuse what would make two choices of one."""
    from envmatrix.runner.pytest_options import chooses_tests

    if plan.shard is not None:
        # A shard's file says of the whole suite what its shards are to bring: tests that were taken over are nobody's.
        how = "Leave --shard out: what may have changed is run in one piece, and shards are for runs of everything"
        raise UsageError("--impacted-since and --shard exclude each other", how)
    if any(environment.overrides for environment in plan.environments):
        how = "Run all tests where a declaration is changed for the run"
        raise UsageError("--impacted-since and --set exclude each other", how)
    chosen = [word for word in plan.pytest_args if chooses_tests(word)] or (
        list(plan.pytest_args) if plan.suites != plan.project.suites else []
    )
    if chosen:
        what = f"--impacted-since chooses the tests, and so does {' '.join(chosen)!r}"
        raise UsageError(what, "Give pytest no paths, -k or -m beside it")


def _run_at(plan: Plan, environment: Environment, commit: str, history: Path | None) -> tuple[Run | None, str]:
    """Return a run of an environment at a commit that the present one can stand beside, or why there is none."""
    run = _in_run_files(plan.project.runs_dir, environment.name, commit) or _in_history(
        history_file(plan.project, history), environment.name, commit
    )
    if run is None:
        return None, f"no whole run of commit {commit[:12]} is known"
    difference = _difference(environment, run) or _difference_of_remote(environment, run)
    return (None, difference) if difference else (run, "")


def _difference(environment: Environment, run: Run) -> str:
    """Return how the run differed from what would be run now, its commit aside; empty if in nothing."""
    from envmatrix.runs.reused import versions

    header, commit = run.header, run.header.commit[:12]
    if header.label != environment.label:
        return f"commit {commit} was run in {header.label}, which is another target"
    if header.sources != {name: spec.source.value for name, spec in environment.services.items()}:
        return f"the services of commit {commit} came from elsewhere"
    held = {name: header.versions.get(name, "unknown") for name in versions()}
    if different := [f"{name} {held[name]}" for name, now in versions().items() if held[name] != now]:
        return f"commit {commit} was run with {', '.join(different)}"
    return f"the run of commit {commit} is mixed: under it, {run.mixed[0]}" if run.mixed else ""


def _difference_of_remote(environment: Environment, run: Run) -> str:
    """Return which remote service may not be what the earlier run met; empty if each attests the same version as then."""
    from envmatrix.environments import Source
    from envmatrix.services import kind_of

    attested = {name: ping for each in run.attestations for name, ping in each.services.items()}
    for name, spec in environment.services.items():
        if spec.source is not Source.REMOTE or spec.url is None or environment.twin:
            continue  # a twin's code is ours, and known by the commit
        before = _deployment(attested[name]) if name in attested else ""
        if not before:
            return f"{name} is remote, and its version and commit at commit {run.header.commit[:12]} are not known"
        kind = kind_of(spec)
        now = _deployment(kind.ping(spec, kind.connect(spec, spec.url.get_secret_value()), spec.ping_deadline))
        if now != before:
            return f"{name} is remote, and was {before} then; now it is {now or 'of a version that is not known'}"
    return ""


def _deployment(ping: Ping) -> str:
    """Return the version, commit and image that a service claims; empty if it claims none."""
    if not ping.identity:
        return ping.version
    return ", ".join(f"{key} {ping.identity[key]}" for key in ("version", "commit", "image") if ping.identity.get(key))


def _in_run_files(runs_dir: Path, name: str, commit: str) -> Run | None:
    from envmatrix.runs.file import read_header, read_run

    for path in sorted(runs_dir.glob(f"*/{name}.jsonl"), reverse=True):
        with suppress(RunFileError):
            header = read_header(path)
            is_whole = header.commit == commit and not (header.dirty or header.narrowed)
            if is_whole and (run := read_run(path)).footer is not None:
                return run
    return None


def _in_history(path: Path, name: str, commit: str) -> Run | None:
    from envmatrix.history import History

    if not path.exists():
        return None
    try:
        with History(path) as asked:
            matrix = asked.matrix_of(commit)
    except HistoryError as error:
        _say(f"warning: {error.message}")
        return None
    runs = {run.header.environment: run for run in matrix.runs} if matrix else {}
    run = runs.get(name)
    is_whole = run is not None and run.footer is not None and not (run.header.dirty or run.header.narrowed)
    return run if is_whole else None


def _say(line: str) -> None:
    typer.echo(line, err=True)
