"""Run a plan: several environments at once, or one on our own terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from envmatrix.runner.plan import Plan
from envmatrix.runner.processes import Child, run_all, run_one
from envmatrix.runner.turns import carried, longest_first
from envmatrix.runs.directory import RunDir
from envmatrix.runs.killed import finish_run
from envmatrix.runs.reused import complete, write_unstarted

_BACKSTOP = 10.0
"""Seconds that a run gets to end itself at its deadline before it is ended from outside."""


def run_matrix(
    plan: Plan, observe: Callable[[Sequence[Child]], None] = lambda _: None, *, at_once: int | None = None
) -> RunDir:
    """Run every environment of a plan, so many at once, each with its own run file and log; what takes longest first.

    By default it is what the project says, or what the machine carries.

    Raises:
        KeyboardInterrupt: Ctrl-C came a second time; everything was killed.
    """
    run_dir = RunDir.create(plan.runs_dir, plan.labels)
    starting = [each for each in plan.environments if each.name not in plan.reuse or plan.reuse[each.name].starts]
    jobs = [plan.job(environment, run_dir) for environment in starting]
    at_once = at_once or plan.project.jobs or carried()
    turns = longest_first(jobs, plan.project.runs_dir) if at_once < len(jobs) else jobs
    children = run_all(turns, deadline=plan.deadline, patience=_BACKSTOP, at_once=at_once, observe=observe)
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
    run_dir = RunDir.create(plan.runs_dir, plan.labels)
    (environment,) = plan.environments
    job = plan.job(environment, run_dir)
    code, note = run_one(job.command, cwd=job.cwd, deadline=plan.deadline, patience=_BACKSTOP, stdout=stdout)
    finish_run(job.run_file)
    run_dir.write_manifest(plan.labels, {environment.run_name: note or job.ending(code)})
    return run_dir
