"""The gate's decision and a promotion, for people: what keeps the gate shut, for which tests, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from envmatrix.gate import Answer, Code, Reason
from envmatrix.gate.baseline import Baseline
from envmatrix.gate.decide import Decision
from envmatrix.matrix.table import Column
from envmatrix.report.console import indented, printed, short
from envmatrix.report.gate.promotion import STATES, Promotion
from envmatrix.report.text import first_line, inert, middle
from envmatrix.report.words import ANSWER_STYLES, cause_and_rule, word
from envmatrix.runs.cells import Cell, Run
from envmatrix.runs.outcomes import Outcome

_NAMED = 8
"""Tests named under a reason that decides: one screen."""
_REMARKED = 3
"""Tests named under a remark."""
_SUMMARY = 160
"""Characters of a failure's summary: `envmatrix explain` has all of it."""
_COUNTED = frozenset({Code.REUSED, Code.PASSED, Code.NEW, Code.REMOVED, Code.FIXED})
"""Reasons whose tests are counted, and not named."""


def render(answer: Decision | Promotion) -> str:
    """Return the decision or the promotion, coloured where standard output is a terminal."""
    return printed(Group(*(_promotion(answer) if isinstance(answer, Promotion) else _decision(answer))))


def _decision(decision: Decision) -> Iterator[RenderableType]:
    for column, verdict in zip(decision.columns, decision.verdicts, strict=True):
        answer = (verdict.answer.value, ANSWER_STYLES[verdict.answer])
        yield Text.assemble((inert(column.label), "bold"), "  ", answer, (_at(column), "dim"))
        yield from _reasons(verdict.reasons, column)
    if decision.overall:
        yield Text("all environments", "bold")
        yield from _reasons(decision.overall)
    yield Text()
    before = decision.baseline
    against = f"  against the baseline of {_made(before)}" if before else ""
    yield Text.assemble("gate  ", _state(decision.answer), (against, "dim"))


def _promotion(promotion: Promotion) -> Iterator[RenderableType]:
    verdict, commit = promotion
    name = (inert(verdict.environment), "bold")
    yield Text.assemble(name, "  ", _state(verdict.answer), (f"  at {commit[:12]}", "dim"))
    yield from _reasons(verdict.reasons)


def _state(answer: Answer) -> tuple[str, str]:
    return STATES[answer], f"bold {ANSWER_STYLES[answer]}"


def _made(baseline: Baseline) -> str:
    at = "" if baseline.commit == "unknown" else f"{inert(baseline.commit[:12])}, "
    return f"{at}{baseline.made_at[:10]}"


def _reasons(reasons: Sequence[Reason], column: Column | None = None) -> Iterator[RenderableType]:
    for reason in reasons:
        decides = reason.calls_for is not Answer.COMPATIBLE
        yield indented(Text(short(reason.text), ANSWER_STYLES[reason.calls_for] if decides else ""))
        if reason.code in _COUNTED or column is None:
            continue
        named = _NAMED if decides else _REMARKED
        for test in reason.tests[:named]:
            yield indented(_test(test, column.cells.get(test), in_full=decides), 4)
        if len(reason.tests) > named:
            yield indented(Text(f"and {len(reason.tests) - named} more", "dim"), 4)


def _test(test: str, cell: Cell | None, *, in_full: bool) -> Text:
    text = Text(short(test), "bold")
    if cell is None:
        return text
    text.append(f"  {word(cell.outcome)}", "not bold")
    if cell.outcome is not Outcome.NOT_RUN and cell.cause is not None and cell.evidence is not None:
        evidence = cell.evidence
        text.append(f", {cause_and_rule(cell.cause, evidence.rule)}", "not bold")
        if in_full:
            text.append(f": {middle(inert(first_line(evidence.summary)), _SUMMARY)}", "not bold")
        if in_full and evidence.place and evidence.place not in evidence.summary:
            text.append(f" ({inert(evidence.place)})", "not bold dim")
    return text


def _at(column: Column) -> str:
    if not isinstance(column.run, Run) or column.run.header.commit == "unknown":
        return ""
    return f"  at {column.run.header.commit[:12]}{' (dirty)' * column.run.header.dirty}"
