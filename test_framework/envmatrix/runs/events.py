"""The lines of a run file, one class each: `file.py` writes them and checks each when it reads it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.ping import Ping

SCHEMA = 2
"""Raised with each change that an older reader would misread."""

CONTRACT_VERSION = "1.0.0"
"""Semantic version of the fixtures: a field removed or retyped is a major bump, a field added a minor one. It stands here
since each run file has it, and loading the contracts would cost a run that uses none."""

_ENDED_BY_ITSELF = frozenset({0, 1, 5})
"""pytest's exit codes of a run that reached its end: all passed, some failed, none collected."""

MOST_SECONDS = 1e12

_Seconds = Annotated[float, Meta(ge=0, le=MOST_SECONDS)]


class _Event(Struct, frozen=True, omit_defaults=True, tag_field="type"):
    """A line; what it does not say has its default."""


class Header(_Event, frozen=True, kw_only=True, tag="header", omit_defaults=False):
    """The first line: what was about to be run, where, and of which commit."""

    schema: int = SCHEMA
    run_id: str
    environment: str
    base: str = ""
    """The declared environment that the run is judged as, where it has another name: `staging` for `pr-123`."""
    label: str
    """The column's name: `staging (twin)`."""
    started_at: str
    """ISO 8601, UTC."""
    commit: str
    """`unknown` where git does not tell."""
    commit_problem: str = ""
    """Why git does not, in its own sentence."""
    dirty: bool = False
    sources: dict[str, str]
    """Service → embedded, process, remote, stub or absent; `remote, unverified` where any certificate is taken."""
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
    """Digest of their node ids."""
    run_options: tuple[str, ...] = ()
    """Words for `envmatrix run` that say where declarations and variables came from: `--env-file`, `.env`."""
    pytest_options: tuple[str, ...] = ()
    """Words for pytest that say how tests were run, not which and not where to: `-p`, `no:randomly`."""
    narrowed: tuple[str, ...] = ()
    """What asked for a part of the suite, as on a command line: paths, `-k login`. Empty where all of it was asked for."""
    directory: str = ""
    """Where the suite is, relative to the project's root; empty where it is there."""
    files: dict[str, str] = {}
    """File of the suite, relative to pytest's root → its SHA-256: test modules, conftests, the declaration, the settings."""
    cut_digest: str = ""
    """Digest of which test went to which shard: parts that were cut otherwise do not make a whole."""

    @property
    def judged_as(self) -> str:
        """Return the declared environment that it is a run of: baselines, waivers and the history know that name."""
        return self.base or self.environment


class Suite(_Event, frozen=True, tag="suite"):
    """The whole suite, where the run is a part of it: any one shard names the tests of the lost ones.

    A line of its own, the same in every shard, so that a merge of many reads it once.
    """

    tests: tuple[str, ...]
    """The node ids, in the order of collection."""


class FindingRecord(_Event, frozen=True, tag="finding"):
    """A breach that belongs to the run or to a fixture: a module that cannot be imported, a field that is untrue."""

    rule: str
    message: str
    place: str = ""
    hint: str = ""
    tests: tuple[str, ...] = ()


class FailedPart(Struct, frozen=True, omit_defaults=True):
    """A subtest that failed. Texts are masked already."""

    label: str
    """As pytest shows it: `[part] (n=1)`."""
    cause: Cause | None
    rule: str
    summary: str
    place: str = ""
    """`file:line` of what broke."""


class Evidence(Struct, frozen=True, omit_defaults=True):
    """What decided the cause. Texts are masked already."""

    rule: str
    """Code of the rule that decided: `I201`. A `RuleCode`, unless another version wrote it."""
    summary: str
    """One line for a person."""
    phase: str = ""
    """`smoke`, `setup`, `call`, `teardown` or `collect`."""
    place: str = ""
    """`file:line` of what broke."""
    exceptions: tuple[str, ...] = ()
    """The chain, outermost first: `AssertionError: …`."""
    pings_before: tuple[Ping, ...] = ()
    """The last look before the test began at each service that it used, with its age."""
    pings: tuple[Ping, ...] = ()
    """A look at each of them right after the failure."""
    exchanges: tuple[str, ...] = ()
    """The test's last requests through the fixture's clients: `GET /api/me → 502`."""
    logs: dict[str, str] = {}
    """Service → the end of its log, of those that we started."""
    detail: str = ""
    """The failure as pytest shows it, cut to a bearable length."""
    blocked_by: str = ""
    """The test that failed first, where its failure kept this one from running."""
    findings: tuple[FindingRecord, ...] = ()
    """The breaches of a fixture's contract that it met."""
    fell: tuple[str, ...] = ()
    """Services that answered while the test ran, and no longer right after it."""
    breaker: str = ""
    """Who breaks the promise that a conformance test checks: product, environment or fixture."""
    parts: tuple[FailedPart, ...] = ()
    """Its subtests that failed, in their order."""


