"""The matrix as a document of the Common Test Report Format, which dashboards and comment writers read.

https://ctrf.io: a test in one environment is a test of its own there, and what CTRF has no word for stands in `extra`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from envmatrix.gate import Answer, Verdict, exit_code
from envmatrix.matrix.table import Column, Matrix
from envmatrix.report.documents import as_json
from envmatrix.report.matrix.summary import JudgedMatrix
from envmatrix.report.text import inert, inert_lines
from envmatrix.runs.cells import Cell, MissingRun, Run
from envmatrix.runs.events import Attempt, FailedPart
from envmatrix.runs.nodeid import file_of, split
from envmatrix.runs.outcomes import Outcome

SPEC_VERSION = "0.0.0"
"""The version of CTRF's specification that its own library writes."""

_STATUSES = {
    Outcome.PASSED: "passed",
    Outcome.XFAILED: "skipped",
    Outcome.FLAKY: "passed",
    Outcome.SKIPPED: "skipped",
    Outcome.XPASSED: "passed",
    Outcome.FAILED: "failed",
    Outcome.NOT_RUN: "other",
}
_COUNTED = ("passed", "failed", "skipped", "pending", "other")


def render(judged: JudgedMatrix) -> str:
    """Return one document of all environments."""
    matrix, verdicts = judged
    pairs = list(zip(matrix.columns, verdicts, strict=True))
    tests = [test for pair in pairs for test in _tests(*pair)]
    versions = {run.header.versions.get("pytest", "") for run in matrix.runs}
    label = matrix.columns[0].label if len(matrix.columns) == 1 else ""
    environment = {
        "reportName": "envmatrix",
        "commit": inert(", ".join(matrix.commits)),
        "testEnvironment": inert(label),
        "healthy": exit_code(verdicts) == 0,
        "extra": {"environments": [_about(*pair) for pair in pairs]},
    }
    results = {
        "tool": _without_empty({"name": "pytest", "version": inert(", ".join(sorted(versions)))}),
        "summary": _summary(matrix.runs, tests),
        "tests": tests,
        "environment": _without_empty(environment),
    }
    return as_json(
        {"reportFormat": "CTRF", "specVersion": SPEC_VERSION, "generatedBy": "envmatrix", "results": results}
    )


def render_each(judged: JudgedMatrix) -> dict[str, str]:
    """Return a document of each environment, by the environment's name."""
    return {
        column.environment: render(JudgedMatrix(Matrix((column,), ()), (verdict,)))
        for column, verdict in zip(judged.matrix.columns, judged.verdicts, strict=True)
    }


def _summary(runs: Sequence[Run], tests: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Count the tests; the times are those of the first start and the last end, 0 where there is no run."""
    counts = Counter(test["status"] for test in tests)
    return {
        "tests": len(tests),
        **{status: counts[status] for status in _COUNTED},
        "flaky": sum(test.get("flaky", False) for test in tests),
        "start": min(map(_started, runs), default=0),
        "stop": max(
            (_started(run) + (_milliseconds(run.footer.duration) if run.footer else 0) for run in runs), default=0
        ),
    }


def _started(run: Run) -> int:
    try:
        return _milliseconds(datetime.fromisoformat(run.header.started_at).timestamp())
    except ValueError:  # a file from elsewhere
        return 0


def _about(column: Column, verdict: Verdict) -> dict[str, Any]:
    header = None if isinstance(column.run, MissingRun) else column.run.header
    return {
        "name": inert(column.environment),
        "label": inert(column.label),
        "verdict": verdict.answer,
        "reasons": [inert(reason.text) for reason in verdict.reasons],
        "runId": inert(header.run_id) if header else None,
        "sources": {inert(name): inert(source) for name, source in column.sources.items()},
    }


def _tests(column: Column, verdict: Verdict) -> Iterator[dict[str, Any]]:
    """Yield the tests of one environment; one that is not compatible has its verdict among them, which is never green."""
    for cell in column.cells.values():
        yield _test(column, cell)
    if verdict.answer is not Answer.COMPATIBLE:
        yield {
            "name": f"verdict [{inert(column.label)}]",
            "testId": f"{inert(column.environment)}/verdict",
            "status": "failed",
            "rawStatus": verdict.answer,
            "duration": 0,
            "suite": [inert(column.label)],
            "message": "\n".join(inert(reason.text) for reason in verdict.reasons),
            "extra": {"environment": inert(column.environment), "verdict": verdict.answer},
        }


def _test(column: Column, cell: Cell) -> dict[str, Any]:
    name = inert(cell.test)
    evidence = cell.evidence
    *earlier, last = cell.attempts or (None,)
    classes = split(cell.test).name.split("::")[:-1]
    values = {
        "name": f"{name} [{inert(column.label)}]",
        "testId": f"{inert(column.environment)}/{name}",
        "status": _STATUSES[cell.outcome],
        "rawStatus": cell.outcome,
        "duration": _milliseconds(cell.duration),
        "suite": [inert(part) for part in (column.label, file_of(cell.test), *classes) if part],
        "message": inert_lines(evidence.summary) if evidence else inert_lines(cell.reason),
        "trace": inert_lines(evidence.detail) if evidence else "",
        "filePath": inert(file_of(cell.test)),
        "threadId": inert(last.worker) if last else "",
        "retries": len(earlier),
        "retryAttempts": [_attempt(number, each) for number, each in enumerate(filter(None, earlier), 1)],
        "steps": [_step(part) for part in evidence.parts] if evidence else [],
    }
    extra = {
        "environment": inert(column.environment),
        "cause": cell.cause,
        "rule": inert(evidence.rule) if evidence else "",
        "place": inert(evidence.place) if evidence else "",
        "phase": inert(evidence.phase) if evidence else "",
        "services": sorted({inert(service) for attempt in cell.attempts for service in attempt.services}),
        "reusedFrom": inert(cell.reused_from),
    }
    is_flaky = cell.outcome is Outcome.FLAKY
    return _without_empty(values) | {
        "flaky": is_flaky,
        "extra": _without_empty(extra) | {"flaky": is_flaky, "retries": len(earlier)},
    }


def _attempt(number: int, attempt: Attempt) -> dict[str, Any]:
    evidence = attempt.evidence
    values = {
        "attempt": number,
        "status": _STATUSES[attempt.outcome],
        "duration": _milliseconds(attempt.duration),
        "message": inert_lines(evidence.summary) if evidence else inert_lines(attempt.reason),
        "trace": inert_lines(evidence.detail) if evidence else "",
        "extra": _without_empty({"cause": attempt.cause, "rule": inert(evidence.rule) if evidence else ""}),
    }
    return _without_empty(values)


def _step(part: FailedPart) -> dict[str, Any]:
    extra = {"cause": part.cause, "rule": part.rule, "message": part.summary, "place": part.place}
    told = {key: inert(value) for key, value in extra.items() if value}
    return {"name": inert(part.label) or "part", "status": "failed", "extra": told}


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _without_empty(values: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is not known: CTRF takes no null, and no text or list that is empty."""
    return {key: value for key, value in values.items() if value not in (None, "", [], {})}
