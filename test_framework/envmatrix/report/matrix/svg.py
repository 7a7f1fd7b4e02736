"""The matrix as one SVG image for a README: a column an environment, a row a file, light or dark as the reader has it.

An outcome is told by shape and number as much as by colour.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement

from envmatrix.gate import Answer
from envmatrix.matrix.table import Column, Matrix, Row, count, count_reused
from envmatrix.report.matrix.summary import JudgedMatrix, MatrixSummary, by_label
from envmatrix.report.svg import as_text, image, label
from envmatrix.report.text import inert, middle, plural, short_path
from envmatrix.report.words import word
from envmatrix.runs.cells import MissingRun
from envmatrix.runs.outcomes import Outcome

_NAMES, _ROW, _MARGIN = 350, 26, 16
"""Pixels: the column of names, a row, the margin."""
_MOST_ROWS, _MOST_COLUMNS = 40, 30
"""More files and environments are counted, not drawn; files with problems are drawn first."""
_NAME_CHARACTERS, _LABEL_CHARACTERS = 50, 18

_SHAPES = {
    Outcome.PASSED: "M0 4 3 7 8 1",
    Outcome.XFAILED: "M1 1H7V7H1Z",
    Outcome.FLAKY: "M4 0 8 8H0Z",
    Outcome.SKIPPED: "M0 4H8",
    Outcome.XPASSED: "M4 0V5M4 7V8",
    Outcome.FAILED: "M0 0 8 8M8 0 0 8",
    Outcome.NOT_RUN: "M0 4H2M3 4H5M6 4H8",
}
"""Outcome → its shape, 8 pixels wide and high, drawn as a line: check, square, triangle, dash, exclamation mark, cross, dots."""
_ANSWER_SHAPES = {
    Answer.COMPATIBLE: Outcome.PASSED,
    Answer.INCOMPATIBLE: Outcome.FAILED,
    Answer.UNKNOWN: Outcome.NOT_RUN,
}
"""Answer → the outcome whose shape and colour it has."""
_LIGHT = {
    "text": "#1f2328",
    "dim": "#59636e",
    "back": "#ffffff",
    "line": "#d1d9e0",
    Outcome.PASSED: "#1a7f37",
    Outcome.XFAILED: "#9a6700",
    Outcome.FLAKY: "#9a6700",
    Outcome.SKIPPED: "#59636e",
    Outcome.XPASSED: "#9a6700",
    Outcome.FAILED: "#cf222e",
    Outcome.NOT_RUN: "#8250df",
}
_DARK = {
    "text": "#f0f6fc",
    "dim": "#9198a1",
    "back": "#0d1117",
    "line": "#3d444d",
    Outcome.PASSED: "#3fb950",
    Outcome.XFAILED: "#d29922",
    Outcome.FLAKY: "#d29922",
    Outcome.SKIPPED: "#9198a1",
    Outcome.XPASSED: "#d29922",
    Outcome.FAILED: "#f85149",
    Outcome.NOT_RUN: "#ab7df8",
}
"""Colours of at least 4.5:1 against the background."""
_WORST_FIRST = (
    Outcome.FAILED,
    Outcome.NOT_RUN,
    Outcome.XPASSED,
    Outcome.FLAKY,
    Outcome.PASSED,
    Outcome.SKIPPED,
    Outcome.XFAILED,
)


class _Layout(NamedTuple):
    """How columns are drawn: side by side in full, or many of them narrow, with slanted heads."""

    column: int
    """Pixels of an environment's column."""
    head: int
    """Pixels above the first row."""
    overhang: int
    """Pixels by which the last head stands out of its column."""
    shown: int
    """Outcomes of a cell that are told in numbers, the worst first; the bar below has all."""
    is_slanted: bool


_FULL = _Layout(column=138, head=92, overhang=0, shown=3, is_slanted=False)
_NARROW = _Layout(column=54, head=170, overhang=70, shown=1, is_slanted=True)
_MOST_IN_FULL = 8


