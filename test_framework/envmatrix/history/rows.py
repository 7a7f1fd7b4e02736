"""What the history keeps of a run, as rows: the same in SQLite and in Parquet. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import to_builtins
from msgspec.structs import replace

from envmatrix.history.file import normal_time
from envmatrix.runs.cells import Cell, Run

Known = Collection[tuple[str, bool]]
"""Ids of runs, each with whether it has a footer."""


class RunRow(NamedTuple):
    """A run besides its cells."""

    run_id: str
    environment: str
    """The one that it is judged as."""
    label: str
    commit_id: str
    dirty: bool
    started_at: str
    """UTC, in a form that sorts as text."""
    finished: bool
    """Whether it has a footer."""
    events: str
    """Header, footer, findings, attestations and reused tests, as JSON."""


class CellRow(NamedTuple):
    """A cell that was run in this run; a reused one is kept where it was run."""

    position: int
    """In the order planned."""
    test: str
    outcome: str
    cause: str | None
    rule: str | None
    summary: str | None
    reason: str | None
    duration: float
    """Seconds, all attempts together."""
    attempts: int
    body: str | None
    """Digest of the test's body."""
    measured: str | None
    """The numbers that it recorded, as JSON."""


class KeptRun(NamedTuple):
    """All rows of one run."""

    run: RunRow
    cells: Sequence[CellRow]


def rows_of(run: Run) -> KeptRun:
    """Return what is kept of a run."""
    header = run.header
    row = RunRow(
        run_id=header.run_id,
        environment=header.judged_as,
        label=header.label,
        commit_id=header.commit,
        dirty=header.dirty,
        started_at=normal_time(header.started_at),
        finished=run.footer is not None,
        events=json.dumps(_events(run), separators=(",", ":")),
    )
    cells = (
        _cell(position, cell, run.bodies.get(cell.test))
        for position, cell in enumerate(run.cells.values())
        if not cell.reused_from
    )
    return KeptRun(row, list(cells))


def _cell(position: int, cell: Cell, body: str | None) -> CellRow:
    evidence = cell.evidence
    return CellRow(
        position=position,
        test=cell.test,
        outcome=cell.outcome,
        cause=cell.cause,
        rule=evidence.rule if evidence else None,
        summary=evidence.summary if evidence else None,
        reason=cell.reason or None,
        duration=cell.duration,
        attempts=len(cell.attempts),
        body=body,
        measured=json.dumps(cell.measured, ensure_ascii=False) if cell.measured else None,
    )


def _events(run: Run) -> Mapping[str, Any]:
    """Return the events of a run besides its cells, as JSON values."""
    return {
        "header": to_builtins(replace(run.header, planned=(), planned_digest="", files={})),
        "footer": to_builtins(run.footer),
        "reused": {commit: list(tests) for commit, tests in run.reused.items()},
        "findings": to_builtins(run.findings),
        "attestations": to_builtins(run.attestations),
    }
