"""The first part of the page: verdicts, what did not pass and why, the services side by side and how they differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from statistics import median

from msgspec.structs import replace

from envmatrix.causes import rule_named
from envmatrix.contracts import FINDING_RULES
from envmatrix.exceptions import MissingExtraError
from envmatrix.gate import Verdict
from envmatrix.gate.judgement import unexercised
from envmatrix.matrix.drift import Drift, Side, compare_sides
from envmatrix.matrix.norms import worse_numbers
from envmatrix.matrix.table import Column
from envmatrix.report.drift.words import NAMED, result
from envmatrix.report.explain.rerun import Reruns
from envmatrix.report.matrix.summary import MatrixSummary
from envmatrix.report.page import data
from envmatrix.report.page.source import PageSource
from envmatrix.report.words import ADVICE
from envmatrix.runs.cells import MissingRun, Run
from envmatrix.runs.directory import tail
from envmatrix.runs.events import FindingRecord, Fingerprint
from envmatrix.runs.outcomes import Outcome
from envmatrix.runs.ping import PingStatus
from envmatrix.runs.rules import cause_of


def overview(source: PageSource, blocks: int) -> data.Page:
    """Return the overview of a page whose explanations are in so many blocks."""
    matrix, verdicts = source.judged
    summary = MatrixSummary.of(matrix)
    environments = [_environment(source, *pair) for pair in zip(matrix.columns, verdicts, strict=True)]
    places = {column.label: number for number, column in enumerate(matrix.columns)}
    problems = [
        data.Problem(
            source.rows_of(problem.tests),
            [
                data.ProblemCells(
                    [places[label] for label in cells.labels],
                    cells.outcome,
                    cells.cause,
                    cells.rule,
                    cells.summary,
                    cells.place,
                    cells.remedy,
                    _findings(cells.findings),
                )
                for cells in problem.cells
            ],
        )
        for problem in summary.problems
    ]
    asides = [
        data.Aside([places[label] for label in aside.labels], aside.outcome, aside.reason, source.rows_of(aside.tests))
        for aside in summary.asides
    ]
    before = source.comparison.before if source.comparison else None
    return data.Page(
        title=summary.title,
        made_at=source.made_at.isoformat(timespec="seconds"),
        version=version("envmatrix"),
        environments=environments,
        problems=sorted(problems, key=_urgency),
        asides=asides,
        advice=summary.advice,
        rules=dict(_rules(matrix.columns)),
        differences=list(_differences(matrix.columns)),
        numbers=list(_numbers(source)),
        against=data.Against(before.commit, before.name) if before else None,
        tests=len(matrix.rows),
        blocks=blocks,
    )


def _urgency(problem: data.Problem) -> tuple[bool, int]:
    """Return what sorts failures before the rest, and what many tests have before what few have."""
    return not any(cells.outcome is Outcome.FAILED for cells in problem.cells), -len(problem.rows)


def _environment(source: PageSource, column: Column, verdict: Verdict) -> data.Environment:
    run = None if isinstance(column.run, MissingRun) else column.run
    header = run.header if run else None
    return data.Environment(
        name=column.environment,
        label=column.label,
        answer=verdict.answer,
        reasons=[
            data.Reason(reason.code, reason.text, reason.calls_for, source.rows_of(reason.tests))
            for reason in verdict.reasons
        ],
        run_id=header.run_id if header else None,
        complete=run.complete if run else False,
        commit=header.commit if header else None,
        dirty=header.dirty if header else None,
        started_at=header.started_at if header else None,
        duration=round(run.footer.duration * 1000) if run and run.footer else None,
        versions=header.versions if header else {},
        services=list(_services(run)) if run else [],
        findings=_findings(run.findings) if run else [],
        unexercised=unexercised(run) if run else [],
        log_tail=_log_tail(column.run),
        rerun=data.Rerun(Reruns(column.environment, source.project, header).before, ""),
    )


def _findings(findings: Iterable[FindingRecord]) -> list[data.Finding]:
    return [data.Finding(each.rule, each.message, each.place, each.hint) for each in findings]


def _log_tail(run: Run | MissingRun) -> str:
    """Return the end of pytest's output where it died: there it says more than the cells."""
    if isinstance(run, MissingRun):
        return run.log_tail
    if run.file is None or (run.footer and run.footer.ended_by_itself):
        return ""
    return tail(run.file.with_suffix(".log"))


