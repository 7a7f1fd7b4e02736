"""The explanations of the cells that have one, in blocks: the page reads a block when somebody first asks for a cell of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from envmatrix.matrix.table import Column
from envmatrix.report.explain.entries import Explanation
from envmatrix.report.explain.explanation import Explainer
from envmatrix.report.page.data import Details
from envmatrix.report.page.source import PageSource
from envmatrix.runs.cells import Run
from envmatrix.runs.events import Sample
from envmatrix.runs.file import read_samples

_IN_A_BLOCK = 100
"""Explanations: about 50 kB packed, which a browser unpacks in a few milliseconds."""

_NAMED = 5
"""Alike tests that an explanation names: hundreds that name each other would be most of the page."""

_Place = tuple[int, int]
"""Environment and row."""


def blocks_of(source: PageSource) -> Mapping[_Place, int]:
    """Map the place of each cell that has evidence to the block of its explanation.

    The cells of one test stand together, since the page shows them side by side.
    """
    row_of = source.row_of
    places = sorted(
        (row_of[cell.test], environment)
        for environment, column in enumerate(source.judged.matrix.columns)
        for cell in (column.run.telling if isinstance(column.run, Run) else ())
        if cell.evidence is not None and cell.test in row_of
    )
    return {(environment, row): number // _IN_A_BLOCK for number, (row, environment) in enumerate(places)}


def details(source: PageSource, blocks: Mapping[_Place, int]) -> Iterator[Details]:
    """Yield each block."""
    matrix = source.judged.matrix
    explainers = [Explainer(matrix, column, source.project, samples_of(column)) for column in matrix.columns]
    block: dict[int, dict[int, Explanation]] = {}
    current = 0
    for (environment, row), number in blocks.items():
        if number != current:
            yield block
            block, current = {}, number
        explanation = explainers[environment].explain(matrix.rows[row].test)
        more = max(0, len(explanation.alike) - _NAMED)
        if more:
            explanation = replace(explanation, alike=explanation.alike[:_NAMED], alike_more=more)
        block.setdefault(environment, {})[row] = explanation
    if block:
        yield block


def samples_of(column: Column) -> list[Sample]:
    """Return the samples of a column's run; none where its run file is not at hand."""
    run = column.run
    if not isinstance(run, Run) or not run.sampled or run.file is None:
        return []
    return read_samples(run.file) if run.file.exists() else []
