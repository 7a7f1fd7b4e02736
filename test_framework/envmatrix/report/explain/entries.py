"""The parts of an explanation: its words, for a person and for a program alike."""

from __future__ import annotations

from msgspec import Struct

from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.ping import PingStatus

SCHEMA = 1

AROUND_THE_TEST = ("before", "right after")
AROUND_THE_SMOKE_CHECK = ("before", "in the smoke check")
AROUND_THE_SUITE = ("before the suite", "after it")
"""The moments of the two looks; a failed test has looks of its own."""


class AttemptEntry(Struct, frozen=True):
    """One try."""

    outcome: Outcome
    duration: float
    """Seconds."""
    worker: str
    why: str
    """Cause, rule and one line, or the reason; empty where it passed."""


class ServiceEntry(Struct, frozen=True):
    """Two looks at one service."""

    service: str
    source: str
    """embedded, process, remote, stub or absent."""
    before: str
    before_status: PingStatus | None
    """`null` where nobody looked."""
    after: str
    after_status: PingStatus | None
    latency: float | None
    """Seconds of the later look; `null` where there was none."""
    claims: str
    """What the service says it is."""


class PartEntry(Struct, frozen=True):
    """A subtest that failed."""

    label: str
    """As pytest shows it: `[part] (n=1)`."""
    why: str
    """Cause, rule and one line."""
    place: str


class RuleEntry(Struct, frozen=True):
    """The rule that decided."""

    code: str
    title: str
    cause: Cause | None
    meaning: str
    """What it says about the failure; the remedy is in `next`."""
    page: str
    """Where the documentation has more."""
    also: dict[str, str]
    """Code → meaning of each finding in the evidence: `C112`."""


class RunEntry(Struct, frozen=True):
    """The run that the cell is of."""

    run_id: str
    file: str
    commit: str
    dirty: bool
    started_at: str
    """ISO 8601, UTC. A run file has no time for each test."""
    ended: str
    """Why it did not end in order; empty where it did."""


class Explanation(Struct, frozen=True):
    """Everything that is known about one test in one environment."""

    environment: str
    label: str
    test: str
    outcome: Outcome | None
    """`null` where the test was not planned, or there is no run."""
    headline: str
    """All of it in one line."""
    schema: int = SCHEMA
    cause: Cause | None = None
    summary: str = ""
    """What the rule saw, or the reason."""
    phase: str = ""
    place: str = ""
    worker: str = ""
    duration: float = 0.0
    """Seconds, all attempts together."""
    attempts: list[AttemptEntry] = []
    alike: list[str] = []
    """Other tests of the run that became the same, for the same reason."""
    alike_more: int = 0
    """Further ones that are not named here."""
    parts: list[PartEntry] = []
    """The subtests that failed."""
    exceptions: list[str] = []
    """Outermost first."""
    moments: tuple[str, str] = AROUND_THE_TEST
    """When services were looked at."""
    services: list[ServiceEntry] = []
    exchanges: list[str] = []
    """The test's last requests, oldest first."""
    used: dict[str, dict[str, float]] = {}
    """Service or process → metric → its highest value while the test ran, where the run was sampled; of `cpu` the mean."""
    requests: dict[str, dict[str, float]] = {}
    """Route → the number of the test's requests, and the percentiles of their milliseconds."""
    measured: dict[str, float] = {}
    """Numbers that the test recorded."""
    growing: list[str] = []
    """What grew over the whole run without an end."""
    limits: list[str] = []
    """Limits of the declaration that were crossed while the test ran."""
    logs: dict[str, str] = {}
    """Service → the end of its log."""
    detail: str = ""
    """The failure as pytest shows it, or the end of pytest's log where there is no run."""
    rule: RuleEntry | None = None
    next: list[str] = []
    """What to do, in order."""
    rerun: str = ""
    """The command that runs exactly this test there again."""
    run: RunEntry | None = None
    """`null` where there is no run."""
