"""What the page embeds, part by part: the schema between Python and the page's own code.

`row` is an index into the grid's tests, `environment` one into `Page.environments`. Times are milliseconds unless said. The
page's source has the same types in `page/src/schema.ts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from envmatrix.gate import Answer
from envmatrix.report.explain.entries import Explanation
from envmatrix.runs.outcomes import Cause, Outcome

SCHEMA = 1

LETTERS: Mapping[Outcome | None, str] = {
    Outcome.PASSED: "p",
    Outcome.FLAKY: "k",
    Outcome.SKIPPED: "s",
    Outcome.XFAILED: "x",
    Outcome.XPASSED: "X",
    Outcome.FAILED: "f",
    Outcome.NOT_RUN: "n",
    None: ".",
}
"""Outcome → its letter; `None` is a test that was not planned."""

CAUSE_LETTERS: Mapping[Cause | None, str] = {
    Cause.CONTRACT: "c",
    Cause.INFRASTRUCTURE: "i",
    Cause.LOGIC: "l",
    Cause.HARNESS: "h",
    Cause.UNDETERMINED: "u",
    None: " ",
}


class Reason(Struct, frozen=True):
    """Why a verdict is what it is."""

    code: str
    text: str
    calls_for: Answer
    tests: Sequence[int]
    """Rows."""


class Service(Struct, frozen=True):
    """One service of an environment."""

    name: str
    source: str
    version: str
    identity: Mapping[str, str]
    status: str
    """Of the first look; empty where nobody looked."""
    latency: float | None
    down: int
    """Failed tests after which it was down."""


class Finding(Struct, frozen=True):
    """What is wrong besides the tests."""

    rule: str
    message: str
    place: str
    hint: str


class Rerun(Struct, frozen=True):
    """The command that runs a test again, around the test's name."""

    before: str
    after: str


class Environment(Struct, frozen=True):
    """One column."""

    name: str
    label: str
    answer: Answer
    reasons: Sequence[Reason]
    run_id: str | None
    """`null` where there is no run, and the reasons say why."""
    complete: bool
    commit: str | None
    dirty: bool | None
    started_at: str | None
    duration: float | None
    versions: Mapping[str, str]
    services: Sequence[Service]
    findings: Sequence[Finding]
    unexercised: Sequence[str]
    log_tail: str
    """The end of pytest's output, where there is no run or pytest died."""
    rerun: Rerun


class ProblemCells(Struct, frozen=True):
    """The environments in which tests ended in one way."""

    environments: Sequence[int]
    outcome: Outcome | None
    cause: Cause | None
    rule: str
    summary: str
    place: str
    remedy: str
    findings: Sequence[Finding]


class Problem(Struct, frozen=True):
    """Tests that did not pass, all in the same way."""

    rows: Sequence[int]
    cells: Sequence[ProblemCells]


class Aside(Struct, frozen=True):
    """Tests that tell nothing, all for the same reason."""

    environments: Sequence[int]
    outcome: Outcome | None
    reason: str
    rows: Sequence[int]


class Rule(Struct, frozen=True):
    """A rule that occurs."""

    title: str
    cause: Cause | None
    meaning: str
    remedy: str
    page: str


class Difference(Struct, frozen=True):
    """One trait that is not the same in all environments."""

    service: str
    aspect: str
    name: str
    values: Sequence[str | None]
    """By environment; `null` where it is unknown."""
    correlations: Sequence[str]
    """Tests whose results go with it, a line each."""


class MeasuredNumber(Struct, frozen=True):
    """A number that a test recorded, held against its history."""

    row: int
    environment: int
    name: str
    value: float
    median: float | None
    worse: bool


class Against(Struct, frozen=True):
    """The other side of a comparison."""

    title: str
    name: str


class Page(Struct, frozen=True):
    """The first part: all that the overview shows."""

    title: str
    made_at: str
    version: str
    environments: Sequence[Environment]
    problems: Sequence[Problem]
    asides: Sequence[Aside]
    advice: Sequence[tuple[str, str]]
    rules: Mapping[str, Rule]
    differences: Sequence[Difference]
    numbers: Sequence[MeasuredNumber]
    against: Against | None
    tests: int
    blocks: int
    schema: int = SCHEMA


class Column(Struct, frozen=True):
    """One environment of the grid, by row unless said."""

    outcomes: str
    causes: str
    durations: Sequence[int]
    began: Sequence[int]
    """-1 where unknown; empty where nothing is known."""
    worker: Sequence[int]
    """Empty where one process ran all."""
    services: Sequence[int]
    reused: Sequence[str]
    reused_at: Sequence[int]
    rows: Sequence[int]
    """Rows that have more to say, ascending; what they say are the next four, in parallel."""
    text: Sequence[int]
    rule: Sequence[int]
    attempts: Sequence[int]
    block: Sequence[int]
    history_rows: Sequence[int]
    history: Sequence[str]
    changes: str
    before: str
    before_causes: str


class Gone(Struct, frozen=True):
    """A test of the other side that is not there any more."""

    test: str
    outcomes: str
    """By environment."""


class Grid(Struct, frozen=True):
    """The second part: every cell, in columns."""

    files: Sequence[tuple[str, int, str]]
    """Name, number of rows, and how pytest is told the file where its name would not do."""
    names: Sequence[str]
    workers: Sequence[str]
    services: Sequence[Sequence[str]]
    texts: Sequence[str]
    rules: Sequence[str]
    columns: Sequence[Column]
    gone: Sequence[Gone]


Details = Mapping[int, Mapping[int, Explanation]]
"""Environment → row → explanation."""


class ServiceStart(Struct, frozen=True):
    """When a service began to start, and when it was up."""

    name: str
    began: float
    ready: float


class Series(Struct, frozen=True):
    """One metric of one service or process over the run."""

    of: str
    metric: str
    points: Sequence[tuple[float, float]]


class Timeline(Struct, frozen=True):
    """What one environment's run did over time, beside its tests."""

    services: Sequence[ServiceStart]
    series: Sequence[Series]
    growing: Sequence[str]


class Time(Struct, frozen=True):
    """The last part: what happened when."""

    environments: Sequence[Timeline]
