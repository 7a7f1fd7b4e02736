"""`envmatrix compare`: what changed from one matrix to another."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envmatrix.commands.git import full_commit
from envmatrix.commands.history import HistoryFile, history_file
from envmatrix.exceptions import HistoryError, UsageError

if TYPE_CHECKING:
    from envmatrix.environments import Project
    from envmatrix.history import History
    from envmatrix.matrix.compare import Side

_SIDE = "`baseline`, `last`, a run file, a directory of them, or a commit that was recorded."


def compare_command(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help=_SIDE)],
    after: Annotated[str, typer.Argument(metavar="AFTER", help=_SIDE)],
    *,
    history: HistoryFile = None,
    json: Annotated[bool, typer.Option("--json", help="The comparison as one JSON document.")] = False,
) -> int:
    """Say what changed from one matrix to another: what regressed, was fixed, is new, gone, renamed, slower.

    Ends with 0 where nothing got worse, 1 where something did, and 3 where nobody can say.
    """
    from envmatrix.environments import Project
    from envmatrix.matrix.compare import compare, no_history
    from envmatrix.report.compare import as_json, as_text

    project = Project.find(Path.cwd())
    path = history_file(project, history)
    with ExitStack() as stack:
        asked = None
        if history is not None or path.exists():
            asked = _history(path, stack)
        sides = _Sides(project, path, asked)
        comparison = compare(
            sides.resolve(before),
            sides.resolve(after),
            durations=asked.earlier_durations if asked else no_history,
            flaky_fails="flaky" not in project.gate.allowed,
        )
    typer.echo(as_json(comparison) if json else as_text(comparison), nl=False)
    return comparison.exit_code


def _history(path: Path, stack: ExitStack) -> History | None:
    """Open the history; one that cannot be read is a warning, until a side asks for it."""
    from envmatrix.history import History

    try:
        return stack.enter_context(History(path))
    except HistoryError as error:
        typer.echo(f"warning: {error.message}: nobody knows what was slower, or run at which commit", err=True)
        return None


@dataclass(frozen=True, slots=True)
class _Sides:
    """Finds what a word means."""

    project: Project
    path: Path
    history: History | None

    def resolve(self, word: str) -> Side:
        """Return the side that a word means.

        Raises:
            UsageError: it means nothing.
            EnvmatrixError: what it means is not there, or cannot be read.
        """
        from envmatrix.matrix.compare import Side
        from envmatrix.matrix.table import matrix_of
        from envmatrix.runs.directory import latest, load_paths

        if word == "baseline":
            return self._baseline(word)
        path = latest(self.project.runs_dir) if word == "last" else Path(word)
        if word == "last" or path.exists():
            return Side.of(word, matrix_of(load_paths([path]), mixed_commits=True))
        return self._commit(word)

    def _baseline(self, word: str) -> Side:
        from envmatrix.gate.baseline import read_baseline
        from envmatrix.matrix.compare import Place, Seen, Side
        from envmatrix.runs.cells import Outcome

        baseline = read_baseline(self.project.baseline_file)
        # It tells neither bodies, without which nothing is known to be renamed, nor durations: its run may be remembered.
        matrix = self.history.matrix_of(baseline.commit) if self.history else None
        runs = Side.of(word, matrix).places if matrix else {}
        unseen = Seen(Outcome.NOT_RUN)
        places = {}
        for name, tests in baseline.environments.items():
            seen = runs[name].cells if name in runs else {}
            cells = {
                test: replace(seen.get(test, unseen), outcome=known.outcome, cause=known.cause)
                for test, known in tests.items()
            }
            places[name] = Place(name, cells)
        return Side(word, places, baseline.commit[:12])

    def _commit(self, word: str) -> Side:
        from envmatrix.matrix.compare import Side

        commit = full_commit(self.project.root, word)
        if not commit and self.history is not None:
            commit = self._only(word, self.history.commits_like(word) if len(word) >= _SHORTEST else ())
        if not commit:
            how = "Name `baseline`, `last`, a run file, a directory of them, or a commit"
            raise UsageError(f"nothing is called {word!r}", how)
        matrix = self.history.matrix_of(commit) if self.history else None
        if matrix is None:
            raise HistoryError(self.path, f"holds no run of commit {commit[:12]} without uncommitted changes")
        return Side.of(word, matrix)

    @staticmethod
    def _only(word: str, commits: Sequence[str]) -> str:
        if len(commits) > 1:
            raise UsageError(f"{word!r} may mean {' or '.join(commit[:12] for commit in commits)}", "Say more of it")
        return commits[0] if commits else ""


_SHORTEST = 4
"""Characters of an abbreviated commit, as git has it."""
