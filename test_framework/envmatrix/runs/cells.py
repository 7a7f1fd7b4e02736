"""What became of each test in one environment: the words that the run wing writes and the matrix wing reads.

This is the one room that both share; how they are written down is in `run_file.py`.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

SCHEMA = 1
"""Raised with each change that an older reader would misread."""


CONTRACT_VERSION = "1.0.0"
"""Of the fixtures, semantic: a field removed or retyped is a major version, a field added a minor one. Stands here since
each run file tells it, and loading the contracts themselves would cost a run that uses none."""


class Outcome(enum.StrEnum):
    """How a test ended in one environment, best first."""

    PASSED = "passed"
    """Reached its end."""
    XFAILED = "xfailed"
    """Failed, as its mark expects."""
    FLAKY = "flaky"
    """Failed, then passed when tried again."""
    SKIPPED = "skipped"
    """Not applicable here; the reason says why."""
    XPASSED = "xpassed"
    """Passed, although its mark expects a failure."""
    FAILED = "failed"
    """Did not reach its end, or its setup or teardown did not; the cause says why."""
    NOT_RUN = "not_run"
    """Planned, never ended."""


IN_THE_END_PASSED = frozenset({Outcome.PASSED, Outcome.FLAKY})
"""Outcomes of a test whose last try passed."""


class Cause(enum.StrEnum):
    """Why a test did not pass."""

    CONTRACT = "contract"
    """The fixture is missing, or a field of it is missing or untrue."""
    INFRASTRUCTURE = "infrastructure"
    """A service that the test used is down, by evidence."""
    LOGIC = "logic"
    """The product or the test is wrong: the services are healthy."""
    HARNESS = "harness"
    """A worker crashed, a deadline passed, a signal came, or we have a bug."""
    UNDETERMINED = "undetermined"
    """The evidence conflicts."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What decided the cause. Texts are masked already."""

    rule: str
    """Code of the rule that decided: `I201`."""
    summary: str
    """One line for a person."""
    phase: str = ""
    """`smoke`, `setup`, `call`, `teardown` or `collect`."""
    place: str = ""
    """`file:line` of what broke."""
    exceptions: tuple[str, ...] = ()
    """The chain, outermost first: `AssertionError: …`."""
    pings_before: tuple[Mapping[str, Any], ...] = ()
    """What each service that the test used had said when it was last looked at before."""
    pings: tuple[Mapping[str, Any], ...] = ()
    """What each of them said right after the failure."""
    exchanges: tuple[str, ...] = ()
    """The test's last requests through the fixture's clients: `GET /api/me → 502`."""
    logs: Mapping[str, str] = field(default_factory=dict)
    """Service → the end of its log, of those that we started."""
    detail: str = ""
    """The failure as pytest shows it, cut to a bearable length."""


class Attempt(NamedTuple):
    """One try of one test. There are as many as cells, and more: a tuple is made five times as fast as a dataclass."""

    test: str
    """The node id."""
    outcome: Outcome
    duration: float = 0.0
    """Seconds of a monotonic clock, setup and teardown included."""
    worker: str = ""
    """xdist's name for the process, empty without xdist."""
    reason: str = ""
    """Why it was skipped, or expected to fail."""
    cause: Cause | None = None
    evidence: Evidence | None = None
    services: tuple[str, ...] = ()
    """Services that the test used, observed through its fixtures."""
    capabilities: tuple[str, ...] = ()
    """What it exercised of all that a declaration can promise: services, `websocket`, a name of the project's own."""


class Cell(NamedTuple):
    """What became of one test in one environment, all attempts together. A tuple for the same reason."""

    test: str
    outcome: Outcome
    attempts: tuple[Attempt, ...] = ()
    cause: Cause | None = None
    evidence: Evidence | None = None
    reason: str = ""
    carried: str = ""
    """The commit that it is of, where it was not run now: what changed since could not change it. Empty where it was."""

    @property
    def duration(self) -> float:
        """Return the seconds spent on all attempts."""
        return sum(attempt.duration for attempt in self.attempts)

    @property
    def is_blocked(self) -> bool:
        """Return whether it was kept from running by what it stands on: the run's own end (H303) is no such rule."""
        return self.outcome is Outcome.NOT_RUN and self.evidence is not None and self.evidence.rule != "H303"


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Header(_Event):
    """The first line: what was about to be run, where, and of which commit."""

    type: Literal["header"] = "header"
    schema_version: int = Field(default=SCHEMA, alias="schema", serialization_alias="schema")
    run_id: str
    environment: str
    label: str
    """The column's name: `staging (twin)`."""
    started_at: str
    """ISO 8601, UTC."""
    commit: str
    """`unknown` outside a git checkout."""
    dirty: bool = False
    sources: dict[str, str]
    """Service → embedded, process, remote, stub or absent."""
    versions: dict[str, str]
    planned: tuple[str, ...]
    """The node ids that must end, each, in exactly one state."""
    planned_digest: str = ""
    """`digest(planned)`: a file that lost a planned test on its way says so."""
    shard: str = ""
    """`2/4` where this is one part of a suite; empty for the whole."""
    suite_size: int = 0
    """Tests of the whole suite, where this is a part."""
    suite_digest: str = ""
    """Of their node ids."""
    narrowed: tuple[str, ...] = ()
    """What asked for a part of the suite, as on a command line: paths, `-k login`. Empty where all of it was asked for."""
    cut_digest: str = ""
    """Of which test went to which shard: parts that were cut otherwise do not make a whole."""


