"""Everything that is known about one cell: what happened, the services, the rule that decided, what to do next.

The models below hold the words, for a person and for a program alike; `text.py` only lays them out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from envmatrix.causes import rule_named
from envmatrix.contracts import FINDING_RULES
from envmatrix.environments import Project
from envmatrix.matrix.likeness import likeness
from envmatrix.matrix.table import Column, Matrix
from envmatrix.report.explain.advice import steps
from envmatrix.report.explain.find import is_of_module
from envmatrix.report.explain.rerun import Rerun, rerun
from envmatrix.report.explain.used import used
from envmatrix.report.text import first_line
from envmatrix.report.words import word
from envmatrix.runs.cells import Cell, MissingRun, Run
from envmatrix.runs.events import Evidence, FailedPart, FindingRecord, Sample
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.runs.rules import RuleCode

SCHEMA = 1

_MEANINGS: Mapping[str, str] = {code.value: meaning for code, meaning in FINDING_RULES.items()}

AROUND_THE_TEST = ("before", "right after")
AROUND_THE_SMOKE_CHECK = ("before", "in the smoke check")
AROUND_THE_SUITE = ("before the suite", "after it")
"""The moments of the two looks; a failed test has looks of its own."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class AttemptEntry(_Frozen):
    """One try."""

    outcome: Outcome
    duration: float
    """Seconds."""
    worker: str
    why: str
    """Cause, rule and one line, or the reason; empty where it passed."""


class ServiceEntry(_Frozen):
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


class PartEntry(_Frozen):
    """A subtest that failed."""

    label: str
    """As pytest shows it: `[part] (n=1)`."""
    why: str
    """Cause, rule and one line."""
    place: str


class RuleEntry(_Frozen):
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


class RunEntry(_Frozen):
    """The run that the cell is of."""

    run_id: str
    file: str
    commit: str
    dirty: bool
    started_at: str
    """ISO 8601, UTC. A run file has no time for each test."""
    ended: str
    """Why it did not end in order; empty where it did."""


class Explanation(_Frozen):
    """Everything that is known about one test in one environment."""

    model_config = ConfigDict(frozen=True, title="envmatrix explanation", serialize_by_alias=True)

    schema_version: int = Field(default=SCHEMA, alias="schema")
    environment: str
    label: str
    test: str
    outcome: Outcome | None
    """`null` where the test was not planned, or there is no run."""
    headline: str
    """All of it in one line."""
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


def explain(matrix: Matrix, column: Column, test: str, project: Project, samples: Sequence[Sample] = ()) -> Explanation:
    """Explain one test in one environment of a matrix, to someone who stands in a project."""
    run = column.run
    if isinstance(run, MissingRun):
        explanation = _of_no_run(run, test)
    elif (cell := run.cells.get(test)) is not None:
        explanation = _of_cell(run, cell).model_copy(update=used(run, cell, samples))
    else:
        explanation = _not_planned(matrix, run, test)
    is_known = isinstance(run, Run) or any(row.test == test for row in matrix.rows)
    header = run.header if isinstance(run, Run) else None
    again = rerun(column.environment, test, project, header) if is_known else Rerun("")
    return explanation.model_copy(
        update={
            "rerun": again.command,
            "next": [*explanation.next, *again.remarks],
            "run": None if isinstance(run, MissingRun) else _run(run, column.note),
        }
    )


def _of_no_run(missing: MissingRun, test: str) -> Explanation:
    return Explanation(
        environment=missing.environment,
        label=missing.label,
        test=test,
        outcome=None,
        headline=f"no run in {missing.label}: {missing.reason}",
        summary=missing.reason,
        detail=missing.log_tail,
        next=["Mend what pytest's log says, then run it." if missing.log_tail else "Run it."],
    )


def _not_planned(matrix: Matrix, run: Run, test: str) -> Explanation:
    """Say what is known of a test that the run does not have."""
    uncollected = next((each for each in run.findings if is_of_module(each, test)), None)
    where = [column.label for column in matrix.columns if test in column.cells]
    elsewhere = f"; it is planned in {', '.join(where)}" if where else ""
    left_out = run.footer.deselected if run.footer else 0
    if uncollected is not None:
        summary, steps = uncollected.message, ["Mend the import: pytest's log beside the run file has it whole."]
    elif left_out:
        tests = "1 test was" if left_out == 1 else f"{left_out} tests were"
        summary = f"not among the tests of that run, of which {tests} left out by -k, -m or a plugin{elsewhere}"
        steps = ["Run it by its name, without what left it out."]
    else:
        summary = f"not among the tests that were collected{elsewhere}"
        steps = ["Run it by its name; where it is not found, look at the suite's path and at the commit."]
    return Explanation(
        environment=run.header.environment,
        label=run.header.label,
        test=test,
        outcome=None,
        headline=f"not planned in {run.header.label}: {first_line(summary)}",
        cause=Cause.HARNESS if uncollected else None,
        summary=summary,
        place=uncollected.place if uncollected else "",
        rule=_rule(RuleCode.COLLECTION_FAILED, ()) if uncollected else None,
        next=steps,
    )


