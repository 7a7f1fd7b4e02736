"""What tests did over time, on a terminal and as JSON, in the same words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from envmatrix.history import Entry, Timeline
from envmatrix.report.matrix.summary import word
from envmatrix.report.matrix.terminal import printed
from envmatrix.report.text import first_line, inert, middle, seconds
from envmatrix.runs.cells import Outcome

SCHEMA = 1
_LONGEST = 300
"""Characters of a line."""
_STEADY = 0.1
"""A trend smaller than that share is nobody's concern, nor one of so few seconds: a busy machine alone is good for them."""
_STYLES = {
    Outcome.PASSED: "green",
    Outcome.FAILED: "bold red",
    Outcome.FLAKY: "yellow",
    Outcome.SKIPPED: "cyan",
    Outcome.NOT_RUN: "magenta",
}


@dataclass(frozen=True, slots=True)
class Overview:
    """What is worth a look among all tests."""

    flakiest: Sequence[tuple[str, Timeline]]
    slowest: Sequence[tuple[str, str, float]]
    """Environment, test, seconds."""


def as_json(test: str, timelines: Sequence[Timeline], limit: int) -> str:
    """Return a test's history for programs, the newest of its runs first."""
    document = {
        "schema": SCHEMA,
        "test": test,
        "environments": [
            {
                "name": timeline.environment,
                "runs": len(timeline.entries),
                **_rates(timeline),
                "duration": timeline.duration,
                "trend": timeline.trend,
                "last_good": timeline.last_good or None,
                "first_bad": timeline.first_bad or None,
                "entries": [
                    {**_entry(entry), "other_branch": entry.commit in timeline.elsewhere}
                    for entry in _newest(timeline, limit)
                ],
            }
            for timeline in timelines
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def overview_as_json(overview: Overview) -> str:
    """Return the flakiest and slowest tests for programs."""
    flakiest = [
        {"test": test, "environment": timeline.environment, **_rates(timeline)} for test, timeline in overview.flakiest
    ]
    slowest = [
        {"test": test, "environment": environment, "duration": took} for environment, test, took in overview.slowest
    ]
    return json.dumps({"schema": SCHEMA, "flakiest": flakiest, "slowest": slowest}, indent=2) + "\n"


def _rates(timeline: Timeline) -> dict[str, float | None]:
    return {"pass_rate": timeline.pass_rate, "flake_rate": timeline.flake_rate}


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "test": entry.test,
        "run_id": entry.run_id,
        "label": entry.label,
        "started_at": entry.started_at,
        "commit": entry.commit,
        "dirty": entry.dirty,
        "outcome": entry.outcome,
        "cause": entry.cause,
        "rule": entry.rule or None,
        "summary": entry.summary or None,
        "duration": entry.duration,
        "attempts": entry.attempts,
    }


def _newest(timeline: Timeline, limit: int) -> Sequence[Entry]:
    return timeline.entries[: -limit - 1 : -1]


def as_text(test: str, timelines: Sequence[Timeline], limit: int) -> str:
    """Return a test's history for people, coloured where standard output is a terminal."""
    lines: list[RenderableType] = [Text(middle(inert(test), _LONGEST), "bold")]
    for timeline in timelines:
        lines += [Text(), *_timeline(test, timeline, limit)]
    if not timelines:
        lines.append(Text("was not run there"))
    return printed(Group(*lines))


def _timeline(test: str, timeline: Timeline, limit: int) -> Iterator[RenderableType]:
    yield Text.assemble((inert(timeline.environment), "bold"), "  ", ", ".join(_facts(timeline)))
    if timeline.first_bad:
        since = f"fails since {timeline.first_bad[:12]}"
        good = f"passed last at {timeline.last_good[:12]}" if timeline.last_good else "never passed at any commit"
        yield _indented(Text(f"{since}, {good}", "bold red"))
    elif timeline.last_good:
        yield _indented(Text(f"passed last at {timeline.last_good[:12]}"))
    grid = Table.grid(padding=(0, 2))
    for _ in range(4):
        grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    said = ""
    for entry in _newest(timeline, limit):
        commit = inert(entry.commit[:12]) + " (dirty)" * entry.dirty
        commit += " (other branch)" * (entry.commit in timeline.elsewhere)
        ended = Text(word(entry.outcome), _STYLES.get(entry.outcome, ""))
        when = entry.started_at[:16].replace("T", " ")
        why = _why(entry, test)
        shown = Text("the same", "dim") if why.plain and why.plain == said else why
        said = why.plain
        grid.add_row(Text(inert(when), "dim"), Text(commit), ended, Text(seconds(entry.duration)), shown)
    yield _indented(grid)
    if len(timeline.entries) > limit:
        yield _indented(Text(f"and {len(timeline.entries) - limit} earlier", "dim"))


def _facts(timeline: Timeline) -> Iterator[str]:
    yield _runs(len(timeline.entries))
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


def _runs(number: int) -> str:
    return "1 run" if number == 1 else f"{number} runs"


def _why(entry: Entry, test: str) -> Text:
    text = Text()
    if entry.cause is not None:
        summary = middle(inert(first_line(entry.summary)), _LONGEST)
        text.append(f"{entry.cause} {entry.rule}: {summary}".rstrip(": "))
    if entry.test != test:
        text.append(f"{'  ' * bool(text)}as {middle(inert(entry.test), _LONGEST)}", "dim")
    return text


def overview_as_text(overview: Overview) -> str:
    """Return the flakiest and slowest tests for people."""
    lines: list[RenderableType] = [Text("Flakiest", "bold")]
    flaky = [
        (f"{timeline.flake_rate or 0:.0%} of {_runs(len(timeline.told))}", timeline.environment, test)
        for test, timeline in overview.flakiest
    ]
    lines.append(_indented(_table(flaky) if flaky else Text("no test was flaky")))
    lines += [Text(), Text("Slowest", "bold")]
    slow = [(seconds(took), environment, test) for environment, test, took in overview.slowest]
    lines.append(_indented(_table(slow) if slow else Text("no test has passed")))
    return printed(Group(*lines))


def _table(rows: Sequence[tuple[str, ...]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    for row in rows:
        grid.add_row(*(Text(middle(inert(each), _LONGEST)) for each in row))
    return grid


def _indented(line: RenderableType) -> RenderableType:
    return Padding(line, (0, 0, 0, 2))
