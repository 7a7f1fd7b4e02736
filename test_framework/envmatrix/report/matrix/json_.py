"""The matrix as one JSON document. Nothing is shortened, and every text is as it was recorded.

The models below are the schema; `schema` is raised with each change that an older reader would misread, and keys may be
added without. `python -m envmatrix.report.matrix.json_` prints it as JSON Schema.
"""

from __future__ import annotations

import json
from typing import Any

from msgspec import to_builtins
from pydantic import ConfigDict, Field

from envmatrix.gate import Answer, Reason, Verdict, exit_code
from envmatrix.matrix.table import Column, Row
from envmatrix.report.documents import DocumentPart, as_json
from envmatrix.report.matrix.summary import JudgedMatrix, reported_versions
from envmatrix.runs.cells import Cell, MissingRun
from envmatrix.runs.outcomes import Cause, Outcome

SCHEMA = 1


class EnvironmentEntry(DocumentPart):
    """One column."""

    name: str
    label: str
    """The column's title: `staging (twin)`."""
    judged_as: str
    """The declared environment that it is a run of: `staging` for one that was run `--as pr-123`."""
    answer: Answer
    reasons: tuple[Reason, ...]
    run_id: str | None
    """`null` where there is no run; `reasons` says why."""
    complete: bool
    """Whether the run ended in order, every planned test with an end."""
    commit: str | None
    dirty: bool | None
    started_at: str | None
    """ISO 8601, UTC."""
    duration: float | None
    """Seconds, as the run's footer says; `null` without one."""
    sources: dict[str, str]
    """Service → embedded, process, remote, stub or absent."""
    versions: dict[str, str]
    """Of the tests' own side: contract, Python, pytest."""
    services: dict[str, str]
    """Service → the version that it reported."""
    findings: list[dict[str, Any]]
    """rule, message, place, hint, tests."""
    log_tail: str
    """The end of pytest's own output where there is no run."""


class CellEntry(DocumentPart):
    """One test in one environment."""

    outcome: Outcome
    cause: Cause | None
    reason: str
    duration: float
    """Seconds, all attempts together."""
    attempts: int
    services: list[str]
    """Services that the test used."""
    evidence: dict[str, Any] | None
    """rule, summary, phase, place, exceptions, pings, detail."""
    reused_from: str | None = None
    """The commit of an earlier run whose result is reused; `null` where the test was run now."""


class TestEntry(DocumentPart):
    """One row."""

    __test__ = False  # no test, though its name begins so

    id: str
    cells: dict[str, CellEntry | None]
    """By environment name; `null` where the test was not planned."""


class SelectionEntry(DocumentPart):
    """What chose the tests of the document out of all."""

    query: str
    tests: int
    """Number of all tests, of which the verdicts are."""


class MatrixDocument(DocumentPart):
    """The whole document."""

    model_config = ConfigDict(frozen=True, title="envmatrix matrix", serialize_by_alias=True)

    schema_version: int = Field(default=SCHEMA, alias="schema")
    exit_code: int
    """0 compatible, 1 incompatible, 3 unknown."""
    environments: list[EnvironmentEntry]
    tests: list[TestEntry]
    selection: SelectionEntry | None = None
    """`null` where all tests are here."""


def render(judged: JudgedMatrix) -> str:
    """Return the whole matrix as one JSON document."""
    matrix, verdicts = judged
    names = [column.environment for column in matrix.columns]
    chosen = matrix.selection
    document = MatrixDocument(
        exit_code=exit_code(verdicts),
        environments=[_environment(*pair) for pair in zip(matrix.columns, verdicts, strict=True)],
        tests=[_test(names, row) for row in matrix.rows],
        selection=SelectionEntry(query=chosen.query, tests=chosen.of) if chosen else None,
    )
    return as_json(document)


def _environment(column: Column, verdict: Verdict) -> EnvironmentEntry:
    run = None if isinstance(column.run, MissingRun) else column.run
    header = run.header if run else None
    return EnvironmentEntry(
        name=column.environment,
        label=column.label,
        judged_as=column.judged_as,
        answer=verdict.answer,
        reasons=verdict.reasons,
        run_id=header.run_id if header else None,
        complete=run.complete if run else False,
        commit=header.commit if header else None,
        dirty=header.dirty if header else None,
        started_at=header.started_at if header else None,
        duration=run.footer.duration if run and run.footer else None,
        sources=dict(column.sources),
        versions=header.versions if header else {},
        services=reported_versions(column),
        findings=to_builtins(run.findings) if run else [],
        log_tail=column.run.log_tail if isinstance(column.run, MissingRun) else "",
    )


def _test(names: list[str], row: Row) -> TestEntry:
    cells = {name: _cell(cell) if cell else None for name, cell in zip(names, row.cells, strict=True)}
    return TestEntry(id=row.test, cells=cells)


def _cell(cell: Cell) -> CellEntry:
    return CellEntry(
        outcome=cell.outcome,
        cause=cell.cause,
        reason=cell.reason,
        duration=round(cell.duration, 6),
        attempts=0 if cell.reused_from else len(cell.attempts),
        reused_from=cell.reused_from or None,
        services=sorted({service for attempt in cell.attempts for service in attempt.services}),
        evidence=to_builtins(cell.evidence) if cell.evidence else None,
    )


if __name__ == "__main__":
    print(json.dumps(MatrixDocument.model_json_schema(by_alias=True), indent=2))  # noqa: T201  a command's output