class Attempt(Struct, frozen=True, omit_defaults=True, gc=False, tag_field="type", tag="attempt"):
    """One try of one test."""

    test: str
    """The node id."""
    outcome: Outcome
    duration: _Seconds = 0.0
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
    measured: dict[str, float] = {}
    """Numbers that the test recorded with pytest's `record_property`."""
    began: _Seconds = 0.0
    """Seconds from the run's start to its own; 0 where it was not run."""
    requests: dict[str, tuple[float, ...]] = {}
    """Route → the milliseconds of each answer, where the run was sampled: `backend GET /api/threads/{id}`."""


class Sample(_Event, frozen=True, tag="sample"):
    """What processes and services used at one moment of a run."""

    at: _Seconds
    """Seconds since the run began, of a monotonic clock: no step of the wall clock moves it."""
    time: float
    """The wall clock, in seconds since 1970: to find the moment in other logs, never to reckon with."""
    used: dict[str, dict[str, float]]
    """Service, or process of tests (`pytest`, `gw0`) → metric → value."""


class Reused(_Event, frozen=True, tag="reused"):
    """A planned test's end at an earlier commit: it was not run now, since nothing that changed leads to it."""

    test: str
    outcome: Outcome
    commit: str
    """Where it was run."""
    duration: _Seconds = 0.0
    """Seconds that it took there."""
    reason: str = ""
    cause: Cause | None = None
    rule: str = ""
    summary: str = ""


class Attestation(_Event, frozen=True, kw_only=True, tag="attestation"):
    """What each service said it is, before the suite or after it, as one process saw it."""

    moment: Literal["before", "after"]
    worker: str = ""
    """xdist's name for the process, empty without xdist."""
    services: dict[str, Ping]


class Fingerprint(_Event, frozen=True, tag="fingerprint"):
    """What the services in use are made of, beside what a probe tells: as they were at the end of a run, or live.

    Texts are masked already. A killed run has none.
    """

    services: dict[str, dict[str, dict[str, Any]]]
    """Service → `settings`, `schema`, `flags` or `openapi` → name → value; `openapi` is the document, empty if there is none."""
    unread: dict[str, dict[str, str]] = {}
    """Service → which of these could not be read → why."""


class Starts(_Event, frozen=True, tag="starts"):
    """When the services that the run started came up, written at its end: a killed run has none."""

    services: dict[str, tuple[_Seconds, _Seconds]]
    """Service → seconds from the run's start until it began to start, and until it was up; of several starts the last one."""


class Bodies(_Event, frozen=True, tag="bodies"):
    """Digests of the tests' bodies: by these, a renamed test is told from a new one.

    A line of its own, since with xdist only a worker knows them, and reports them at its end.
    """

    digests: tuple[str, ...]
    """One for each planned test, in the header's order; empty where a test has no Python function."""


class Footer(_Event, frozen=True, tag="footer"):
    """The last line: the run ended by itself or by a signal that it could answer."""

    ended_at: str
    duration: float
    """Seconds."""
    exit_code: int
    """pytest's, or 128 + signal."""
    reason: str = ""
    """Why it ended early, or not in order, in one line."""
    raised: bool = False
    """Whether an exception of pytest or a plugin ended it after the tests."""
    deselected: int = 0
    """Tests that were collected and then left out, by `-k`, `-m` or a plugin."""
    commits: tuple[str, ...] = ()
    """The commits that were checked out during the run, where they were several."""
    changed: tuple[str, ...] = ()
    """Files of the suite that were edited, added or removed during the run."""

    @property
    def ended_by_itself(self) -> bool:
        """Return whether pytest reached the end of its run."""
        return self.exit_code in _ENDED_BY_ITSELF and not self.raised


Event = (
    Header | Suite | FindingRecord | Attempt | Sample | Reused | Attestation | Fingerprint | Starts | Bodies | Footer
)
