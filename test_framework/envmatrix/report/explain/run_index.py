"""What the explanations of one run's cells share, looked up rather than searched anew for each cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from envmatrix.matrix.likeness import likeness
from envmatrix.report.usage import growth_lines
from envmatrix.runs.cells import Cell, Run
from envmatrix.runs.events import Evidence, Sample
from envmatrix.runs.outcomes import Outcome
from envmatrix.runs.rules import RuleCode
from envmatrix.runs.samples import series_of


@dataclass(frozen=True)
class RunIndex:
    """One run, by what its explanations ask for."""

    run: Run
    samples: Sequence[Sample] = ()

    def alike(self, cell: Cell) -> list[str]:
        """Return the other tests that became the same, for the same reason, in their order."""
        if cell.evidence is None:
            return []
        return [test for test in self._alike[_key(cell.outcome, cell.evidence)] if test != cell.test]

    def witness(self, services: Iterable[str]) -> str | None:
        """Return the first test during which one of some services went down; `None` where there is none."""
        seen = [self._fell[service] for service in services if service in self._fell]
        return min(seen)[1] if seen else None

    def limits(self, test: str) -> list[str]:
        """Return the limits of the declaration that were crossed while a test ran."""
        return self._limits.get(test, [])

    @cached_property
    def growing(self) -> list[str]:
        """Return what grew over the whole run without an end."""
        return list(growth_lines(series_of(self.samples)))

    @cached_property
    def _alike(self) -> dict[tuple[Outcome, str, str], list[str]]:
        alike: dict[tuple[Outcome, str, str], list[str]] = {}
        for cell in self.run.telling:
            if cell.evidence is not None:
                alike.setdefault(_key(cell.outcome, cell.evidence), []).append(cell.test)
        return alike

    @cached_property
    def _fell(self) -> dict[str, tuple[int, str]]:
        fell: dict[str, tuple[int, str]] = {}
        for number, cell in enumerate(self.run.telling):
            for service in cell.evidence.fell if cell.evidence else ():
                fell.setdefault(service, (number, cell.test))
        return fell

    @cached_property
    def _limits(self) -> dict[str, list[str]]:
        limits: dict[str, list[str]] = {}
        for finding in self.run.findings:
            for test in finding.tests if finding.rule == RuleCode.LIMIT_CROSSED else ():
                limits.setdefault(test, []).append(f"{finding.rule} {finding.message}")
        return limits


def _key(outcome: Outcome, evidence: Evidence) -> tuple[Outcome, str, str]:
    return outcome, evidence.rule, likeness(evidence.summary)
