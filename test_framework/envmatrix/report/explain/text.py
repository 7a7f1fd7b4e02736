"""Lay out an explanation on a terminal, in a pipe, or as one JSON document: the words are the same."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from itertools import chain

from msgspec import to_builtins
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from envmatrix.report.console import make_console
from envmatrix.report.explain.entries import Explanation, PartEntry
from envmatrix.report.text import first_line, inert, middle
from envmatrix.report.usage import requests_table, usage_table
from envmatrix.report.words import word
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.ping import PingStatus

_LOG_LINES = 20
"""Lines of a log that are shown, the last; the JSON document has all that was recorded."""

_DETAIL_LINES = 16
"""Lines of a failure that are shown at each of its ends: the test's own code, and what broke."""

_LONGEST = 1_000
"""Characters of one text; the JSON document has all."""

_EXCEPTION_LINES = 6
"""Lines of each exception that are shown."""

_NAMED = 3
"""Tests that ended the same way and are named."""

_STYLES = {
    Outcome.PASSED: "bold green",
    Outcome.SKIPPED: "bold cyan",
    Outcome.XFAILED: "bold yellow",
    Outcome.XPASSED: "bold yellow",
    Outcome.FLAKY: "bold yellow",
    Outcome.FAILED: "bold red",
    Outcome.NOT_RUN: "bold magenta",
    None: "bold magenta",
}

_STATUS_STYLES: dict[PingStatus | None, str] = {
    PingStatus.UP: "green",
    PingStatus.DOWN: "red",
    PingStatus.DEGRADED: "yellow",
}


def as_json(explanation: Explanation) -> str:
    """Return the document, ASCII only: a lone surrogate in a test's name stays a JSON escape."""
    return json.dumps(to_builtins(explanation), indent=2) + "\n"


def as_text(explanation: Explanation) -> str:
    """Return the explanation for a person, drawn for the terminal that standard output is, or for a pipe."""
    console = make_console()
    with console.capture() as capture:
        for part in _parts(explanation):
            console.print(part)
    text = "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())
    return text + _command(console, explanation.rerun) if explanation.rerun else text


def _command(console: Console, command: str) -> str:
    """Return the last section. Its line is never broken, however long: it is there to be copied."""
    with console.capture() as capture:
        console.print(Text("\nRun exactly this again", "bold"))
        console.print(Text(f"  {inert(command)}"), soft_wrap=True)
    return capture.get()


def _parts(explanation: Explanation) -> Iterator[RenderableType]:
    yield Text(_bounded(explanation.test), "bold")
    yield Text(_bounded(explanation.headline), _STYLES[explanation.outcome])
    yield from _section("What happened", _facts(explanation))
    yield from _section("Subtests that failed", map(_part, explanation.parts))
    yield from _section("Exceptions, outermost first", chain.from_iterable(map(_exception, explanation.exceptions)))
    yield from _section("What the services said", [_services(explanation)] if explanation.services else [])
    yield from _section("What the test asked for, oldest first", map(_line, explanation.exchanges))
    yield from _section("How long these took", [requests_table(explanation.requests)] if explanation.requests else [])
    yield from _section("What was used meanwhile, at most", [usage_table(explanation.used)] if explanation.used else [])
    yield from _section("What the test measured", (_line(f"{name} {n:g}") for name, n in explanation.measured.items()))
    yield from _section("What grew over the whole run", map(_line, explanation.growing))
    yield from _section("Limits that were crossed meanwhile", map(_line, explanation.limits))
    for service, log in explanation.logs.items():
        yield from _section(f"The end of {inert(service)}'s log", _ends(log, 0, _LOG_LINES))
    if not _says_it_all(explanation):
        title = "The failure, as pytest shows it" if explanation.run else "The end of what pytest said"
        yield from _section(title, _ends(explanation.detail, _DETAIL_LINES, _DETAIL_LINES))
    yield from _rule(explanation)
    yield from _section("What to do next", map(_line, explanation.next))


def _says_it_all(explanation: Explanation) -> bool:
    """Return whether the summary suffices: the traceback goes through our own code, or a client's."""
    return explanation.cause is Cause.INFRASTRUCTURE or (
        explanation.cause is Cause.CONTRACT and explanation.phase == "setup"
    )


def _facts(explanation: Explanation) -> Iterator[Table]:
    facts = list(_named_facts(explanation))
    if not facts:
        return
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts:
        grid.add_row(Text(name, "dim"), Text("\n".join(map(_bounded, value.splitlines()))))
    yield grid


