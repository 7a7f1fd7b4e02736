"""How environments differ, for a person: those differences first that tests' results go with."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from envmatrix.matrix.drift import Drift, Split
from envmatrix.report.console import indented, printed, short
from envmatrix.report.drift.words import NAMED, answer, caution, heads, no_result, result, service, values


def render(drift: Drift) -> str:
    """Return the report for a terminal."""
    return printed(Group(*_parts(drift)))


def _parts(drift: Drift) -> Iterator[RenderableType]:
    for split in drift.splits:
        yield _table(drift, split)
        yield from _more(len(split.differences))
        for test in list(split.results)[:NAMED]:
            yield indented(Text.assemble((short(test), "bold"), f": {short(result(drift, split, test))}"))
        yield from _more(len(split.results))
        if text := no_result(drift, split):
            yield indented(Text(text, "dim"))
        yield Text()
    for gap in drift.unknown:
        yield Text(f"unknown: {short(gap)}", "magenta")
    if text := caution(drift):
        yield Text(text, "dim")
    yield Text(answer(drift), "bold")


def _table(drift: Drift, split: Split) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head in ("", "", *map(short, heads(drift, split))):
        table.add_column(Text(head, "bold"), overflow="fold")
    for each in split.differences[:NAMED]:
        table.add_row(*map(Text, map(short, (service(each), each.trait, *values(split, each)))))
    return table


def _more(number: int) -> Iterator[RenderableType]:
    if number > NAMED:
        yield indented(Text(f"and {number - NAMED} more, which --json has", "dim"))
