"""The sides of a comparison: what a word such as `baseline` names, and what changed from one to the other."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from envmatrix.commands.history import history_file, past_runs
from envmatrix.commands.options import load_matrix
from envmatrix.exceptions import HistoryError, UsageError
from envmatrix.git import full_commit

if TYPE_CHECKING:
    from envmatrix.environments import Project
    from envmatrix.history import History
    from envmatrix.matrix.compare import Comparison, Side
    from envmatrix.matrix.table import Matrix

SIDE = "`baseline`, `last`, a run file, a directory of them, or a commit of the history."

_SHORTEST = 4
"""Characters of an abbreviated commit, as git has it."""


def compare_sides(project: Project, history: Path | None, before: str, after: str | Matrix) -> Comparison:
    """Compare two matrices, each named by a word or at hand; what is slower, the history tells.

    Raises:
        UsageError: a word names no side.
        EnvmatrixError: a side is not there, or cannot be read.
    """
    from envmatrix.matrix.compare import Side, compare
    from envmatrix.matrix.norms import no_history

    with ExitStack() as stack:
        past = past_runs(project, history, stack)
        sides = _Sides(project, history_file(project, history), past)
        return compare(
            sides.resolve(before),
            sides.resolve(after) if isinstance(after, str) else Side.of("these runs", after),
            durations=past.earlier_durations if past else no_history,
            numbers=past.earlier_numbers if past else no_history,
            flaky_fails="flaky" not in project.gate.allowed,
        )


def other_side(project: Project, matrix: Matrix, query: str | None, against: str | None) -> Comparison | None:
    """Return what a query's words about changes compare with; `None` where nothing is named.

    Raises:
        UsageError: something is named, and there is no query.
        EnvmatrixError: it is not there, or cannot be read.
    """
    if against is None:
        return None
    if query is None:
        raise UsageError("--against is for words of a query", "Ask one: --query regressed")
    return compare_sides(project, None, against, matrix)


@dataclass(frozen=True, slots=True)
class _Sides:
    """Finds the matrix that an argument names."""

    project: Project
    path: Path
    history: History | None

    def resolve(self, word: str) -> Side:
        """Return the side that an argument names.

        Raises:
            UsageError: it names none.
            EnvmatrixError: the side is not there, or cannot be read.
        """
        from envmatrix.matrix.compare import Side

        if word == "baseline":
            return self._baseline(word)
        if word == "last" or Path(word).exists():
            paths = None if word == "last" else [Path(word)]
            return Side.of(word, load_matrix(self.project, paths, mixed_commits=True))
        return self._commit(word)

    def _baseline(self, word: str) -> Side:
        from envmatrix.gate.baseline import read_baseline
        from envmatrix.matrix.compare import Place, Seen, Side
        from envmatrix.runs.outcomes import Outcome

        baseline = read_baseline(self.project.baseline_file)
        # A baseline holds no bodies, by which renames are seen, and no durations: the history may have its run.
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
        if not commit and self.history is not None and len(word) >= _SHORTEST:
            commits = self.history.commits_like(word)
            if len(commits) > 1:
                names = " or ".join(commit[:12] for commit in commits)
                raise UsageError(f"{word!r} may be commit {names}", "Name more of it")
            commit = commits[0] if commits else ""
        if not commit:
            how = "Name `baseline`, `last`, a run file, a directory of them, or a commit"
            raise UsageError(f"no matrix is called {word!r}", how)
        matrix = self.history.matrix_of(commit) if self.history else None
        if matrix is None:
            raise HistoryError(self.path, f"holds no run of commit {commit[:12]} without uncommitted changes")
        return Side.of(word, matrix)