def _named_facts(explanation: Explanation) -> Iterator[tuple[str, str]]:
    if "\n" in explanation.summary:  # the headline has its first line
        yield "why", explanation.summary
    if explanation.phase or explanation.place:
        phase = {"": "", "smoke": "in the smoke check"}.get(explanation.phase, f"in {explanation.phase}")
        yield "where", ", ".join(filter(None, (phase, explanation.place)))
    if explanation.attempts:
        yield (
            "took",
            f"{_seconds(explanation.duration)}" + (f" in worker {explanation.worker}" if explanation.worker else ""),
        )
    if len(explanation.attempts) > 1:
        for number, attempt in enumerate(explanation.attempts, 1):
            worker = f" in worker {attempt.worker}" if attempt.worker else ""
            why = f": {attempt.why}" if attempt.why else ""
            yield f"attempt {number}", f"{word(attempt.outcome)} after {_seconds(attempt.duration)}{worker}{why}"
    if explanation.alike:
        named = ", ".join(middle(test, 100) for test in explanation.alike[:_NAMED])
        more = f" and {len(explanation.alike) - _NAMED} more" if len(explanation.alike) > _NAMED else ""
        yield "alike", f"{named}{more}: the same, for the same reason"
    if explanation.run is not None:
        dirty = " (dirty)" if explanation.run.dirty else ""
        commit = (
            "of no known commit"
            if explanation.run.commit == "unknown"
            else f"of commit {explanation.run.commit[:12]}{dirty}"
        )
        yield "run", f"began {explanation.run.started_at[:19].replace('T', ' ')} UTC, {commit}"
        if explanation.run.ended:
            yield "ended", explanation.run.ended
        yield "run file", os.path.relpath(explanation.run.file) if explanation.run.file else ""


def _services(explanation: Explanation) -> Table:
    table = Table.grid(padding=(0, 2))
    for _ in range(4):
        table.add_column(overflow="fold")
    table.add_row(*(Text(title, "dim") for title in ("service", *explanation.moments, "claims to be")))
    for each in explanation.services:
        table.add_row(
            Text(_bounded(f"{each.service} ({each.source})" if each.source else each.service)),
            Text(_bounded(each.before), _STATUS_STYLES.get(each.before_status, "dim")),
            Text(_bounded(each.after), _STATUS_STYLES.get(each.after_status, "dim")),
            Text(_bounded(each.claims), "dim"),
        )
    return table


def _rule(explanation: Explanation) -> Iterator[RenderableType]:
    rule = explanation.rule
    if rule is None:
        return
    lines = [_line(rule.meaning)]
    lines += [_line(f"{code}: {meaning}") for code, meaning in rule.also.items()]
    lines += [_line(page) for page in (rule.page, *(f"docs/rules/{code}.md" for code in rule.also)) if page]
    title = " ".join(filter(None, (inert(rule.code), rule.title, f"({rule.cause})" if rule.cause else "")))
    yield from _section(f"The rule that decided: {title}", lines)


def _ends(text: str, head: int, tail: int) -> Iterator[RenderableType]:
    """Yield the first and the last lines of a text, and say what is left out between them."""
    lines = text.splitlines()
    left_out = len(lines) - head - tail
    if left_out > 1:
        lines[head : len(lines) - tail] = [f"... {left_out} lines, in --json"]
    return (_line(line, "dim") for line in lines)


def _part(part: PartEntry) -> Padding:
    return _line(f"{part.label} {first_line(part.why)}" + (f" ({part.place})" if part.place else ""))


def _exception(text: str) -> Iterator[RenderableType]:
    """Yield an exception's first lines."""
    return (_line(line, "dim" if number else "") for number, line in enumerate(text.splitlines()[:_EXCEPTION_LINES]))


def _section(title: str, parts: Iterable[RenderableType]) -> Iterator[RenderableType]:
    content = list(parts)
    if content:
        yield Text()
        yield Text(title, "bold")
        yield from (part if isinstance(part, Padding) else _indented(part) for part in content)


def _line(text: str, style: str = "") -> Padding:
    return _indented(Text(_bounded(text), style))


def _indented(part: RenderableType) -> Padding:
    return Padding(part, (0, 0, 0, 2))


def _bounded(text: str) -> str:
    return middle(inert(text), _LONGEST)


def _seconds(duration: float) -> str:
    return f"{duration:.3f} s" if duration < 1 else f"{duration:.1f} s"
