"""The second part of the page: every cell of the matrix, a few numbers and letters each, in columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from envmatrix.masking import MASKER
from envmatrix.matrix.compare import ChangeKind
from envmatrix.matrix.query import line_of
from envmatrix.matrix.table import Column
from envmatrix.report.explain.rerun import shell_word, shipped_module
from envmatrix.report.page import data
from envmatrix.report.page.data import CAUSE_LETTERS, LETTERS
from envmatrix.report.page.source import PageSource
from envmatrix.report.text import middle
from envmatrix.runs.cells import Cell, MissingRun
from envmatrix.runs.events import Attempt
from envmatrix.runs.outcomes import Outcome

_CHANGES: Mapping[ChangeKind, str] = {
    ChangeKind.REGRESSED: "r",
    ChangeKind.FIXED: "f",
    ChangeKind.CAUSE_CHANGED: "c",
    ChangeKind.NEWLY_SKIPPED: "k",
    ChangeKind.CHANGED: "o",
    ChangeKind.SLOWER: "s",
    ChangeKind.MEASURED_WORSE: "m",
    ChangeKind.NEW: "n",
    ChangeKind.RENAMED: "R",
    ChangeKind.NOT_ASKED_FOR: "a",
    ChangeKind.SAME: " ",
}

_LONGEST = 1_000
"""Characters of a text in the grid; the explanation has all."""

_NO_ATTEMPT = Attempt("", Outcome.NOT_RUN)

T = TypeVar("T")
_Tuple = tuple[str, ...]


class _Numbered(dict[T, int]):
    """Numbers values in the order in which they are first asked for."""

    def __missing__(self, value: T) -> int:
        number = self[value] = len(self)
        return number


def grid(source: PageSource, blocks: Mapping[tuple[int, int], int]) -> data.Grid:
    """Return every cell; `blocks` says where the explanation of each is that has one."""
    matrix, columns = source.judged.matrix, _Columns(source)
    made = []
    for number, column in enumerate(matrix.columns):
        places = {row: block for (environment, row), block in blocks.items() if environment == number}
        made.append(columns.make(column, [row.cells[number] for row in matrix.rows], places))
    return data.Grid(
        files=[(file, len(rows), _target(file, source)) for file, rows in matrix.groups.items()],
        names=[row.test[len(row.group) + 2 :] for row in matrix.rows],
        workers=list(columns.workers),
        services=[sorted({*services, *capabilities}) for services, capabilities in columns.services],
        texts=list(columns.texts),
        rules=list(columns.rules),
        columns=made,
        gone=list(_gone(source)),
    )


def _target(file: str, source: PageSource) -> str:
    module = shipped_module(file, source.project)
    return f"--pyargs {shell_word(module)}" if module else ""


class _Columns:
    """Makes the columns, and numbers what they share."""

    def __init__(self, source: PageSource) -> None:
        self._source = source
        self.workers: _Numbered[str] = _Numbered({"": 0})
        self.services: _Numbered[tuple[_Tuple, _Tuple]] = _Numbered({((), ()): 0})
        self.texts: _Numbered[str] = _Numbered({"": 0})
        self.rules: _Numbered[str] = _Numbered()

    def make(self, column: Column, cells: Sequence[Cell | None], places: Mapping[int, int]) -> data.Column:
        """Return a column of cells; `places` maps rows to the blocks of their explanations."""
        last = [cell.attempts[-1] if cell is not None and cell.attempts else _NO_ATTEMPT for cell in cells]
        durations = [int(each.duration * 1000 + 0.5) for each in last]
        first = [cell.attempts[0] if cell is not None and cell.attempts else _NO_ATTEMPT for cell in cells]
        began = [int(each.began * 1000 + 0.5) if each.began else -1 for each in first]
        workers = [self.workers[each.worker] for each in last]
        services = [self.services[each.services, each.capabilities] for each in last]
        outcomes = ["p" if cell is not None else "." for cell in cells]
        causes = [" "] * len(cells)
        rows, texts, rules, attempts = [], [], [], []
        reused: _Numbered[str] = _Numbered({"": 0})
        reused_at = [0] * len(cells)
        for row, cell in _telling(column, self._source.row_of):
            outcomes[row] = LETTERS[cell.outcome]
            causes[row] = CAUSE_LETTERS[cell.cause]
            if len(cell.attempts) > 1:
                durations[row] = int(cell.duration * 1000 + 0.5)
            if cell.reused_from:
                reused_at[row] = reused[cell.reused_from]
            evidence = cell.evidence
            if evidence is not None or cell.reason or len(cell.attempts) > 1:
                rows.append(row)
                texts.append(self.texts[_short(line_of(cell))])
                rules.append(self.rules[evidence.rule] if evidence else -1)
                attempts.append(0 if cell.reused_from else len(cell.attempts))
        history_rows, history = _history(self._source, column)
        changes, before, before_causes = _changes(self._source, column)
        return data.Column(
            outcomes="".join(outcomes),
            causes="".join(causes),
            durations=durations,
            began=began if max(began, default=-1) >= 0 else [],
            worker=workers if any(workers) else [],
            services=services,
            reused=list(reused),
            reused_at=reused_at if any(reused_at) else [],
            rows=rows,
            text=texts,
            rule=rules,
            attempts=attempts,
            block=[places.get(row, -1) for row in rows],
            history_rows=history_rows,
            history=history,
            changes=changes,
            before=before,
            before_causes=before_causes,
        )


def _short(line: str) -> str:
    """Return a line cut to what the grid takes; masked before, since half a secret may not look like one."""
    return line if len(line) <= _LONGEST else middle(MASKER.mask(line), _LONGEST)


def _telling(column: Column, row_of: Mapping[str, int]) -> list[tuple[int, Cell]]:
    """Return the cells that have more to say, each with its row, in the order of rows."""
    cells = () if isinstance(column.run, MissingRun) else column.run.telling
    return sorted((row_of[cell.test], cell) for cell in cells if cell.test in row_of)


def _history(source: PageSource, column: Column) -> tuple[list[int], list[str]]:
    """Return the rows that have a history, and how each ended before."""
    if isinstance(column.run, MissingRun):
        return [], []
    past = source.past(column.environment, column.run.header.started_at)
    known = sorted((source.row_of[test], outcomes) for test, outcomes in past.items() if test in source.row_of)
    return [row for row, _ in known], ["".join(map(LETTERS.__getitem__, outcomes)) for _, outcomes in known]


def _changes(source: PageSource, column: Column) -> tuple[str, str, str]:
    """Return what changed from the other side by row, and the outcomes and causes there; empty without one."""
    if source.comparison is None:
        return "", "", ""
    kinds, before, causes = ([each] * len(source.row_of) for each in (" ", ".", " "))
    for changes in source.comparison.environments:
        for change in changes.changes if changes.environment == column.environment else ():
            row = source.row_of.get(change.test)
            if row is not None and change.after is not None:
                kinds[row] = _CHANGES[change.kind]
                before[row] = LETTERS[change.before.outcome if change.before else None]
                causes[row] = CAUSE_LETTERS[change.before.cause if change.before else None]
    return "".join(kinds), "".join(before), "".join(causes)


def _gone(source: PageSource) -> Iterator[data.Gone]:
    """Yield the tests that some environment has no more, with their last outcomes there."""
    columns = source.judged.matrix.columns
    places = {column.environment: number for number, column in enumerate(columns)}
    gone: dict[str, list[str]] = {}
    for each in source.comparison.environments if source.comparison else ():
        for change in each.changes:
            if change.after is None and change.before is not None and each.environment in places:
                outcomes = gone.setdefault(change.test, ["."] * len(columns))
                outcomes[places[each.environment]] = LETTERS[change.before.outcome]
    return (data.Gone(test, "".join(outcomes)) for test, outcomes in gone.items())
