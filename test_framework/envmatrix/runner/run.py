"""Run a plan: every environment at once, or one on our own terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from envmatrix.runner.plan import Plan
from envmatrix.runner.processes import Child, run_all, run_one
from envmatrix.runs.directory import RunDir
from envmatrix.runs.killed import finish_run
from envmatrix.runs.reused import complete, write_unstarted

_BACKSTOP = 10.0
"""Seconds that a run gets to end itself at its deadline before it is ended from outside."""


def run_matrix(
    plan: Plan, observe: Callable[[Sequence[Child]], None] = lambda _: None, *, at_once: bool = True
) -> RunDir:
    """Run every environment of a plan, at once or one after the other, each with its own run file and log.

    Raises:
        KeyboardInterrupt: Ctrl-C came a second time; everything was killed.
    """
    run_dir = RunDir.create(plan.project.runs_dir, plan.labels)
    starting = [each for each in plan.environments if each.name not in plan.reuse or plan.reuse[each.name].starts]
    jobs = [plan.job(environment, run_dir) for environment in starting]
    children = [
        child
        for turn in ([jobs] if at_once else [[job] for job in jobs])
        for child in run_all(turn, cwd=plan.project.root, deadline=plan.deadline, patience=_BACKSTOP, observe=observe)
    ]
    for job in jobs:
        finish_run(job.run_file)
        if (reuse := plan.reuse.get(job.environment)) is not None:
            complete(job.run_file, reuse)
    for name, reuse in plan.reuse.items():
        if not reuse.starts:
            write_unstarted(run_dir.run_file(name), reuse, commit=plan.commit, dirty=plan.dirty)
        reuse.write_contexts(run_dir.run_file(name))
    run_dir.write_manifest(plan.labels, {child.job.environment: child.ending for child in children})
    return run_dir


def run_attached(plan: Plan, *, stdout: int | None = None) -> RunDir:
    """Run the one environment of a plan on our own terminal; pytest's output goes to `stdout`."""
    run_dir = RunDir.create(plan.project.runs_dir, plan.labels)
    (environment,) = plan.environments
    job = plan.job(environment, run_dir)
    code, note = run_one(job.command, cwd=plan.project.root, deadline=plan.deadline, patience=_BACKSTOP, stdout=stdout)
    finish_run(job.run_file)
    run_dir.write_manifest(plan.labels, {environment.run_name: note or job.ending(code)})
    return run_dir