class Footer(_Event):
    """The last line: the run ended by itself or by a signal that it could answer."""

    type: Literal["footer"] = "footer"
    ended_at: str
    duration: float
    """Seconds."""
    exit_code: int
    """pytest's, or 128 + signal."""
    reason: str = ""
    """Why it ended early, in one line."""
    deselected: int = 0
    """Tests that were collected and then left out, by `-k`, `-m` or a plugin."""


class Attestation(_Event):
    """What each service said it is, before the suite or after it, as one process saw it."""

    type: Literal["attestation"] = "attestation"
    moment: Literal["before", "after"]
    worker: str = ""
    """xdist's name for the process, empty without xdist."""
    services: dict[str, dict[str, Any]]
    """Service → its ping: status, version, and the identity that it claims."""


class Suite(_Event):
    """The whole suite, where the run is a part of it: any one shard tells what the lost ones owe.

    A line of its own, the same in every shard, so that who merges many of them reads it once.
    """

    type: Literal["suite"] = "suite"
    tests: tuple[str, ...]
    """The node ids, in the order of collection."""


class Bodies(_Event):
    """What the tests' bodies are: by that, a renamed test is told from a new one.

    A line of its own, since with xdist only a worker knows, and tells it at its end.
    """

    type: Literal["bodies"] = "bodies"
    digests: tuple[str, ...]
    """Of each planned test, in the header's order; empty where a test has no Python function."""


class Carried(_Event):
    """What became of a planned test at an earlier commit: it was not run now, since nothing that changed leads to it."""

    type: Literal["carried"] = "carried"
    test: str
    outcome: Outcome
    commit: str
    """Where it was run."""
    duration: float = 0.0
    """Seconds that it took there."""
    reason: str = ""
    cause: Cause | None = None
    rule: str = ""
    summary: str = ""

    @classmethod
    def of(cls, cell: Cell, commit: str) -> Carried:
        """Take a cell over from a run of a commit; one that was taken over there stays of the commit that it is of."""
        evidence = cell.evidence
        return cls(
            test=cell.test,
            outcome=cell.outcome,
            commit=cell.carried or commit,
            duration=round(cell.duration, 6),
            reason=cell.reason,
            cause=cell.cause,
            rule=evidence.rule if evidence else "",
            summary=evidence.summary if evidence else "",
        )

    @property
    def cell(self) -> Cell:
        """Return it as a cell."""
        attempt = Attempt(self.test, self.outcome, self.duration, reason=self.reason, cause=self.cause)
        evidence = Evidence(self.rule, self.summary) if self.rule else None
        return Cell(self.test, self.outcome, (attempt,), self.cause, evidence, self.reason, self.commit)


class FindingRecord(_Event):
    """A breach that belongs to the run rather than to one test: a fixture that nobody provides, a service down."""

    type: Literal["finding"] = "finding"
    rule: str
    message: str
    place: str = ""
    hint: str = ""
    tests: tuple[str, ...] = ()


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
    """Planned test → digest of its body, where the run tells."""
    file: Path | None = field(default=None, compare=False)

    @cached_property
    def carried(self) -> Mapping[str, Sequence[str]]:
        """Map each commit to the tests that were taken over from it, and not run now."""
        found: dict[str, list[str]] = {}
        for cell in self.cells.values():
            if cell.carried:
                found.setdefault(cell.carried, []).append(cell.test)
        return found

    @cached_property
    def ended(self) -> Mapping[Outcome, Sequence[Cell]]:
        """Return the cells by how they ended, each outcome's in their order."""
        ended: dict[Outcome, list[Cell]] = {outcome: [] for outcome in Outcome}
        for cell in self.cells.values():
            ended[cell.outcome].append(cell)
        return ended

    @property
    def complete(self) -> bool:
        """Return whether the run ended in order: a footer, and every planned test with an end."""
        return self.footer is not None and not self.ended[Outcome.NOT_RUN]

    @property
    def redeployed(self) -> tuple[str, ...]:
        """Say which services were not one and the same throughout: another commit, version or name answered later."""
        claims: dict[str, dict[str, None]] = {}
        for attestation in self.attestations:
            for service, ping in attestation.services.items():
                if identity := ping.get("identity"):
                    claims.setdefault(service, {})[", ".join(f"{key} {identity[key]}" for key in sorted(identity))] = (
                        None
                    )
        return tuple(f"{service}: {' → '.join(said)}" for service, said in sorted(claims.items()) if len(said) > 1)


def digest(planned: Iterable[str]) -> str:
    """Return the SHA-256 of node ids in their order, as hexadecimal digits."""
    return hashlib.sha256("\n".join(planned).encode(errors="surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class MissingRun:
    """An environment that was asked for and left no readable run: still a column, and never green."""

    environment: str
    label: str
    reason: str
    """One line: why there is no run."""
    log_tail: str = ""
    """The end of what pytest said, masked."""
