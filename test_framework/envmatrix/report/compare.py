"""What changed between two matrices, on a terminal and as JSON, in the same words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from envmatrix.gate import number_of_tests
from envmatrix.matrix.compare import Change, Changes, Comparison, Kind, Seen, Side
from envmatrix.report.matrix.summary import word
from envmatrix.report.matrix.terminal import printed
from envmatrix.report.text import first_line, inert, middle, seconds
from envmatrix.runs.cells import Outcome

SCHEMA = 1
_NAMED = 8
"""Tests named of one kind in one environment; the JSON format has all."""
_LONGEST = 300
"""Characters of a line."""
_STYLES = {
    Kind.REGRESSED: "bold red",
    Kind.FIXED: "green",
    Kind.CAUSE_CHANGED: "yellow",
    Kind.NEWLY_SKIPPED: "cyan",
    Kind.CHANGED: "yellow",
    Kind.SLOWER: "yellow",
}
_ANSWERS = {
    0: ("nothing is worse", "bold green"),
    1: ("worse", "bold red"),
    3: ("unknown: something may be worse", "bold magenta"),
}


def as_json(comparison: Comparison) -> str:
    """Return the comparison for programs; tests that are the same are only counted."""
    document = {
        "schema": SCHEMA,
        "exit_code": comparison.exit_code,
        "before": _side(comparison.before),
        "after": _side(comparison.after),
        "counts": dict(comparison.counts),
        "environments": [
            {
                "name": changes.environment,
                "label": changes.label,
                "counts": dict(changes.counts),
                "gaps": list(changes.gaps),
                "worse": [change.test for change in changes.worse],
                "unknown": changes.unknown,
                "changes": [_change(change) for change in changes.changes if change.kind is not Kind.SAME],
            }
            for changes in comparison.environments
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def _side(side: Side) -> dict[str, str]:
    return {"name": side.name, "commit": side.commit}


def _change(change: Change) -> dict[str, Any]:
    return {
        "test": change.test,
        "kind": change.kind,
        "renamed_from": change.renamed_from or None,
        "before": _seen(change.before),
        "after": _seen(change.after),
        "usual": change.usual,
    }


def _seen(seen: Seen | None) -> dict[str, Any] | None:
    if seen is None:
        return None
    return {
        "outcome": seen.outcome,
        "cause": seen.cause,
        "rule": seen.rule or None,
        "summary": seen.summary or None,
        "duration": seen.duration,
    }


def as_text(comparison: Comparison) -> str:
    """Return the comparison for people, coloured where standard output is a terminal."""
    return printed(Group(*_lines(comparison)))


def _lines(comparison: Comparison) -> Iterator[RenderableType]:
    yield Text(f"from {_named(comparison.before)} to {_named(comparison.after)}", "dim")
    for changes in comparison.environments:
        yield Text()
        yield Text.assemble((inert(changes.label), "bold"), "  ", _counts(changes))
        for gap in changes.gaps:
            yield _indented(Text(middle(inert(gap), _LONGEST), "magenta"), 2)
        for kind, held in groupby(changes.changes, key=lambda change: change.kind):
            if kind is not Kind.SAME:
                yield from _kind(kind, list(held))
    yield Text()
    answer, style = _ANSWERS[comparison.exit_code]
    worse = {change.test for changes in comparison.environments for change in changes.worse}
    yield Text(f"{number_of_tests(len(worse))} {answer}" if worse else answer, style)


def _named(side: Side) -> str:
    if side.commit and side.name.startswith(side.commit):
        return inert(side.commit)  # it was asked for by that very commit
    return inert(f"{side.name} at {side.commit}" if side.commit else side.name)


def _counts(changes: Changes) -> Text:
    parts = [Text(f"{number} {_said(kind)}", _STYLES.get(kind, "")) for kind, number in changes.counts.items()]
    return Text(", ").join(parts) if parts else Text("no test", "magenta")


def _said(kind: Kind) -> str:
    return kind.replace("_", " ")


def _kind(kind: Kind, changes: list[Change]) -> Iterator[RenderableType]:
    yield _indented(Text(_said(kind), _STYLES.get(kind, "")), 2)
    for change in changes[:_NAMED]:
        yield _indented(_line(change), 4)
    if len(changes) > _NAMED:
        yield _indented(Text(f"and {len(changes) - _NAMED} more", "dim"), 4)


def _line(change: Change) -> Text:
    text = Text(middle(inert(change.test), _LONGEST), "bold")
    if change.renamed_from:
        text.append(f"  was {middle(inert(change.renamed_from), _LONGEST)}", "not bold dim")
    if said := _what(change):
        text.append(f"  {said}", "not bold")
    return text


def _what(change: Change) -> str:
    before, after = change.before, change.after
    if before is None or after is None:
        left = after or before
        return _ended(left) if left and left.outcome is not Outcome.PASSED else ""
    match change.kind:
        case Kind.RENAMED:
            return ""
        case Kind.SLOWER:
            return f"{seconds(after.duration or 0)}, usually {seconds(change.usual or 0)}"
        case Kind.CAUSE_CHANGED:
            return f"{before.cause} {before.rule}".rstrip() + f", now {after.cause} {after.rule}{_because(after)}"
        case _:
            return f"{word(before.outcome)}, now {_ended(after)}"


def _ended(seen: Seen) -> str:
    cause = f", {seen.cause} {seen.rule}".rstrip() if seen.cause is not None else ""
    return f"{word(seen.outcome)}{cause}{_because(seen)}"


def _because(seen: Seen) -> str:
    summary = first_line(seen.summary) if seen.outcome is not Outcome.PASSED else ""
    return f": {middle(inert(summary), _LONGEST)}" if summary else ""


def _indented(line: RenderableType, columns: int) -> RenderableType:
    return Padding(line, (0, 0, 0, columns))
