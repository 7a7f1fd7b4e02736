"""Everything that is known about one cell: what happened, the services, the rule that decided, what to do next.

`entries.py` holds the words, `text.py` lays them out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from envmatrix.causes import rule_named
from envmatrix.contracts import FINDING_RULES
from envmatrix.matrix.table import Column, Matrix
from envmatrix.report.explain.advice import steps
from envmatrix.report.explain.entries import (
    AROUND_THE_SMOKE_CHECK,
    AROUND_THE_SUITE,
    AROUND_THE_TEST,
    AttemptEntry,
    Explanation,
    PartEntry,
    RuleEntry,
    RunEntry,
    ServiceEntry,
)
from envmatrix.report.explain.find import is_of_module
from envmatrix.report.explain.rerun import Rerun, Reruns
from envmatrix.report.explain.run_index import RunIndex
from envmatrix.report.explain.used import used
from envmatrix.report.text import first_line
from envmatrix.report.words import word
from envmatrix.runs.cells import Cell, MissingRun, Run
from envmatrix.runs.events import Evidence, FailedPart, FindingRecord, Sample
from envmatrix.runs.outcomes import Cause
from envmatrix.runs.ping import Ping
from envmatrix.runs.rules import RuleCode

if TYPE_CHECKING:
    from envmatrix.environments import Project

_MEANINGS: Mapping[str, str] = {code.value: meaning for code, meaning in FINDING_RULES.items()}


def explain(matrix: Matrix, column: Column, test: str, project: Project, samples: Sequence[Sample] = ()) -> Explanation:
    """Explain one test in one environment of a matrix, to someone who stands in a project."""
    return Explainer(matrix, column, project, samples).explain(test)


class Explainer:
    """Explains the cells of one environment, to someone who stands in a project; what cells share is looked up once."""

    def __init__(self, matrix: Matrix, column: Column, project: Project, samples: Sequence[Sample] = ()) -> None:
        run = column.run
        self._matrix = matrix
        self._index = run if isinstance(run, MissingRun) else RunIndex(run, samples)
        self._run = None if isinstance(run, MissingRun) else _run(run, column.note)
        self._reruns = Reruns(column.environment, project, None if isinstance(run, MissingRun) else run.header)

    def explain(self, test: str) -> Explanation:
        """Explain one test, which the run need not have."""
        index = self._index
        if isinstance(index, MissingRun):
            explanation = _of_no_run(index, test)
            is_known = any(row.test == test for row in self._matrix.rows)
        else:
            cell, is_known = index.run.cells.get(test), True
            explanation = _of_cell(index, cell) if cell else _not_planned(self._matrix, index.run, test)
        again = self._reruns.of(test) if is_known else Rerun("")
        return replace(explanation, rerun=again.command, next=[*explanation.next, *again.remarks], run=self._run)


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


def _of_cell(index: RunIndex, cell: Cell) -> Explanation:
    run = index.run
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
        alike=index.alike(cell),
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
        next=list(steps(index, cell, evidence)),
        **used(index, cell),
    )


def _headline(run: Run, cell: Cell) -> str:
    why = first_line(_why(cell.cause, cell.evidence, cell.reason))
    where = f"{run.header.label} at {cell.reused_from[:12]}, not run since" if cell.reused_from else run.header.label
    return f"{word(cell.outcome)} in {where}" + (f": {why}" if why else "")


def _why(cause: Cause | None, evidence: Evidence | FailedPart | None, reason: str) -> str:
    if evidence is None:
        return reason
    return f"{cause or ''} {evidence.rule}: {evidence.summary}".lstrip()


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
    parts: list[str] = [ping.status]
    if latency and ping.is_up:
        parts.append(f" in {ping.latency * 1000:.1f} ms")
    if ping.looks != 1 and not ping.is_flapping:  # where only some failed, the detail counts them
        parts.append(f" ({ping.looks} looks)")
    if ping.detail:
        parts.append(f": {ping.detail}")
    if ping.dependencies:
        unwell = [f"{name} {each}" for name, each in sorted(ping.dependencies.items()) if each not in {"up", "absent"}]
        parts.append(f"; says: {', '.join(unwell)}" if unwell else "")
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
