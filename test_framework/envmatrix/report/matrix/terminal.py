"""The matrix on a terminal; in a pipe or a CI log the same words without colours or glyphs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from envmatrix.environments import UNVERIFIED
from envmatrix.gate import Answer, Code, Verdict, number_of_tests
from envmatrix.matrix.table import Matrix, Row, count, count_reused
from envmatrix.report.console import indented, make_console, printed, short
from envmatrix.report.matrix.summary import AlikeCells, Aside, JudgedMatrix, MatrixSummary, by_label, sources, stand_ins
from envmatrix.report.text import inert, middle, plural, short_path
from envmatrix.report.words import ANSWER_STYLES, STYLES, cause_and_rule, word
from envmatrix.runs.cells import MissingRun
from envmatrix.runs.outcomes import Outcome

_NARROWEST_NAME = 20
_WIDEST_NAME = 60
_WIDEST_LABEL = 24
_NARROW = 56
_GAP = 3
"""Characters of a test file's name, of an environment's label, of a console without room for tables, and between two
columns of one."""

_FEW_FILES = 12
"""Test files of which each is a row; of more, those that have something to say."""

_LONGEST_REASON = 600
"""Characters of a reason of a verdict."""

_NAMED = 3
"""Tests to name for one problem; the JSON format has all."""

_GLYPHS: Mapping[Outcome | None, tuple[str, str]] = {
    Outcome.PASSED: ("✓", "ok"),
    Outcome.XFAILED: ("x", "xfail"),
    Outcome.FLAKY: ("~", "flaky"),
    Outcome.SKIPPED: ("○", "skip"),
    Outcome.XPASSED: ("!", "xpass"),
    Outcome.FAILED: ("✗", "FAIL"),
    Outcome.NOT_RUN: ("?", "not-run"),
    None: ("·", "-"),
}
"""Outcome → glyph, and the word in its place where the terminal may not show glyphs."""

_LINES = box.Box("    \n    \n -- \n    \n -- \n -- \n    \n    \n".replace("-", "\N{BOX DRAWINGS LIGHT HORIZONTAL}"))
_ASCII_LINES = box.Box("    \n    \n -- \n    \n -- \n -- \n    \n    \n", ascii=True)


_ALL = "envmatrix show --format full"
"""The command that leaves nothing out."""


def render(judged: JudgedMatrix, *, full: bool = False) -> str:
    """Return the report, drawn for the terminal that standard output is, or for a pipe."""
    console = make_console()
    return printed(Group(*MatrixLayout(console, *judged, full=full).parts()), console)


class MatrixLayout:
    """Lays one matrix out for one console; unless `full`, what says nothing is counted and not listed."""

    def __init__(self, console: Console, matrix: Matrix, verdicts: Sequence[Verdict], *, full: bool = False) -> None:
        self._summary = MatrixSummary.of(matrix)
        self._full = full or bool(self._summary.selection)
        self._width = console.width
        self._is_narrow = console.width < _NARROW
        self._glyphs = console.is_terminal and console.encoding.lower().startswith("utf")
        self._matrix = matrix
        self._verdicts = verdicts

    def parts(self) -> Iterator[RenderableType]:
        """Yield the report from top to bottom."""
        yield Text.assemble(("envmatrix", "bold"), "  ", (inert(self._summary.title), "dim"))
        if self._summary.selection:
            yield Text(short(self._summary.selection))
        yield Text()
        is_well = all(each.answer is Answer.COMPATIBLE for each in self._verdicts) and not self._summary.problems
        briefly = self._is_narrow or (is_well and not self._full)
        if briefly:
            for index in range(len(self._matrix.columns)):
                yield from self._brief(index)
        else:
            yield from self._tables()
        if self._glyphs:
            yield from [Text()] * briefly
            yield self._legend()
        if not briefly:
            yield from self._section("Stand-ins and absent services", self._stand_ins())
        yield from self._section("Not passed everywhere", self._problems())
        if self._summary.advice:
            yield from self._section("What to do", self._advice())
        yield from self._asides()
        if not briefly:
            yield from self._section("Verdict", self._verdict_lines())
        yield from self._log_tails()

    def _brief(self, index: int) -> Iterator[RenderableType]:
        """Yield an environment in a few lines: verdict, counts, where its services come from, reasons to add to that."""
        column, verdict = self._matrix.columns[index], self._verdicts[index]
        width = max(len(middle(inert(each.label), _WIDEST_LABEL)) for each in self._matrix.columns)
        label = middle(inert(column.label), _WIDEST_LABEL)
        head = [
            Text(f"{label:{width}} ", "bold"),
            self._answer(verdict),
            Text(),
            *self._counts(self._matrix.rows, index),
        ]
        yield _pack(head, self._width)
        services = Text(" ").join(self._sources(index))
        if named := stand_ins(column):
            services.append(f"; {inert(named)}", "dim")
        yield indented(services)
        for reason in verdict.reasons:
            if reason.code is not Code.PASSED:
                yield indented(Text(middle(inert(reason.text), _LONGEST_REASON)))

    def _asides(self) -> Iterator[RenderableType]:
        """Yield why tests tell nothing, or how many there are; why they were not run, or none of them passed, in any case."""
        judged = by_label(self._matrix, self._verdicts)
        none_passed = {label for label, each in judged if Code.NONE_PASSED in {reason.code for reason in each.reasons}}
        told = {
            each
            for each in self._summary.asides
            if each.outcome is Outcome.NOT_RUN or (each.outcome and not none_passed.isdisjoint(each.labels))
        }
        listed = [each for each in self._summary.asides if self._full or each in told]
        yield from self._section("Skipped, expected to fail, or not run", map(self._aside, listed))
        left_out = [each for each in self._summary.asides if each not in listed]
        if left_out:
            numbers = Counter[Outcome | None]()
            for each in left_out:
                numbers[each.outcome] += len(each.tests) * len(each.labels)
            counts = ", ".join(f"{number} {word(outcome)}" for outcome, number in numbers.items())
            yield Text()
            yield Text(f"{counts}, for {plural(len(left_out), 'reason')}: {_ALL}", "dim")

    def _section(self, title: str, parts: Iterable[RenderableType]) -> Iterator[RenderableType]:
        lines = list(parts)
        if lines:
            yield Text()
            yield Text(title, "bold")
            yield from lines

    def _tables(self) -> Iterator[RenderableType]:
        """Yield the matrix as a table, or as several where the environments do not fit side by side."""
        side_by_side: list[int] = []
        room = self._width - _NARROWEST_NAME
        for index in range(len(self._matrix.columns)):
            need = self._narrowest(index) + _GAP
            if side_by_side and need > room:
                yield self._table(side_by_side)
                yield Text()
                side_by_side, room = [], self._width - _NARROWEST_NAME
            side_by_side.append(index)
            room -= need
        yield self._table(side_by_side)

    def _table(self, columns: Sequence[int]) -> Table:
        widths = self._widths(columns)
        table = Table(box=_LINES if self._glyphs else _ASCII_LINES, show_edge=False, pad_edge=False, show_footer=True)
        table.add_column("tests", footer="verdict", no_wrap=True)
        for index in columns:
            label = Text(middle(inert(self._matrix.columns[index].label), widths[index]), "bold")
            table.add_column(label, footer=self._answer(self._verdicts[index]), width=widths[index])
        name_width = max(_NARROWEST_NAME, self._width - sum(widths.values()) - _GAP * len(columns))
        services = [_pack(self._sources(index), widths[index]) for index in columns]
        table.add_row(Text("services", "dim"), *services, end_section=True)
        total = len(self._matrix.groups)
        is_whole = self._full or total <= _FEW_FILES
        groups = [(group, rows) for group, rows in self._matrix.groups.items() if is_whole or _has_news(rows)]
        for group, rows in groups:
            cells = [_pack(self._counts(rows, index), widths[index]) for index in columns]
            table.add_row(Text(short_path(inert(group), name_width)), *cells)
        if len(groups) < total or total > 1:
            if groups:
                table.add_section()
            totals = [_pack(self._counts(self._matrix.rows, index), widths[index]) for index in columns]
            name = "all" if len(groups) == total else f"all of {plural(total, 'file')}"
            table.add_row(Text(name, "bold"), *totals)
        return table

    def _widths(self, columns: Sequence[int]) -> dict[int, int]:
        """Return the width of each column: what it wants, or an equal share where names would have no room."""
        longest_name = max(map(len, self._matrix.groups), default=0)
        wanted = {index: self._wanted(index) for index in columns}
        room = self._width - _GAP * len(columns)
        if min(longest_name, _WIDEST_NAME) + sum(wanted.values()) <= room:
            return wanted
        share = (room - min(longest_name, max(_NARROWEST_NAME, room // 3))) // len(columns)
        return {index: max(self._narrowest(index), min(share, wanted[index])) for index in columns}

    def _wanted(self, index: int) -> int:
        counts = Text(" ").join(self._counts(self._matrix.rows, index))
        return max(self._narrowest(index), len(counts))

    def _narrowest(self, index: int) -> int:
        """Return the least width of a column: that of its label, its verdict and its longest entry."""
        parts = [*self._counts(self._matrix.rows, index), *self._sources(index)]
        answer = self._answer(self._verdicts[index])
        label = min(len(inert(self._matrix.columns[index].label)), _WIDEST_LABEL)
        return max(label, len(answer), *(len(part) for part in parts))

    def _sources(self, index: int) -> list[Text]:
        times = "\N{MULTIPLICATION SIGN}" if self._glyphs else "x"
        counted = sources(self._matrix.columns[index]).items()
        return [
            Text(f"{inert(source)} {times}{number}", "bold red" if source == UNVERIFIED else "dim")
            for source, number in counted
        ] or [Text("none", "dim")]

    @staticmethod
    def _answer(verdict: Verdict) -> Text:
        return Text(verdict.answer.value, f"bold {ANSWER_STYLES[verdict.answer]}")

    def _counts(self, rows: Sequence[Row], index: int) -> list[Text]:
        if isinstance(self._matrix.columns[index].run, MissingRun):
            return [Text("no run", "magenta")]
        parts = [self._number(outcome, number) for outcome, number in count(rows, index).items()]
        if reused := count_reused(rows, index):
            counts = ", ".join(f"{number} {_GLYPHS[outcome][1]}" for outcome, number in reused.items())
            parts.append(Text(f"(not run now: {counts})", "dim"))
        return parts or [Text("\N{MIDDLE DOT}" if self._glyphs else "-", "dim")]

    def _number(self, outcome: Outcome, number: int) -> Text:
        glyph, short_word = _GLYPHS[outcome]
        return Text(f"{glyph} {number}" if self._glyphs else f"{number} {short_word}", STYLES[outcome])

    def _legend(self) -> Text:
        used = {cell.outcome for row in self._matrix.rows for cell in row.cells if cell is not None}
        return Text("  ").join(self._mark(outcome) for outcome in Outcome if outcome in used)

    def _mark(self, outcome: Outcome | None) -> Text:
        glyph = f"{_GLYPHS[outcome][0]} " if self._glyphs else ""
        return Text(f"{glyph}{word(outcome)}", STYLES[outcome])

    def _stand_ins(self) -> Iterator[RenderableType]:
        for column in self._matrix.columns:
            if named := stand_ins(column):
                yield indented(Text.assemble((inert(column.label), "bold"), f": {inert(named)}"))

    def _problems(self) -> Iterator[RenderableType]:
        for number, problem in enumerate(self._summary.problems):
            if number:
                yield Text()
            names = [Text(middle(inert(test), self._width - 2), "bold") for test in problem.tests[:_NAMED]]
            if len(problem.tests) > _NAMED:
                names.append(Text(f"and {len(problem.tests) - _NAMED} more, all alike", "bold"))
            grid = Table.grid(padding=(0, 2))
            grid.add_column(no_wrap=not self._is_narrow, overflow="fold")
            for cells in problem.cells:
                row = (self._mark(cells.outcome), self._why(cells))
                grid.add_row(*[Text("  ").join(row)] if self._is_narrow else row)
            yield indented(Group(*names, indented(grid)))

    @staticmethod
    def _why(cells: AlikeCells) -> Text:
        text = Text.assemble((", ".join(map(inert, cells.labels)), "bold"))
        if cells.cause is not None:
            text.append(f": {cause_and_rule(cells.cause, cells.rule)}")
        if cells.summary:
            text.append(f": {short(cells.summary)}")
        if cells.more_place:
            text.append(f" ({inert(cells.more_place)})", "dim")
        return text

    def _advice(self) -> Iterator[RenderableType]:
        for cause, remedy in self._summary.advice:
            yield indented(Text.assemble((inert(cause), "bold"), f": {inert(remedy)}"))

    @staticmethod
    def _aside(aside: Aside) -> RenderableType:
        labels = ", ".join(map(inert, aside.labels))
        text = Text.assemble((labels, "bold"), f": {number_of_tests(len(aside.tests))} {word(aside.outcome)}")
        if aside.reason:
            text.append(f": {short(aside.reason)}")
        return indented(text)

    def _verdict_lines(self) -> Iterator[RenderableType]:
        grid = Table.grid(padding=(0, 2))
        grid.add_column()
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for label, verdict in by_label(self._matrix, self._verdicts):
            reasons = Text("\n").join(Text(middle(inert(reason.text), _LONGEST_REASON)) for reason in verdict.reasons)
            grid.add_row(Text(inert(label), "bold"), self._answer(verdict), reasons)
        yield indented(grid)

    def _log_tails(self) -> Iterator[RenderableType]:
        for column in self._matrix.columns:
            if isinstance(column.run, MissingRun) and column.run.log_tail:
                yield Text()
                yield Text(f"The end of pytest's output in {inert(column.label)}:", "bold")
                for line in column.run.log_tail.splitlines()[-12:]:
                    yield indented(Text(inert(line), "dim"))


def _has_news(rows: Iterable[Row]) -> bool:
    """Return whether tests of a file neither pass everywhere nor are merely skipped."""
    outcomes = {cell.outcome for row in rows for cell in row.cells if cell is not None}
    return any(outcome.needs_attention or outcome is Outcome.NOT_RUN for outcome in outcomes)


def _pack(parts: Sequence[Text], width: int) -> Text:
    """Return parts on as few lines as possible, none of them broken."""
    lines: list[Text] = []
    for part in parts:
        if lines and len(lines[-1]) + 1 + len(part) <= width:
            lines[-1] = Text(" ").join([lines[-1], part])
        else:
            lines.append(part)
    return Text("\n").join(lines)