def _of_cell(run: Run, cell: Cell) -> Explanation:
    evidence = cell.evidence or Evidence("", cell.reason)
    services = {service for attempt in cell.attempts for service in attempt.services}
    moments = AROUND_THE_SMOKE_CHECK if evidence.phase == "smoke" else AROUND_THE_TEST
    if not (evidence.pings or evidence.pings_before):
        moments = AROUND_THE_SUITE
    return Explanation(
        environment=run.header.environment,
        label=run.header.label,
        test=cell.test,
        outcome=cell.outcome,
        headline=_headline(run, cell),
        cause=cell.cause,
        summary=evidence.summary,
        phase=evidence.phase,
        place=evidence.place,
        worker=next((attempt.worker for attempt in reversed(cell.attempts) if attempt.worker), ""),
        duration=round(cell.duration, 6),
        attempts=[
            AttemptEntry(
                outcome=attempt.outcome,
                duration=round(attempt.duration, 6),
                worker=attempt.worker,
                why=_why(attempt.cause, attempt.evidence, attempt.reason),
            )
            for attempt in cell.attempts
        ],
        alike=_alike(run, cell),
        parts=[
            PartEntry(label=part.label, why=_why(part.cause, part, ""), place=part.place) for part in evidence.parts
        ],
        exceptions=list(evidence.exceptions),
        moments=moments,
        services=list(_services(run, evidence, services)),
        exchanges=list(evidence.exchanges),
        logs=dict(evidence.logs),
        detail=evidence.detail,
        rule=_rule(evidence.rule, evidence.findings) if evidence.rule else None,
        next=list(steps(run, cell, evidence)),
    )


def _headline(run: Run, cell: Cell) -> str:
    why = first_line(_why(cell.cause, cell.evidence, cell.reason))
    where = f"{run.header.label} at {cell.reused_from[:12]}, not run since" if cell.reused_from else run.header.label
    return f"{word(cell.outcome)} in {where}" + (f": {why}" if why else "")


def _why(cause: Cause | None, evidence: Evidence | FailedPart | None, reason: str) -> str:
    if evidence is None:
        return reason
    return f"{cause or ''} {evidence.rule}: {evidence.summary}".lstrip()


def _alike(run: Run, cell: Cell) -> list[str]:
    if cell.evidence is None:
        return []
    key = (cell.outcome, cell.evidence.rule, likeness(cell.evidence.summary))
    return [
        other.test
        for other in run.cells.values()
        if other.evidence is not None
        and (other.outcome, other.evidence.rule, likeness(other.evidence.summary)) == key
        and other.test != cell.test
    ]


def _services(run: Run, evidence: Evidence, used: Iterable[str]) -> Iterator[ServiceEntry]:
    """Yield two looks at each service: around the test, or, without any, around the suite."""
    before = {ping.service: ping for ping in evidence.pings_before}
    after = {ping.service: ping for ping in evidence.pings}
    names: Iterable[str] = sorted(before.keys() | after.keys())
    if not names:
        names = sorted(used)
        for attestation in run.attestations:
            (before if attestation.moment == "before" else after).update(attestation.services)
    for name in names:
        first, last = before.get(name), after.get(name)
        yield ServiceEntry(
            service=name,
            source=run.header.sources.get(name, ""),
            before=_in_words(first),
            before_status=first.status if first else None,
            after=_in_words(last, latency=True),
            after_status=last.status if last else None,
            latency=last.latency if last else None,
            claims=_claims(last) or _claims(first),
        )


def _in_words(ping: Ping | None, *, latency: bool = False) -> str:
    """Return a look in a few words: `down: connection refused`."""
    if ping is None:
        return "not looked at"
    parts = [ping.status.value]
    if latency and ping.is_up:
        parts.append(f" in {ping.latency * 1000:.1f} ms")
    if ping.looks != 1 and not ping.is_flapping:  # where only some failed, the detail counts them
        parts.append(f" ({ping.looks} looks)")
    if ping.detail:
        parts.append(f": {ping.detail}")
    unwell = [f"{name} {state}" for name, state in sorted(ping.dependencies.items()) if state not in {"up", "absent"}]
    if unwell:
        parts.append(f"; says: {', '.join(unwell)}")
    if ping.age >= _STALE:
        return f"{ping.age:.0f} s earlier: {''.join(parts)}"
    return "".join(parts)


_STALE = 1.0
"""Seconds between a look and the start of the test from which on the look is told with its age."""


def _claims(ping: Ping | None) -> str:
    if ping is None:
        return ""
    claims = ", ".join(f"{name} {value}" for name, value in sorted(ping.identity.items()) if value)
    return claims or ping.version


def _rule(code: str, findings: Iterable[FindingRecord]) -> RuleEntry:
    """Return what is known of a rule's code; a code of another version has no words here."""
    also = {each.rule: meaning for each in findings if (meaning := _MEANINGS.get(each.rule))}
    rule = rule_named(code)
    if rule is None:
        meaning = "No rule of this version: read it with the version that wrote the run file."
        return RuleEntry(code=code, title="", cause=None, meaning=meaning, page="", also=also)
    page = f"docs/rules/{code}.md"
    return RuleEntry(code=code, title=rule.title, cause=rule.cause, meaning=rule.meaning, page=page, also=also)


def _run(run: Run, note: str) -> RunEntry:
    header, footer = run.header, run.footer
    ended = "" if run.complete else note or (footer.reason if footer else "killed: it has no footer")
    return RunEntry(
        run_id=header.run_id,
        file=str(run.file or ""),
        commit=header.commit,
        dirty=header.dirty,
        started_at=header.started_at,
        ended=ended,
    )
