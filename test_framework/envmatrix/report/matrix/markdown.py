"""The matrix as GitHub-flavoured Markdown: for a pull request's comment or a job's summary."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from envmatrix.gate import Answer, Verdict, number_of_tests
from envmatrix.matrix.table import Column, Matrix, Row, count, count_carried
from envmatrix.report.matrix.summary import ADVICE, Look, Summary, by_label, sources, stand_ins, word
from envmatrix.report.text import inert, middle
from envmatrix.runs.cells import MissingRun, Outcome

_MARKS = {
    Outcome.PASSED: "✅",
    Outcome.XFAILED: "☑️",
    Outcome.FLAKY: "⚠️",
    Outcome.SKIPPED: "⏭️",
    Outcome.XPASSED: "❗",
    Outcome.FAILED: "❌",
    Outcome.NOT_RUN: "❔",
}
_ANSWERS = {Answer.COMPATIBLE: "✅", Answer.INCOMPATIBLE: "❌", Answer.UNKNOWN: "❔"}

_NAMED = 20
"""Tests that are named where one reason holds for many."""

_LONGEST = 300
"""Characters of a name or a reason; a comment on GitHub holds 65,536."""


MOST = (1 << 20) - (1 << 16)
"""Bytes. GitHub takes a step's summary of at most 1 MiB, whole or not at all; what else the step writes needs room too."""


def render(matrix: Matrix, verdicts: Sequence[Verdict]) -> str:
    """Return the report, cut where GitHub would refuse it."""
    kept: list[str] = []
    room = MOST
    for line in _lines(matrix, verdicts):
        room -= len(line.encode()) + 1
        if room < 0:
            kept += ["", "**Cut here: a summary may hold 1 MiB. The run files have all.**"]
            break
        kept.append(line)
    return "\n".join(kept) + "\n"


def code(text: str, *, in_table: bool = False) -> str:
    """Return text as a code span, in which Markdown and HTML mean nothing, however many backticks it holds."""
    text = middle(inert(text), _LONGEST)
    if in_table:
        text = text.replace("|", r"\x7c")
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    # The spaces keep a backtick, or nothing at all, off the fence; Markdown drops them again.
    return f"{fence} {text} {fence}" if not text.strip() or "`" in (text[0], text[-1]) else f"{fence}{text}{fence}"


def _lines(matrix: Matrix, verdicts: Sequence[Verdict]) -> Iterator[str]:
    summary = Summary.of(matrix)
    yield "## Compatibility matrix"
    yield ""
    yield code(summary.title)
    yield ""
    yield from _table(matrix, verdicts)
    named = [(column.label, stand_ins(column)) for column in matrix.columns]
    if any(services for _, services in named):
        yield from ("", "### Stand-ins and absent services", "")
        yield from (f"- {code(label)}: {code(services)}" for label, services in named if services)
    if summary.problems:
        yield from ("", "### Not passed everywhere")
        for problem in summary.problems:
            yield ""
            yield from _names(problem.tests)
            yield from (f"  - {_look(look)}" for look in problem.looks)
        yield ""
        yield from (f"**{cause}**: {ADVICE[cause]}  " for cause in summary.causes)
    if summary.asides:
        yield from ("", "### Skipped, expected to fail, or not run", "")
        for aside in summary.asides:
            because = f": {code(aside.reason)}" if aside.reason else ""
            where = ", ".join(map(code, aside.labels))
            yield f"- {where}: {number_of_tests(len(aside.tests))} {word(aside.outcome)}{because}"
    yield from ("", "### Verdict", "")
    for label, verdict in by_label(matrix, verdicts):
        yield f"- {code(label)}: {_ANSWERS[verdict.answer]} **{verdict.answer}**"
        yield from (f"  - {code(reason.text)}" for reason in verdict.reasons)


def _table(matrix: Matrix, verdicts: Sequence[Verdict]) -> Iterator[str]:
    yield _row("tests", *(code(column.label, in_table=True) for column in matrix.columns))
    yield _row("---", *("---" for _ in matrix.columns))
    yield _row("", *(_sources(column) for column in matrix.columns))
    for group, rows in matrix.groups.items():
        yield _row(code(group, in_table=True), *(_counts(matrix, rows, index) for index in range(len(matrix.columns))))
    answers = (f"{_ANSWERS[verdict.answer]} **{verdict.answer}**" for verdict in verdicts)
    yield _row("**verdict**", *answers)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _sources(column: Column) -> str:
    return ", ".join(f"{code(source, in_table=True)} x{number}" for source, number in sources(column).items())


def _counts(matrix: Matrix, rows: Sequence[Row], index: int) -> str:
    if isinstance(matrix.columns[index].run, MissingRun):
        return "no run"
    parts = [f"{_MARKS[outcome]} {number}" for outcome, number in count(rows, index).items()]
    if carried := count_carried(rows, index):
        parts.append(f"(not run now: {', '.join(f'{number} {word(each)}' for each, number in carried.items())})")
    return " ".join(parts) or "·"


def _names(names: Sequence[str]) -> Iterator[str]:
    yield f"- {code(names[0])}" + (f" and {len(names) - 1} more, all alike:" if len(names) > 1 else "")
    yield from (f"  - {code(name)}" for name in names[1:_NAMED])
    if len(names) > _NAMED:
        yield f"  - and {len(names) - _NAMED} more"


def _look(look: Look) -> str:
    mark = f"{_MARKS[look.outcome]} {word(look.outcome)}" if look.outcome else "not planned"
    where = ", ".join(code(label) for label in look.labels)
    cause = f" **{look.cause}** {code(look.rule)}" if look.cause and look.rule else ""
    why = f" {code(look.summary)}" if look.summary else ""
    place = f" at {code(look.place)}" if look.place else ""
    return f"{where}: {mark}{cause}{why}{place}"