def render(judged: JudgedMatrix) -> str:
    """Return the image."""
    matrix, verdicts = judged
    columns = matrix.columns[:_MOST_COLUMNS]
    layout = _FULL if len(columns) <= _MOST_IN_FULL else _NARROW
    rows = [*_drawn(matrix).items(), ("all", matrix.rows)]
    answers = ", ".join(
        f"{name} {verdict.answer}" for name, verdict in list(by_label(matrix, verdicts))[:_MOST_COLUMNS]
    )
    left_out = len(matrix.columns) - len(columns)
    title = "Compatibility matrix" + (f", and {plural(left_out, 'environment')} more" if left_out else "")
    width = 2 * _MARGIN + _NAMES + layout.column * len(columns) + layout.overhang
    root = image(width, layout.head + _ROW * (len(rows) + 1) + _MARGIN, title, f"Verdicts: {answers}.")
    SubElement(root, "style").text = f"{_style(_LIGHT)}@media(prefers-color-scheme:dark){{{_style(_DARK)}}}"
    SubElement(root, "rect", {"class": "back", "width": "100%", "height": "100%", "rx": "6"})
    label(root, _MARGIN, 28, title, "text", font_size="15", font_weight="bold")
    label(root, _MARGIN, 46, MatrixSummary.of(matrix).title, "dim")
    for index, column in enumerate(columns):
        _column_head(root, _MARGIN + _NAMES + index * layout.column, column, layout)
    for number, (name, tests) in enumerate(rows):
        row = _row(root, layout.head + number * _ROW, width)
        if tests is matrix.rows:
            label(row, 0, 16, name, "text", font_weight="bold")
        else:
            label(row, 0, 16, short_path(inert(name), _NAME_CHARACTERS), "text", font_family="monospace")
        for index, column in enumerate(columns):
            place = SubElement(row, "g", transform=f"translate({_NAMES + index * layout.column} 0)")
            _cell(place, column, tests, index, layout)
    last = _row(root, layout.head + len(rows) * _ROW, width)
    label(last, 0, 18, "verdict", "text", font_weight="bold")
    for index, verdict in enumerate(verdicts[:_MOST_COLUMNS]):
        shape, x = _ANSWER_SHAPES[verdict.answer], _NAMES + index * layout.column
        _shape(last, x, 10, shape)
        if not layout.is_slanted:
            label(last, x + 14, 18, verdict.answer, f"{shape} fill", font_weight="bold")
    return as_text(root)


def _row(root: Element, y: int, width: int) -> Element:
    row = SubElement(root, "g", transform=f"translate({_MARGIN} {y})")
    SubElement(row, "path", {"class": "line", "d": f"M0 0H{width - 2 * _MARGIN}"})
    return row


def _style(colours: Mapping[str, str]) -> str:
    """Return the style of each class: a shape is a line, a text or a bar is filled."""
    outcomes = "".join(
        f".{name}{{stroke:{colours[name]};fill:none;stroke-width:2}}.{name}.fill{{fill:{colours[name]};stroke:none}}"
        for name in Outcome
    )
    return (
        f".text{{fill:{colours['text']}}}.dim{{fill:{colours['dim']}}}.back{{fill:{colours['back']}}}"
        f".line{{stroke:{colours['line']}}}{outcomes}"
    )


def _drawn(matrix: Matrix) -> Mapping[str, Sequence[Row]]:
    """Return the rows by file; of too many files those with problems, and the others as one."""
    groups = matrix.groups
    if len(groups) <= _MOST_ROWS:
        return groups
    # A stable sort: files with problems first, each kind in its order.
    order = sorted(groups, key=lambda name: not any(_needs_attention(row) for row in groups[name]))
    kept = set(order[: _MOST_ROWS - 1])
    others = tuple(row for name in order[_MOST_ROWS - 1 :] for row in groups[name])
    shown: dict[str, Sequence[Row]] = {name: rows for name, rows in groups.items() if name in kept}
    return shown | {f"and {len(groups) - len(kept)} more files": others}


def _needs_attention(row: Row) -> bool:
    return any(cell is not None and cell.outcome.needs_attention for cell in row.cells)


def _column_head(root: Element, x: int, column: Column, layout: _Layout) -> None:
    turned = " rotate(-45)" if layout.is_slanted else ""
    head = SubElement(root, "g", {"class": "head", "transform": f"translate({x} {layout.head - 26}){turned}"})
    label(head, 0, 0, middle(inert(column.label), _LABEL_CHARACTERS), "text", font_weight="bold")
    if stubs := sorted(name for name, source in column.sources.items() if source == "stub"):
        text = middle(inert(f"stub: {', '.join(stubs)}"), _LABEL_CHARACTERS + 4)
        label(head, 0, 15, text, "dim", font_size="10")


def _cell(parent: Element, column: Column, rows: Sequence[Row], index: int, layout: _Layout) -> None:
    if isinstance(column.run, MissingRun):
        label(parent, 0, 15, "no run", f"{Outcome.NOT_RUN} fill")
        return
    counts = Counter(count(rows, index)) + Counter(count_reused(rows, index))
    total = counts.total()
    if not total:
        label(parent, 0, 15, "·", "dim")
        return
    SubElement(parent, "title").text = ", ".join(f"{counts[each]} {word(each)}" for each in Outcome if counts[each])
    x = 0.0
    for outcome in [each for each in _WORST_FIRST if counts[each]][: layout.shown]:
        _shape(parent, x, 6, outcome)
        label(parent, x + 11, 15, str(counts[outcome]), "text")
        x += 18 + 7 * len(str(counts[outcome]))
    x = 0.0
    for outcome in Outcome:
        width = (layout.column - 14) * counts[outcome] / total
        if width:
            bar = {"class": f"{outcome} fill", "x": f"{x:.1f}", "y": "19", "width": f"{width:.1f}", "height": "3"}
            SubElement(parent, "rect", bar)
        x += width


def _shape(parent: Element, x: float, y: float, outcome: Outcome) -> None:
    SubElement(parent, "path", {"class": outcome, "transform": f"translate({x:g} {y:g})", "d": _SHAPES[outcome]})
