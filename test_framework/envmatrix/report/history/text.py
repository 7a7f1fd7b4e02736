"""What tests did over time, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from envmatrix.history import PastCell, Timeline
from envmatrix.report.console import indented, printed, short
from envmatrix.report.history.answers import Overview, TestHistory, newest
from envmatrix.report.text import first_line, inert, plural, seconds
from envmatrix.report.words import STYLES, cause_and_rule, word

_STEADY = 0.1
"""A trend below this share, or below so many seconds, is not worth a word: a busy machine alone may cause it."""


def render(answer: TestHistory | Overview) -> str:
    """Return one test's history, or the overview, coloured where standard output is a terminal."""
    return printed(Group(*(_overview(answer) if isinstance(answer, Overview) else _history(answer))))


def _history(history: TestHistory) -> Iterator[RenderableType]:
    yield Text(short(history.test), "bold")
    for timeline in history.timelines:
        yield Text()
        yield from _timeline(history.test, timeline, history.limit)
    if not history.timelines:
        yield Text("was not run there")


def _overview(overview: Overview) -> Iterator[RenderableType]:
    flaky = [
        (f"{timeline.flake_rate or 0:.0%} of {plural(len(timeline.decisive), 'run')}", timeline.environment, test)
        for test, timeline in overview.flakiest
    ]
    slow = [(seconds(took), environment, test) for environment, test, took in overview.slowest]
    yield Text("Flakiest", "bold")
    yield indented(_table(flaky) if flaky else Text("no test was flaky"))
    yield Text()
    yield Text("Slowest", "bold")
    yield indented(_table(slow) if slow else Text("no test has passed"))


def _timeline(test: str, timeline: Timeline, limit: int) -> Iterator[RenderableType]:
    yield Text.assemble((inert(timeline.environment), "bold"), "  ", ", ".join(_facts(timeline)))
    if timeline.first_bad:
        since = f"fails since {timeline.first_bad[:12]}"
        good = f"passed last at {timeline.last_good[:12]}" if timeline.last_good else "never passed at any commit"
        yield indented(Text(f"{since}, {good}", "bold red"))
    elif timeline.last_good:
        yield indented(Text(f"passed last at {timeline.last_good[:12]}"))
    grid = Table.grid(padding=(0, 2))
    for _ in range(4):
        grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    last_reason = ""
    for entry in newest(timeline, limit):
        commit = inert(entry.commit[:12]) + " (dirty)" * entry.dirty
        commit += " (other branch)" * (entry.commit in timeline.elsewhere)
        ended = Text(word(entry.outcome), STYLES[entry.outcome])
        when = entry.started_at[:16].replace("T", " ")
        why = _why(entry, test)
        shown = Text("the same", "dim") if why.plain and why.plain == last_reason else why
        last_reason = why.plain
        grid.add_row(Text(inert(when), "dim"), Text(commit), ended, Text(seconds(entry.duration)), shown)
    yield indented(grid)
    if len(timeline.cells) > limit:
        yield indented(Text(f"and {len(timeline.cells) - limit} earlier", "dim"))


def _facts(timeline: Timeline) -> Iterator[str]:
    yield plural(len(timeline.cells), "run")
    if timeline.pass_rate is None:
        yield "none of which says something about the product"
    else:
        yield f"{timeline.pass_rate:.0%} passed"
        yield f"{timeline.flake_rate or 0:.0%} flaky"
    if timeline.duration is not None:
        trend = timeline.trend or 0.0
        yield f"takes {seconds(timeline.duration)}"
        if abs(trend) >= _STEADY and abs(timeline.duration - timeline.duration / (1 + trend)) >= _STEADY:
            yield f"{abs(trend):.0%} {'slower' if trend > 0 else 'faster'} than before"


def _why(entry: PastCell, test: str) -> Text:
    text = Text()
    if entry.cause is not None:
        summary = short(first_line(entry.summary))
        text.append(f"{cause_and_rule(entry.cause, entry.rule)}: {summary}".rstrip(": "))
    if entry.test != test:
        text.append(f"{'  ' * bool(text)}as {short(entry.test)}", "dim")
    return text


def _table(rows: Sequence[tuple[str, ...]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    for row in rows:
        grid.add_row(*(Text(short(each)) for each in row))
    return grid
