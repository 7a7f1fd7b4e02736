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

from test_framework.cells import Outcome
from test_framework.gate import Answer, Verdict
from test_framework.matrix import Column, Matrix, MissingRun, Row, count
from test_framework.report.summary import ADVICE, Aside, Look, Problem, Summary, by_label, sources
from test_framework.report.text import inert, middle, tests

PIPE_WIDTH = 120
"""Columns where no terminal tells: a CI log."""

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

_WORDS = {outcome: outcome.replace("_", " ") for outcome in Outcome}

_ANSWERS = {
    Answer.COMPATIBLE: ("✓", "bold green"),
    Answer.INCOMPATIBLE: ("✗", "bold red"),
    Answer.UNKNOWN: ("?", "bold magenta"),
}


def render(matrix: Matrix, verdicts: Sequence[Verdict]) -> str:
    """Return the report, drawn for the terminal that standard output is, or for a pipe."""
    console = make_console()
    with console.capture() as capture:
        show(console, matrix, verdicts)
    return capture.get()


def make_console() -> Console:
    """Return a console for standard output: 120 columns wide where it is no terminal and nobody says otherwise."""
    terminal = sys.stdout.isatty()
    width = None if terminal or os.environ.get("COLUMNS") else PIPE_WIDTH
    return Console(
        width=width, force_terminal=terminal, highlight=False, markup=False, emoji=False, soft_wrap=False, stderr=False
    )


def show(console: Console, matrix: Matrix, verdicts: Sequence[Verdict]) -> None:
    """Print the report."""
    console.print(_Layout(console, matrix, verdicts).report())


class _Layout:
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
        yield self._table()
        if self._glyphs:
            yield self._legend()
        yield from self._section("Not passed everywhere", map(self._problem, self._summary.problems))
        if self._summary.causes:
            yield from self._section("What to do", self._advice())
        yield from self._section("Not run here", map(self._aside, self._summary.asides))
        yield from self._section("Verdict", self._verdict_lines())

    def _section(self, title: str, parts: Iterable[RenderableType]) -> Iterator[RenderableType]:
        lines = list(parts)
        if lines:
            yield Text()
            yield Text(title, "bold")
            yield from lines

    def _table(self) -> Table:
        table = Table(
            box=box.SIMPLE_HEAD if self._glyphs else box.ASCII,
            show_edge=not self._glyphs,
            pad_edge=False,
            show_footer=True,
        )
        table.add_column("tests", footer="verdict", overflow="fold", ratio=None, min_width=12)
        for column, verdict in zip(self._matrix.columns, self._verdicts, strict=True):
            table.add_column(self._head(column), footer=self._answer(verdict), min_width=9)
        name_width = max(20, self._width - 16 * len(self._matrix.columns) - 4)
        for group, rows in self._matrix.groups.items():
            cells = [self._counts(rows, index) for index in range(len(self._matrix.columns))]
            table.add_row(Text(middle(inert(group), name_width)), *cells)
        if len(self._matrix.groups) > 1:
            table.add_section()
            totals = [self._counts(self._matrix.rows, index) for index in range(len(self._matrix.columns))]
            table.add_row(Text("all", "bold"), *totals)
        return table

    def _head(self, column: Column) -> Text:
        return Text.assemble((inert(column.label), "bold"), "\n", (inert(sources(column)), "dim not bold"))

    def _answer(self, verdict: Verdict) -> Text:
        glyph, style = _ANSWERS[verdict.answer]
        return Text(f"{glyph} {verdict.answer}" if self._glyphs else verdict.answer.value, style)

    def _counts(self, rows: Sequence[Row], index: int) -> Text:
        if isinstance(self._matrix.columns[index].run, MissingRun):
            return Text("no run", "magenta")
        parts = [self._number(outcome, number) for outcome, number in count(rows, index).items()]
        return Text(" ").join(parts) if parts else Text("-" if not self._glyphs else "·", "dim")

    def _number(self, outcome: Outcome, number: int) -> Text:
        glyph, word, style = _LOOKS[outcome]
        return Text(
            f"{glyph}\N{NO-BREAK SPACE}{number}" if self._glyphs else f"{number}\N{NO-BREAK SPACE}{word}", style
        )

    def _legend(self) -> Text:
        used = {cell.outcome for row in self._matrix.rows for cell in row.cells if cell is not None}
        parts = [
            Text(f"{_LOOKS[outcome][0]} {_WORDS[outcome]}", _LOOKS[outcome][2])
            for outcome in Outcome
            if outcome in used
        ]
        return Text("  ").join(parts)

    def _mark(self, outcome: Outcome | None) -> Text:
        glyph, _, style = _LOOKS[outcome]
        word = _WORDS[outcome] if outcome is not None else "not planned"
        return Text(f"{glyph} {word}" if self._glyphs else word, style)

    def _problem(self, problem: Problem) -> RenderableType:
        lines: list[RenderableType] = [
            Text(middle(inert(test), self._width - 2), "bold") for test in problem.tests[:_NAMED]
        ]
        if len(problem.tests) > _NAMED:
            lines.append(Text(f"and {len(problem.tests) - _NAMED} more, all alike", "bold"))
        grid = Table.grid(padding=(0, 2))
        grid.add_column(max_width=max(16, self._width // 4))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for look in problem.looks:
            grid.add_row(Text(", ".join(map(inert, look.labels))), self._mark(look.outcome), self._why(look))
        return Padding(Group(*lines, Padding(grid, (0, 0, 0, 2))), (0, 0, 1, 2))

    def _why(self, look: Look) -> Text:
        text = Text()
        if look.cause is not None:
            text.append(f"{look.cause} {look.rule}".strip(), "bold")
            text.append(": ")
        text.append(middle(inert(look.summary), 600))
        if look.place and look.place not in look.summary:
            text.append(f" ({inert(look.place)})", "dim")
        return text

    def _advice(self) -> Iterator[RenderableType]:
        for cause in self._summary.causes:
            yield Padding(Text.assemble((f"{cause}", "bold"), f": {ADVICE[cause]}"), (0, 0, 0, 2))

    def _aside(self, aside: Aside) -> RenderableType:
        text = Text.assemble(
            (inert(aside.label), "bold"), ": ", f"{tests(len(aside.tests))} ", self._mark(aside.outcome)
        )
        if aside.reason:
            text.append(f": {middle(inert(aside.reason), 300)}")
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
