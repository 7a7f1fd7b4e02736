"""The meaning of a query: which tests of a matrix it selects. Pure.

A query is asked of each cell. A test is selected where it is true of one of its cells: words about a cell hold for one and
the same, and words about the test hold for any.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from envmatrix.matrix import query_grammar as grammar
from envmatrix.matrix.compare import ChangeKind, Comparison
from envmatrix.matrix.table import Column, Matrix, Row, Selection
from envmatrix.runs.cells import Cell
from envmatrix.runs.nodeid import file_of


def select(matrix: Matrix, query: str, comparison: Comparison | None = None) -> Matrix:
    """Return the matrix with those of its rows alone that a query selects; the columns stay whole.

    Raises:
        QueryError: the query cannot be understood, or asks for changes and there is no comparison.
    """
    chosen = {cell.test for _, cell in matching_cells(matrix, query, comparison)}
    rows = tuple(row for row in matrix.rows if row.test in chosen)
    return replace(matrix, rows=rows, selection=Selection(query, len(matrix.rows)))


def matching_cells(matrix: Matrix, query: str, comparison: Comparison | None = None) -> Iterator[tuple[Column, Cell]]:
    """Return the cells that a query is true of, row by row.

    Raises:
        QueryError: the query cannot be understood, or asks for changes and there is no comparison.
    """
    environments = [column.environment for column in matrix.columns]
    changes = _changes(environments, comparison)
    holds = _predicate(grammar.parse(query, environments, with_changes=comparison is not None), changes)
    return (
        (matrix.columns[number], cell)
        for row in matrix.rows
        for number, cell in enumerate(row.cells)
        if cell is not None and holds(_Asked(row, number, cell))
    )


def line_of(cell: Cell) -> str:
    """Return what a cell says in one line: why it failed, or its reason."""
    text = (cell.evidence.summary if cell.evidence else "") or cell.reason
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


@dataclass(frozen=True, slots=True)
class _Asked:
    """The cell that a query is asked of."""

    row: Row
    column: int
    cell: Cell


_Holds = Callable[[_Asked], bool]
_Changes = Sequence[Mapping[str, ChangeKind]]
"""By column: test → how it changed."""

_COMPARISONS: Mapping[str, Callable[[int, int], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
}


def _changes(environments: Sequence[str], comparison: Comparison | None) -> _Changes:
    pairs = comparison.environments if comparison else ()
    known = {each.environment: {change.test: change.kind for change in each.changes} for each in pairs}
    return [known.get(name, {}) for name in environments]


def _predicate(node: grammar.Node, changes: _Changes) -> _Holds:
    match node:
        case grammar.Count(part, comparison, number):
            return _count(_predicate(part, changes), _COMPARISONS[comparison], number)
        case grammar.Not(part):
            holds = _predicate(part, changes)
            return lambda asked: not holds(asked)
        case grammar.Every(parts):
            every = [_predicate(part, changes) for part in parts]
            return lambda asked: all(holds(asked) for holds in every)
        case grammar.Either(parts):
            either = [_predicate(part, changes) for part in parts]
            return lambda asked: any(holds(asked) for holds in either)
        case _:
            return _simple(node, changes)


def _simple(node: grammar.Simple, changes: _Changes) -> _Holds:
    match node:
        case grammar.Word(name):
            return _word(name, changes)
        case grammar.At(environment, word):
            return _at(environment, _word(word, changes))
        case grammar.In(environment):
            return lambda asked: asked.column == environment
        case grammar.Pair(key, value):
            return _pair(key, value)
        case grammar.Text(text):
            return lambda asked: text in asked.row.test.lower() or text in line_of(asked.cell).lower()
        case grammar.Duration(comparison, milliseconds):
            compare = _COMPARISONS[comparison]
            return lambda asked: compare(int(asked.cell.duration * 1000 + 0.5), milliseconds)


def _word(name: str, changes: _Changes) -> _Holds:
    if name == grammar.DIFFERS:
        return lambda asked: len({cell.outcome for cell in asked.row.cells if cell is not None}) > 1
    if name == grammar.REUSED:
        return lambda asked: bool(asked.cell.reused_from)
    if name in grammar.CHANGES:
        return lambda asked: changes[asked.column].get(asked.cell.test) == name
    return lambda asked: asked.cell.outcome == name


def _at(environment: int, holds: _Holds) -> _Holds:
    def there(asked: _Asked) -> bool:
        cell = asked.row.cells[environment]
        return cell is not None and holds(_Asked(asked.row, environment, cell))

    return there


def _pair(key: str, value: str) -> _Holds:
    match key:
        case "cause":
            return lambda asked: asked.cell.cause == value
        case "rule":
            return lambda asked: asked.cell.evidence is not None and asked.cell.evidence.rule == value
        case "requires":
            return lambda asked: any(
                value in attempt.services or value in attempt.capabilities for attempt in asked.cell.attempts
            )
        case _:
            return lambda asked: value in file_of(asked.row.test).lower()


def _count(holds: _Holds, compare: Callable[[int, int], bool], number: int) -> _Holds:
    def counted(asked: _Asked) -> bool:
        row = asked.row
        fitting = sum(cell is not None and holds(_Asked(row, each, cell)) for each, cell in enumerate(row.cells))
        return compare(fitting, number)

    return counted
