"""`envmatrix matrix --watch`: after each change of a file, run again what failed or what the change may affect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from envmatrix.commands.impact import impact_of
from envmatrix.commands.options import RunOptions
from envmatrix.commands.show import report_run
from envmatrix.exceptions import EnvmatrixError, UsageError
from envmatrix.git import working_tree

if TYPE_CHECKING:
    from envmatrix.analysis.impact import FileChange, Impact
    from envmatrix.matrix.compare import Side
    from envmatrix.matrix.table import Matrix
    from envmatrix.runner.plan import Plan
    from envmatrix.runs.cells import Run
    from envmatrix.runs.directory import RunDir
    from envmatrix.runs.reused import Reuse

_NAMED = 3
"""Changed files to name."""

RunPlan = Callable[["Plan"], tuple["RunDir", bool]]
"""Runs a plan; also returns whether the user ended it."""


class Rounds:
    """Rounds of tests: the first as asked for, each later one of what failed or may have changed since the one before."""

    def __init__(self, first: Plan, plan_again: Callable[[], Plan], run: RunPlan, options: RunOptions) -> None:
        """`plan_again` makes the plan of a later round, from the declarations as they are by then.

        Raises:
            UsageError: another option does not go with rounds.
        """
        if first.shard is not None:
            raise UsageError("--watch and --shard exclude each other", "Leave --shard out")
        if options.format not in ("terminal", "full"):
            how = "Leave --format out; envmatrix show has every format of the last round"
            raise UsageError(f"--watch shows no {options.format}", how)
        self._root = first.project.root
        self._first = first
        self._plan_again = plan_again
        self._run = run
        self._options = options
        self._runs: Mapping[str, Run] = {}
        """Environment → its run in the last round."""
        self._before: Side | None = None
        """How each environment was when it last had a run."""
        self._code = EnvmatrixError.exit_code

    def run(self) -> int:
        """Run rounds until Ctrl-C; return the exit code of the last one that ended, 3 where none has.

        Raises:
            MissingExtraError: watchfiles is not installed.
            UsageError: the project is no git checkout, or cannot be watched.
        """
        from envmatrix.runner.watched import WatchedFiles, wakes

        with suppress(KeyboardInterrupt), closing(wakes(self._root)) as waking:
            next(waking)  # from here on changes are noted
            files = WatchedFiles(self._root)
            self._round(self._first)
            changed: set[str] = set()
            while True:
                changed |= next(waking)
                changes = files.changes(changed)
                try:
                    plan = self._narrowed(self._plan_again(), changes) if changes else None
                except EnvmatrixError as error:  # an edit that is not finished yet
                    _say(f"error: {error}")
                    continue
                changed.clear()
                files.accept(changes)
                if plan is not None:
                    self._round(plan)
        return self._code

    def _round(self, plan: Plan) -> None:
        """Run one round and show what it changed.

        Raises:
            KeyboardInterrupt: the user ended it.
        """
        run_dir, is_over = self._run(plan)
        if is_over:
            raise KeyboardInterrupt
        self._code = report_run(
            run_dir, self._options.format, self._options.history, html=self._options.html, preface=self._preface
        )
        _say("Waiting for a file to change; Ctrl-C ends")

    def _preface(self, matrix: Matrix) -> str:
        """Remember a round; return what differs from the one before."""
        from envmatrix.matrix.compare import Side, compare
        from envmatrix.report.compare.delta import render

        self._runs = {run.header.environment: run for run in matrix.runs}
        before, now = self._before, Side.of("now", matrix)
        ran = {name: place for name, place in now.places.items() if place.cells}
        self._before = Side("before", {**(before.places if before else {}), **ran})
        return render(compare(before, now)) if before else ""

    def _narrowed(self, plan: Plan, changes: Sequence[FileChange]) -> Plan | None:
        """Return the plan of what failed or may be affected; `None` where the changes lead to no test.

        Raises:
            EnvmatrixError: pytest's configuration is broken, or a declaration is wrong.
        """
        from envmatrix.report.text import inert

        named = ", ".join(change.path for change in changes[:_NAMED])
        more = f" and {len(changes) - _NAMED} more" if len(changes) > _NAMED else ""
        impact = impact_of(plan.project, changes, self._options.environments, self._options.env_file)
        if not any(impact.selected.values()):
            _say(inert(f"{named}{more} changed, which leads to no test"))
            return None
        reuse = {
            each.name: _reuse(self._runs[each.name], impact, each.declared_name)
            for each in plan.environments
            if each.name in self._runs
        }
        _say(inert(f"{named}{more} changed"))
        here = working_tree(self._root)
        return replace(plan, reuse=reuse, commit=here.commit, dirty=here.dirty)


def _reuse(run: Run, impact: Impact, declared_name: str) -> Reuse:
    """Return the cells of the round before that stand: what passed or was skipped, and no change leads to."""
    from envmatrix.runs.nodeid import function_of
    from envmatrix.runs.reused import Reuse

    selected = set(impact.selected.get(declared_name, ()))
    failed = {function_of(cell.test) for cell in run.cells.values() if cell.outcome.needs_attention}
    return Reuse.of(run, selected | failed, frozenset(impact.tests.get(declared_name, ())))


def _say(line: str) -> None:
    typer.echo(line, err=True)
