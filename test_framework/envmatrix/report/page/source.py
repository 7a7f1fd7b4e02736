"""What the page is made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from envmatrix.environments import Project
from envmatrix.matrix.compare import Comparison
from envmatrix.matrix.norms import Numbers, no_history
from envmatrix.report.matrix.summary import JudgedMatrix
from envmatrix.runs.outcomes import Outcome

PastOutcomes = Callable[[str, str], Mapping[str, Sequence[Outcome]]]
"""Environment, moment → test → how it ended in runs before that moment, the oldest first."""


def no_past(*_: str) -> Mapping[str, Sequence[Outcome]]:
    """Return no past outcome: there is no history."""
    return {}


@dataclass(frozen=True)
class PageSource:
    """A judged matrix, and what the project and its history know beside it."""

    judged: JudgedMatrix
    project: Project
    made_at: datetime
    comparison: Comparison | None = None
    """With the other side, if there is one; the matrix is `after`."""
    past: PastOutcomes = no_past
    numbers: Numbers = no_history

    @cached_property
    def row_of(self) -> Mapping[str, int]:
        """Map each test to its row."""
        return {row.test: number for number, row in enumerate(self.judged.matrix.rows)}

    def rows_of(self, tests: Iterable[str]) -> list[int]:
        """Return the rows of some tests; one that only a baseline or another run has is left out."""
        return [self.row_of[test] for test in tests if test in self.row_of]
