"""The gate's decision, on one screen and as JSON: who keeps it shut, for which tests, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from envmatrix.gate import Answer, Code, Reason, Verdict
from envmatrix.gate.baseline import Baseline
from envmatrix.gate.decide import Decision
from envmatrix.matrix.table import Column
from envmatrix.report.matrix.summary import word
from envmatrix.report.matrix.terminal import printed
from envmatrix.report.text import first_line, inert, middle
from envmatrix.runs.cells import Cell, Outcome

SCHEMA = 1
_NAMED = 8
"""Tests named under a reason that decides: one screen."""
_REMARKED = 3
"""Tests named under a remark."""
_LONGEST = 300
"""Characters of a line."""
_SUMMARY = 160
"""Characters of what a failure says: `envmatrix explain` has all of it."""
_STYLES = {Answer.COMPATIBLE: "green", Answer.INCOMPATIBLE: "red", Answer.UNKNOWN: "magenta"}
_STATES = {Answer.COMPATIBLE: "open", Answer.INCOMPATIBLE: "shut", Answer.UNKNOWN: "unknown"}
_COUNTS = frozenset({Code.CARRIED, Code.PASSED, Code.NEW, Code.REMOVED, Code.FIXED})
"""Reasons whose tests nobody wants listed."""


def as_json(decision: Decision) -> str:
    """Return the decision for programs."""
    before = decision.baseline
    document = {
        "schema": SCHEMA,
        "gate": _STATES[decision.answer],
        "exit_code": decision.exit_code,
        "environments": [
            {
                "name": column.environment,
                "label": column.label,
                "commit": _commit(column),
                "answer": verdict.answer,
                "reasons": [_reason(reason) for reason in verdict.reasons],
            }
            for column, verdict in zip(decision.columns, decision.verdicts, strict=True)
        ],
        "overall": [_reason(reason) for reason in decision.overall],
        "baseline": {"commit": before.commit, "made_at": before.made_at} if before else None,
    }
    return json.dumps(document, indent=2) + "\n"


def _reason(reason: Reason) -> dict[str, Any]:
    return {"code": reason.code, "text": reason.text, "calls_for": reason.calls_for, "tests": list(reason.tests)}


def as_text(decision: Decision) -> str:
    """Return the decision for people, coloured where standard output is a terminal."""
    return printed(Group(*_lines(decision)))


def _lines(decision: Decision) -> Iterator[RenderableType]:
    for column, verdict in zip(decision.columns, decision.verdicts, strict=True):
        answer = (verdict.answer.value, _STYLES[verdict.answer])
        yield Text.assemble((inert(column.label), "bold"), "  ", answer, (_at(column), "dim"))
        yield from _reasons(verdict.reasons, column)
    if decision.overall:
        yield Text("all environments", "bold")
        yield from _reasons(decision.overall, None)
    yield Text()
    state = _STATES[decision.answer]
    before = decision.baseline
    against = f"  against the baseline of {_made(before)}" if before else ""
    yield Text.assemble("gate  ", (state, f"bold {_STYLES[decision.answer]}"), (against, "dim"))


def _made(baseline: Baseline) -> str:
    at = "" if baseline.commit == "unknown" else f"{inert(baseline.commit[:12])}, "
    return f"{at}{baseline.made_at[:10]}"


def _reasons(reasons: Sequence[Reason], column: Column | None) -> Iterator[RenderableType]:
    for reason in reasons:
        style = "" if reason.calls_for is Answer.COMPATIBLE else _STYLES[reason.calls_for]
        yield Padding(Text(middle(inert(reason.text), _LONGEST), style), (0, 0, 0, 2))
        if reason.code in _COUNTS or column is None:
            continue
        decides = reason.calls_for is not Answer.COMPATIBLE
        named = _NAMED if decides else _REMARKED
        for test in reason.tests[:named]:
            yield Padding(_test(test, column.cells.get(test), in_full=decides), (0, 0, 0, 4))
        if len(reason.tests) > named:
            yield Padding(Text(f"and {len(reason.tests) - named} more", "dim"), (0, 0, 0, 4))


def _test(test: str, cell: Cell | None, *, in_full: bool) -> Text:
    text = Text(middle(inert(test), _LONGEST), "bold")
    if cell is None:
        return text
    text.append(f"  {word(cell.outcome)}", "not bold")
    if cell.outcome is not Outcome.NOT_RUN and cell.cause is not None and cell.evidence is not None:
        evidence = cell.evidence
        if not in_full:
            text.append(f", {cell.cause} {evidence.rule}", "not bold")
            return text
        summary = middle(inert(first_line(evidence.summary)), _SUMMARY)
        text.append(f", {cell.cause} {evidence.rule}: {summary}", "not bold")
        if evidence.place and evidence.place not in evidence.summary:
            text.append(f" ({inert(evidence.place)})", "not bold dim")
    return text


def _commit(column: Column) -> str | None:
    header = getattr(column.run, "header", None)
    return header.commit if header else None


def _at(column: Column) -> str:
    header = getattr(column.run, "header", None)
    if header is None or header.commit == "unknown":
        return ""
    return f"  at {header.commit[:12]}{' (dirty)' * header.dirty}"


def promotion_as_text(verdict: Verdict, commit: str) -> str:
    """Return whether a commit may go on, for people."""
    answer = (_STATES[verdict.answer], f"bold {_STYLES[verdict.answer]}")
    lines: list[RenderableType] = [
        Padding(
            Text(
                middle(inert(reason.text), _LONGEST),
                "" if reason.calls_for is Answer.COMPATIBLE else _STYLES[reason.calls_for],
            ),
            (0, 0, 0, 2),
        )
        for reason in verdict.reasons
    ]
    title = Text.assemble((inert(verdict.environment), "bold"), "  ", answer, (f"  at {commit[:12]}", "dim"))
    return printed(Group(title, *lines))


def promotion_as_json(verdict: Verdict, commit: str) -> str:
    """Return whether a commit may go on, for programs."""
    document = {
        "schema": SCHEMA,
        "promotion": verdict.environment,
        "commit": commit,
        "answer": verdict.answer,
        "exit_code": verdict.answer.exit_code,
        "reasons": [_reason(reason) for reason in verdict.reasons],
    }
    return json.dumps(document, indent=2) + "\n"
