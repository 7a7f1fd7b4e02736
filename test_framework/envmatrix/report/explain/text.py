"""An explanation on a terminal, in a pipe, or as one JSON document: the same words, laid out."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from itertools import chain

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from envmatrix.report.console import make_console
from envmatrix.report.explain.explanation import Explanation, ServiceEntry
from envmatrix.report.text import inert, middle
from envmatrix.report.words import word
from envmatrix.runs.cells import Cause, Outcome

_LOG_LINES = 20
"""Lines of a log that are shown, the last; the JSON document has all that was recorded."""

_DETAIL_LINES = 16
"""Lines of a failure that are shown at each of its ends: the test's own code, and what broke."""

_LONGEST = 1_000
"""Characters of one text; the JSON document has all."""

_EXCEPTION_LINES = 6
"""Lines of each exception that are shown."""

_NAMED = 3
"""Tests of the same fate that are named."""

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


def as_json(told: Explanation) -> str:
    """Return the document, ASCII only: a lone surrogate in a test's name stays a JSON escape."""
    return json.dumps(told.model_dump(mode="json"), indent=2) + "\n"


def as_text(told: Explanation) -> str:
    """Return the explanation for a person, drawn for the terminal that standard output is, or for a pipe."""
    console = make_console()
    with console.capture() as capture:
        for part in _parts(told):
            console.print(part)
    text = "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())
    return text + _command(console, told.rerun) if told.rerun else text


def _command(console: Console, command: str) -> str:
    """Return the last section. Its line is never broken, however long: it is there to be copied."""
    with console.capture() as capture:
        console.print(Text("\nRun exactly this again", "bold"))
        console.print(Text(f"  {inert(command)}"), soft_wrap=True)
    return capture.get()


def _parts(told: Explanation) -> Iterator[RenderableType]:
    yield Text(_bounded(told.test), "bold")
    outcome = word(told.outcome) if told.outcome or told.run else "no run"
    head, _, rest = told.headline.partition(outcome)
    yield Text.assemble(inert(head), (outcome, _STYLES[told.outcome]), _bounded(rest))
    yield from _section("What happened", _facts(told))
    yield from _section("Exceptions, outermost first", chain.from_iterable(map(_exception, told.exceptions)))
    yield from _section("What the services said", [_services(told)] if told.services else [])
    yield from _section("What the test asked for, oldest first", map(_line, told.exchanges))
    for service, log in told.logs.items():
        yield from _section(f"The end of {inert(service)}'s log", _ends(log, 0, _LOG_LINES))
    if not _says_it_all(told):
        title = "The failure, as pytest shows it" if told.run else "The end of what pytest said"
        yield from _section(title, _ends(told.detail, _DETAIL_LINES, _DETAIL_LINES))
    yield from _rule(told)
    yield from _section("What to do next", map(_line, told.next))


def _says_it_all(told: Explanation) -> bool:
    """Return whether the rule's line is all that a person needs: the traceback goes through our own code, or a client's."""
    return told.cause is Cause.INFRASTRUCTURE or (told.cause is Cause.CONTRACT and told.phase == "setup")


def _facts(told: Explanation) -> Iterator[Table]:
    facts = list(_named_facts(told))
    if not facts:
        return
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts:
        grid.add_row(Text(name, "dim"), Text("\n".join(map(_bounded, value.splitlines()))))
    yield grid


def _named_facts(told: Explanation) -> Iterator[tuple[str, str]]:
    if told.summary not in told.headline:  # it has more than one line
        yield "why", told.summary
    if told.phase or told.place:
        phase = {"": "", "smoke": "in the smoke check"}.get(told.phase, f"in {told.phase}")
        yield "where", ", ".join(filter(None, (phase, told.place)))
    if told.attempts:
        yield "took", f"{_seconds(told.duration)}" + (f" in worker {told.worker}" if told.worker else "")
    if len(told.attempts) > 1:
        for number, attempt in enumerate(told.attempts, 1):
            worker = f" in worker {attempt.worker}" if attempt.worker else ""
            why = f": {attempt.why}" if attempt.why else ""
            yield f"attempt {number}", f"{word(attempt.outcome)} after {_seconds(attempt.duration)}{worker}{why}"
    if told.alike:
        named = ", ".join(middle(test, 100) for test in told.alike[:_NAMED])
        more = f" and {len(told.alike) - _NAMED} more" if len(told.alike) > _NAMED else ""
        yield "alike", f"{named}{more}: the same, for the same reason"
    if told.run is not None:
        dirty = " (dirty)" if told.run.dirty else ""
        commit = "of no known commit" if told.run.commit == "unknown" else f"of commit {told.run.commit[:12]}{dirty}"
        yield "run", f"began {told.run.started_at[:19].replace('T', ' ')} UTC, {commit}"
        if told.run.ended:
            yield "ended", told.run.ended
        yield "run file", os.path.relpath(told.run.file) if told.run.file else ""


def _services(told: Explanation) -> Table:
    table = Table.grid(padding=(0, 2))
    for _ in range(4):
        table.add_column(overflow="fold")
    table.add_row(*(Text(title, "dim") for title in ("service", *told.moments, "claims to be")))
    for each in told.services:
        table.add_row(
            Text(_bounded(f"{each.service} ({each.source})" if each.source else each.service)),
            Text(_bounded(each.before), _style(each.before)),
            Text(_bounded(_with_latency(each)), _style(each.after)),
            Text(_bounded(each.claims), "dim"),
        )
    return table


def _with_latency(each: ServiceEntry) -> str:
    if each.latency is None or not each.after.startswith("up"):
        return each.after
    return f"up in {each.latency * 1000:.1f} ms{each.after.removeprefix('up')}"


def _style(said: str) -> str:
    return {"up": "green", "down": "red", "degraded": "yellow"}.get(re.split(r"\W", said, maxsplit=1)[0], "dim")


def _rule(told: Explanation) -> Iterator[RenderableType]:
    rule = told.rule
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


def _exception(text: str) -> Iterator[RenderableType]:
    """Yield an exception's first lines."""
    return (_line(line, "dim" if number else "") for number, line in enumerate(text.splitlines()[:_EXCEPTION_LINES]))


def _section(title: str, parts: Iterable[RenderableType]) -> Iterator[RenderableType]:
    held = list(parts)
    if held:
        yield Text()
        yield Text(title, "bold")
        yield from (part if isinstance(part, Padding) else _indented(part) for part in held)


def _line(text: str, style: str = "") -> Padding:
    return _indented(Text(_bounded(text), style))


def _indented(part: RenderableType) -> Padding:
    return Padding(part, (0, 0, 0, 2))


def _bounded(text: str) -> str:
    return middle(inert(text), _LONGEST)


def _seconds(duration: float) -> str:
    return f"{duration:.3f} s" if duration < 1 else f"{duration:.1f} s"
