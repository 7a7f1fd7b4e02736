"""Find the matrix that a word on the command line names: one side of a comparison."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from envmatrix.commands.options import load_matrix
from envmatrix.exceptions import HistoryError, UsageError
from envmatrix.git import full_commit

if TYPE_CHECKING:
    from envmatrix.environments import Project
    from envmatrix.history import History
    from envmatrix.matrix.compare import Comparison, Side

_SHORTEST = 4
"""Characters of an abbreviated commit, as git has it."""

SIDE = "`baseline`, `last`, a run file, a directory of them, or a commit of the history."


@dataclass(frozen=True, slots=True)
class Sides:
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


def compare_sides(project: Project, past: History | None, before: Side, after: Side) -> Comparison:
    """Compare two sides by the project's policy, with the history's word on what is slower or measured worse."""
    from envmatrix.matrix.compare import compare
    from envmatrix.matrix.norms import no_history

    return compare(
        before,
        after,
        durations=past.earlier_durations if past else no_history,
        numbers=past.earlier_numbers if past else no_history,
        flaky_fails="flaky" not in project.gate.allowed,
    )
