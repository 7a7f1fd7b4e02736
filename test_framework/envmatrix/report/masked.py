"""Mask the texts of a matrix again before it is written in another format.

They were masked when they were recorded, but by a process that may have known other secrets: on another machine, or long ago.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec

from envmatrix.masking import MASKER
from envmatrix.matrix.table import Column, Matrix, Row
from envmatrix.runs.cells import Cell, MissingRun


def masked(matrix: Matrix) -> Matrix:
    """Return the matrix with the secrets that this process knows, and what looks like one, masked in every text.

    Names of tests are left as they are: by these, the cells of a row belong together.
    """
    mask = functools.cache(MASKER.mask)  # a thousand tests say the same
    columns = tuple(_column(column, mask) for column in matrix.columns)
    rows = tuple(Row(row.test, tuple(column.cells.get(row.test) for column in columns)) for row in matrix.rows)
    return replace(matrix, columns=columns, rows=rows)


def _column(column: Column, mask: Callable[[str], str]) -> Column:
    run = column.run
    if isinstance(run, MissingRun):
        run = replace(run, reason=mask(run.reason), log_tail=mask(run.log_tail))
        return Column(run, mask(column.note))
    header = run.header
    options = {"run_options": header.run_options, "pytest_options": header.pytest_options}
    run = replace(
        run,
        header=msgspec.structs.replace(header, **_masked(options, mask)),
        cells={test: _cell(cell, mask) for test, cell in run.cells.items()},
        footer=_masked(run.footer, mask),
        findings=_masked(run.findings, mask),
        attestations=_masked(run.attestations, mask),
    )
    return Column(run, mask(column.note))


def _cell(cell: Cell, mask: Callable[[str], str]) -> Cell:
    if cell.evidence is None and not cell.reason and len(cell.attempts) < 2:  # noqa: PLR2004  it passed, without a word
        return cell
    return cell._replace(
        attempts=_masked(cell.attempts, mask),
        evidence=_masked(cell.evidence, mask),
        reason=mask(cell.reason),
    )


def _masked(value: Any, mask: Callable[[str], str]) -> Any:
    """Return a value of a run file with all its texts masked."""
    if isinstance(value, enum.Enum):
        return value
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, tuple):
        return tuple(_masked(each, mask) for each in value)
    if isinstance(value, dict):
        return {key: _masked(each, mask) for key, each in value.items()}
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.replace(
            value, **{name: _masked(getattr(value, name), mask) for name in value.__struct_fields__ if name != "test"}
        )
    return value
