"""The matrix on a terminal; in a pipe or a CI log the same words without colours or glyphs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from envmatrix.gate import Answer, Verdict, number_of_tests
from envmatrix.matrix.table import Matrix, Row, count, count_carried
from envmatrix.report.matrix.summary import ADVICE, Aside, Look, Summary, by_label, sources, stand_ins, word
from envmatrix.report.text import inert, middle, short_path
from envmatrix.runs.cells import MissingRun, Outcome

PIPE_WIDTH = 120
"""Columns where no terminal tells: a CI log."""

_NARROWEST_NAME = 20
_WIDEST_NAME = 60
_WIDEST_LABEL = 24
_GAP = 3
"""Characters: a test file's name in the table, an environment's label, what rich puts between two columns."""

_LONGEST = 300
"""Characters of a reason; the JSON format has all."""

_NAMED = 3
"""Tests that are named where one reason holds for many; the JSON format has all."""

_LOOKS: Mapping[Outcome | None, tuple[str, str, str]] = {
    Outcome.PASSED: ("✓", "ok", "green"),
    Outcome.XFAILED: ("x", "xfail", "yellow"),
    Outcome.FLAKY: ("~", "flaky", "yellow"),
    Outcome.SKIPPED: ("○", "skip", "cyan"),
    Outcome.XPASSED: ("!", "xpass", "yellow"),
    Outcome.FAILED: ("✗", "FAIL", "bold red"),
    Outcome.NOT_RUN: ("?", "not-run", "magenta"),
    None: ("·", "-", "dim"),
}
"""Outcome → glyph, word in its place where glyphs are not safe, style."""

_ANSWERS = {
    Answer.COMPATIBLE: "bold green",
    Answer.INCOMPATIBLE: "bold red",
    Answer.UNKNOWN: "bold magenta",
}


_LINES = box.Box("    \n    \n -- \n    \n -- \n -- \n    \n    \n".replace("-", "\N{BOX DRAWINGS LIGHT HORIZONTAL}"))
_ASCII_LINES = box.Box("    \n    \n -- \n    \n -- \n -- \n    \n    \n", ascii=True)


def render(matrix: Matrix, verdicts: Sequence[Verdict]) -> str:
    """Return the report, drawn for the terminal that standard output is, or for a pipe."""
    console = make_console()
    return printed(Layout(console, matrix, verdicts).report(), console)


def printed(what: RenderableType, console: Console | None = None) -> str:
    """Return something as a console shows it, by default that of standard output; no line ends in blanks."""
    console = console or make_console()
    with console.capture() as capture:
        console.print(what)
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def make_console() -> Console:
    """Return a console for standard output: 120 columns wide where it is no terminal and nobody says otherwise."""
    terminal = sys.stdout.isatty()
    width = None if terminal or os.environ.get("COLUMNS") else PIPE_WIDTH
    return Console(
        width=width, force_terminal=terminal, highlight=False, markup=False, emoji=False, soft_wrap=False, stderr=False
    )


class Layout:
    """Lays one matrix out for one console."""

    def __init__(self, console: Console, matrix: Matrix, verdicts: Sequence[Verdict]) -> None:
        self._width = console.width
        self._glyphs = console.is_terminal and console.encoding.lower().startswith("utf")
        self._matrix = matrix
        self._verdicts = verdicts
        self._summary = Summary.of(matrix)

    def report(self) -> RenderableType:
        """Return everything."""
        return Group(*self._parts())

    def _parts(self) -> Iterator[RenderableType]:
        yield Text.assemble(("envmatrix", "bold"), "  ", (inert(self._summary.title), "dim"))
        yield Text()
        yield from self._tables()
        if self._glyphs:
            yield self._legend()
        yield from self._section("Stand-ins and absent services", self._stand_ins())
        yield from self._section("Not passed everywhere", self._problems())
        if self._summary.causes:
            yield from self._section("What to do", self._advice())
        yield from self._section("Skipped, expected to fail, or not run", map(self._aside, self._summary.asides))
        yield from self._section("Verdict", self._verdict_lines())

    def _section(self, title: str, parts: Iterable[RenderableType]) -> Iterator[RenderableType]:
        lines = list(parts)
        if lines:
            yield Text()
            yield Text(title, "bold")
            yield from lines

    def _tables(self) -> Iterator[RenderableType]:
        """Yield the matrix; where the environments do not fit side by side, several tables below each other."""
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
        for group, rows in self._matrix.groups.items():
            cells = [_pack(self._counts(rows, index), widths[index]) for index in columns]
            table.add_row(Text(short_path(inert(group), name_width)), *cells)
        if len(self._matrix.groups) > 1:
            table.add_section()
            totals = [_pack(self._counts(self._matrix.rows, index), widths[index]) for index in columns]
            table.add_row(Text("all", "bold"), *totals)
        return table

    def _widths(self, columns: Sequence[int]) -> dict[int, int]:
        """Give each column what it would like, or, where names then have no room, an equal share."""
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
        """Return the width below which a column cannot go: its label, its verdict, its longest single entry."""
        parts = [*self._counts(self._matrix.rows, index), *self._sources(index)]
        answer = self._answer(self._verdicts[index])
        label = min(len(inert(self._matrix.columns[index].label)), _WIDEST_LABEL)
        return max(label, len(answer), *(len(part) for part in parts))

    def _sources(self, index: int) -> list[Text]:
        times = "\N{MULTIPLICATION SIGN}" if self._glyphs else "x"
        counted = sources(self._matrix.columns[index]).items()
        return [Text(f"{inert(source)} {times}{number}", "dim") for source, number in counted] or [Text("none", "dim")]

    @staticmethod
    def _answer(verdict: Verdict) -> Text:
        return Text(verdict.answer.value, _ANSWERS[verdict.answer])

    def _counts(self, rows: Sequence[Row], index: int) -> list[Text]:
        if isinstance(self._matrix.columns[index].run, MissingRun):
            return [Text("no run", "magenta")]
        parts = [self._number(outcome, number) for outcome, number in count(rows, index).items()]
        if carried := count_carried(rows, index):
            held = ", ".join(f"{number} {_LOOKS[outcome][1]}" for outcome, number in carried.items())
            parts.append(Text(f"(not run now: {held})", "dim"))
        return parts or [Text("\N{MIDDLE DOT}" if self._glyphs else "-", "dim")]

    def _number(self, outcome: Outcome, number: int) -> Text:
        glyph, word, style = _LOOKS[outcome]
        return Text(f"{glyph} {number}" if self._glyphs else f"{number} {word}", style)

    def _legend(self) -> Text:
        used = {cell.outcome for row in self._matrix.rows for cell in row.cells if cell is not None}
        parts = [
            Text(f"{_LOOKS[outcome][0]} {word(outcome)}", _LOOKS[outcome][2]) for outcome in Outcome if outcome in used
        ]
        return Text("  ").join(parts)

    def _mark(self, outcome: Outcome | None) -> Text:
        glyph, _, style = _LOOKS[outcome]
        return Text(f"{glyph} {word(outcome)}" if self._glyphs else word(outcome), style)

    def _stand_ins(self) -> Iterator[RenderableType]:
        for column in self._matrix.columns:
            if named := stand_ins(column):
                yield Padding(Text.assemble((inert(column.label), "bold"), f": {inert(named)}"), (0, 0, 0, 2))

    def _problems(self) -> Iterator[RenderableType]:
        for number, problem in enumerate(self._summary.problems):
            if number:
                yield Text()
            names = [Text(middle(inert(test), self._width - 2), "bold") for test in problem.tests[:_NAMED]]
            if len(problem.tests) > _NAMED:
                names.append(Text(f"and {len(problem.tests) - _NAMED} more, all alike", "bold"))
            grid = Table.grid(padding=(0, 2))
            grid.add_column(no_wrap=True)
            grid.add_column(overflow="fold")
            for look in problem.looks:
                grid.add_row(self._mark(look.outcome), self._why(look))
            yield Padding(Group(*names, Padding(grid, (0, 0, 0, 2))), (0, 0, 0, 2))

    @staticmethod
    def _why(look: Look) -> Text:
        text = Text.assemble((", ".join(map(inert, look.labels)), "bold"))
        if look.cause is not None:
            text.append(f": {look.cause} {look.rule}".rstrip())
        if look.summary:
            text.append(f": {middle(inert(look.summary), _LONGEST)}")
        if look.place:
            text.append(f" ({inert(look.place)})", "dim")
        return text

    def _advice(self) -> Iterator[RenderableType]:
        for cause in self._summary.causes:
            yield Padding(Text.assemble((f"{cause}", "bold"), f": {ADVICE[cause]}"), (0, 0, 0, 2))

    @staticmethod
    def _aside(aside: Aside) -> RenderableType:
        labels = ", ".join(map(inert, aside.labels))
        text = Text.assemble((labels, "bold"), f": {number_of_tests(len(aside.tests))} {word(aside.outcome)}")
        if aside.reason:
            text.append(f": {middle(inert(aside.reason), _LONGEST)}")
        return Padding(text, (0, 0, 0, 2))

    def _verdict_lines(self) -> Iterator[RenderableType]:
        grid = Table.grid(padding=(0, 2))
        grid.add_column()
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for label, verdict in by_label(self._matrix, self._verdicts):
            reasons = Text("\n").join(Text(middle(inert(reason.text), 600)) for reason in verdict.reasons)
            grid.add_row(Text(inert(label), "bold"), self._answer(verdict), reasons)
        yield Padding(grid, (0, 0, 0, 2))
        for column in self._matrix.columns:
            if isinstance(column.run, MissingRun) and column.run.log_tail:
                yield Text()
                yield Text(f"The end of what pytest said in {inert(column.label)}:", "bold")
                for line in column.run.log_tail.splitlines()[-12:]:
                    yield Padding(Text(inert(line), "dim"), (0, 0, 0, 2))


def _pack(parts: Sequence[Text], width: int) -> Text:
    """Return parts on as few lines as they need, none of them torn apart."""
    lines: list[Text] = []
    for part in parts:
        if lines and len(lines[-1]) + 1 + len(part) <= width:
            lines[-1] = Text(" ").join([lines[-1], part])
        else:
            lines.append(part)
    return Text("\n").join(lines)
