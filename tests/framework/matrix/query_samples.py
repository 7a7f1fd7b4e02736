"""Matrices for queries, as `query_cases.json` writes them down: what a cell does not say is as in a passed one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from envmatrix.matrix.compare import Change, ChangeKind, Changes, Comparison, Side
from envmatrix.matrix.table import Column, Matrix, Row
from envmatrix.runs.cells import Cell, MissingRun
from envmatrix.runs.events import Attempt, Evidence
from envmatrix.runs.outcomes import Cause, Outcome

CASES = json.loads(Path(__file__).with_name("query_cases.json").read_text(encoding="utf-8"))
"""What Python and the page agree on: a matrix, queries with the tests that they select, and queries that are wrong."""


def matrix_of(environments: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Matrix:
    """The matrix that is written down."""
    columns = tuple(Column(MissingRun(name, name, "")) for name in environments)
    return Matrix(
        columns, tuple(Row(row["test"], tuple(_cell(row["test"], cell) for cell in row["cells"])) for row in rows)
    )


def comparison_of(environments: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Comparison:
    """How the cells changed against another matrix."""
    changes = [
        Changes(
            name,
            name,
            tuple(
                Change(row["test"], ChangeKind(cell["change"]), None, None)
                for row in rows
                if (cell := row["cells"][number]) and cell.get("change")
            ),
            None,
            None,
        )
        for number, name in enumerate(environments)
    ]
    return Comparison(Side("before", {}), Side("after", {}), tuple(changes))


def _cell(test: str, cell: Mapping[str, Any] | None) -> Cell | None:
    if cell is None:
        return None
    outcome, rule, text = Outcome(cell.get("outcome", "passed")), cell.get("rule", ""), cell.get("text", "")
    attempt = Attempt(test, outcome, cell.get("duration", 0) / 1000, services=tuple(cell.get("services", ())))
    return Cell(
        test,
        outcome,
        (attempt,),
        Cause(cell["cause"]) if cell.get("cause") else None,
        Evidence(rule, text) if rule else None,
        "" if rule else text,
        "c" * 40 if cell.get("reused") else "",
    )