def _services(run: Run) -> Iterator[data.Service]:
    failures = [cell.evidence for cell in run.ended[Outcome.FAILED] if cell.evidence]
    down = Counter(ping.service for each in failures for ping in each.pings if ping.status is PingStatus.DOWN)
    for name, source in run.header.sources.items():
        ping = run.pings.get(name)
        yield data.Service(
            name=name,
            source=source,
            version=ping.version if ping else "",
            identity=ping.identity if ping else {},
            status=ping.status if ping else "",
            latency=round(ping.latency * 1000, 3) if ping and ping.is_up else None,
            down=down[name],
        )


def _rules(columns: Sequence[Column]) -> Iterator[tuple[str, data.Rule]]:
    """Yield each rule that a cell or a finding names, in the order of the codes."""
    runs = [column.run for column in columns if isinstance(column.run, Run)]
    all_evidence = [cell.evidence for run in runs for cell in run.telling if cell.evidence is not None]
    findings = [*(each.findings for each in all_evidence), *(run.findings for run in runs)]
    codes = {each.rule for each in all_evidence} | {finding.rule for each in findings for finding in each}
    meanings: Mapping[str, str] = {code.value: meaning for code, meaning in FINDING_RULES.items()}
    for code in sorted(codes):
        page = f"docs/rules/{code}.md"
        if rule := rule_named(code):
            remedy = rule.remedy or ADVICE[rule.cause]
            yield code, data.Rule(rule.title, rule.cause, rule.meaning, remedy, page)
        elif meaning := meanings.get(code):
            cause = cause_of(code)
            yield code, data.Rule(meaning, cause, meaning, ADVICE[cause] if cause else "", page)


def _differences(columns: Sequence[Column]) -> Iterator[data.Difference]:
    places = [number for number, column in enumerate(columns) if isinstance(column.run, Run)]
    sides = [Side.of(column.run, column.label) for column in columns if isinstance(column.run, Run)]
    drift = _drift(sides)
    for split in drift.splits:
        correlations = [f"{test}: {result(drift, split, test)}" for test in list(split.results)[:NAMED]]
        for difference in split.differences:
            aspect, _, name = difference.trait.partition(" ")
            values: list[str | None] = [None] * len(columns)
            for place, value in zip(places, difference.values, strict=True):
                values[place] = value
            yield data.Difference(difference.service, aspect, name, values, correlations)


def _drift(sides: Sequence[Side]) -> Drift:
    """Compare environments; without what compares documents, by all but their documents."""
    try:
        return compare_sides(sides)
    except MissingExtraError:
        return compare_sides([_without_documents(side) for side in sides])


def _without_documents(side: Side) -> Side:
    if side.fingerprint is None:
        return side
    services = {
        name: {part: traits for part, traits in parts.items() if part != "openapi"}
        for name, parts in side.fingerprint.services.items()
    }
    fingerprint: Fingerprint = replace(side.fingerprint, services=services)
    return Side(side.label, side.versions, side.sources, side.pings, fingerprint, side.outcomes)


def _numbers(source: PageSource) -> Iterator[data.MeasuredNumber]:
    for place, column in enumerate(source.judged.matrix.columns):
        if isinstance(column.run, MissingRun):
            continue
        measured = {test: cell for test, cell in column.cells.items() for attempt in cell.attempts if attempt.measured}
        for cell in measured.values():
            earlier = source.numbers(column.label, cell.test, column.run.header.started_at)
            worse = {each.name for each in worse_numbers(cell.measured, earlier)}
            for name, value in cell.measured.items():
                past = [numbers[name] for numbers in earlier if name in numbers]
                usual = median(past) if past else None
                yield data.MeasuredNumber(source.row_of[cell.test], place, name, value, usual, name in worse)
