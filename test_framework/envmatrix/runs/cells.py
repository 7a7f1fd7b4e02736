"""What became of each test in one environment: the cells that the lines of a run file make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from envmatrix.runs.events import Attempt, Attestation, Evidence, FindingRecord, Fingerprint, Footer, Header
from envmatrix.runs.outcomes import Cause, Outcome, after_retries
from envmatrix.runs.ping import Ping
from envmatrix.runs.rules import RuleCode


class Cell(NamedTuple):
    """What became of one test in one environment, all attempts together. A tuple, since there are millions."""

    test: str
    outcome: Outcome
    attempts: tuple[Attempt, ...] = ()
    cause: Cause | None = None
    evidence: Evidence | None = None
    reason: str = ""
    reused_from: str = ""
    """The commit where it was run, if not now: nothing that changed since leads to it."""

    @classmethod
    def of(cls, attempts: tuple[Attempt, ...]) -> Cell:
        """Return what the attempts at one test add up to; of several failures the last one tells why, or a crash."""
        last = decisive = attempts[-1]
        outcome = last.outcome
        if len(attempts) > 1 and (failures := [each for each in attempts if each.outcome is Outcome.FAILED]):
            crashes = [each for each in failures if each.evidence and each.evidence.rule == RuleCode.PRODUCT_CRASHED]
            decisive = (crashes or failures)[-1]
            outcome = after_retries([each.outcome for each in attempts], has_crash=bool(crashes))
        return cls(last.test, outcome, attempts, decisive.cause, decisive.evidence, decisive.reason)

    @property
    def duration(self) -> float:
        """Return the seconds spent on all attempts."""
        return sum(attempt.duration for attempt in self.attempts)

    @property
    def measured(self) -> Mapping[str, float]:
        """Return the numbers that the test recorded, by name; of several attempts the last one's."""
        return {name: value for attempt in self.attempts for name, value in attempt.measured.items()}

    @property
    def is_blocked(self) -> bool:
        """Return whether a failed prerequisite kept the test from running, rather than the end of the run."""
        rule = self.evidence.rule if self.evidence else RuleCode.NEVER_ENDED
        return self.outcome is Outcome.NOT_RUN and rule != RuleCode.NEVER_ENDED


@dataclass(frozen=True)
class Run:
    """All cells of one environment at one commit."""

    header: Header
    cells: Mapping[str, Cell]
    """By node id, in the order planned; tests that ran unplanned come last."""
    footer: Footer | None
    findings: tuple[FindingRecord, ...] = ()
    attestations: tuple[Attestation, ...] = ()
    bodies: Mapping[str, str] = field(default_factory=dict)
    """Planned test → digest of its body, where the run has it."""
    fingerprint: Fingerprint | None = None
    starts: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Service → seconds from the run's start until it began to start, and until it was up; of those that the run started."""
    sampled: bool = False
    """Whether the file holds samples, which `file.read_samples` reads."""
    file: Path | None = field(default=None, compare=False)

    @cached_property
    def reused(self) -> Mapping[str, Sequence[str]]:
        """Map each earlier commit to the tests whose cells are reused from it."""
        reused: dict[str, list[str]] = {}
        for cell in self.cells.values():
            if cell.reused_from:
                reused.setdefault(cell.reused_from, []).append(cell.test)
        return reused

    @cached_property
    def ended(self) -> Mapping[Outcome, Sequence[Cell]]:
        """Return the cells by outcome, each outcome's in their order."""
        ended: dict[Outcome, list[Cell]] = {outcome: [] for outcome in Outcome}
        for cell in self.cells.values():
            ended[cell.outcome].append(cell)
        return ended

    @cached_property
    def telling(self) -> Sequence[Cell]:
        """Return the cells that say more than that their test passed at the first attempt, in their order."""
        passed = Outcome.PASSED  # looked up for each of many cells, it would take longer than the rest
        return [
            cell
            for cell in self.cells.values()
            if cell.outcome is not passed
            or cell.evidence is not None
            or cell.reason
            or cell.reused_from
            or len(cell.attempts) > 1
        ]

    @property
    def pings(self) -> Mapping[str, Ping]:
        """Map each service that the run used to the first look at it."""
        return {name: ping for each in reversed(self.attestations) for name, ping in each.services.items()}

    @property
    def passed(self) -> Sequence[Cell]:
        """Return the cells of tests whose last attempt passed."""
        return [cell for outcome in Outcome if outcome.counts_as_passed for cell in self.ended[outcome]]

    @property
    def complete(self) -> bool:
        """Return whether the run ended in order: a footer, and every planned test with an end."""
        return self.footer is not None and not self.ended[Outcome.NOT_RUN]

    @property
    def mixed(self) -> tuple[str, ...]:
        """Say what changed under the run, so that its cells are not all of one version: commit, files, services."""
        footer = self.footer
        commits = (
            f"{' → '.join(commit[:12] for commit in footer.commits)} was checked out"
            if footer and footer.commits
            else ""
        )
        files = f"{', '.join(footer.changed)} changed" if footer and footer.changed else ""
        deployed = f"deployed anew: {'; '.join(self.redeployed)}" if self.redeployed else ""
        return tuple(filter(None, (commits, files, deployed)))

    @property
    def redeployed(self) -> tuple[str, ...]:
        """Say which services changed under the run: another commit, version or name answered later."""
        claims: dict[str, dict[str, None]] = {}
        for attestation in self.attestations:
            for service, ping in attestation.services.items():
                if ping.identity:
                    claim = ", ".join(f"{key} {value}" for key, value in sorted(ping.identity.items()))
                    claims.setdefault(service, {})[claim] = None
        return tuple(f"{service}: {' → '.join(each)}" for service, each in sorted(claims.items()) if len(each) > 1)


@dataclass(frozen=True, slots=True)
class MissingRun:
    """An environment that was asked for and left no readable run: still a column, and never green."""

    environment: str
    label: str
    reason: str
    """One line: why there is no run."""
    log_tail: str = ""
    """The end of pytest's output, masked."""
