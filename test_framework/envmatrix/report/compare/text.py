"""What changed between two matrices, for people."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from rich.console import Group, RenderableType
from rich.text import Text

from envmatrix.gate import number_of_tests
from envmatrix.matrix.compare import Change, ChangeKind, Changes, Comparison, Seen, Side
from envmatrix.report.console import indented, printed, short
from envmatrix.report.text import first_line, inert, seconds
from envmatrix.report.words import cause_and_rule, word
from envmatrix.runs.outcomes import Outcome

NAMED = 8
"""Tests to name of one kind in one environment; the JSON format has all."""
KIND_STYLES = {
    ChangeKind.REGRESSED: "bold red",
    ChangeKind.FIXED: "green",
    ChangeKind.CAUSE_CHANGED: "yellow",
    ChangeKind.NEWLY_SKIPPED: "cyan",
    ChangeKind.CHANGED: "yellow",
    ChangeKind.SLOWER: "yellow",
    ChangeKind.MEASURED_WORSE: "yellow",
}
_ANSWERS = {
    0: ("nothing is worse", "bold green"),
    1: ("worse", "bold red"),
    3: ("unknown: something may be worse", "bold magenta"),
}


def render(comparison: Comparison) -> str:
    """Return the comparison for people, coloured where standard output is a terminal."""
    return printed(Group(*_lines(comparison)))


def _lines(comparison: Comparison) -> Iterator[RenderableType]:
    yield Text(f"from {_named(comparison.before)} to {_named(comparison.after)}", "dim")
    for changes in comparison.environments:
        yield Text()
        yield Text.assemble((inert(changes.label), "bold"), "  ", _counts(changes))
        for gap in changes.gaps:
            yield indented(Text(short(gap), "magenta"))
        for kind, alike in groupby(changes.changes, key=lambda change: change.kind):
            if kind is not ChangeKind.SAME:
                yield from _kind(kind, list(alike))
    yield Text()
    answer, style = _ANSWERS[comparison.exit_code]
    worse = {change.test for changes in comparison.environments for change in changes.worse}
    yield Text(f"{number_of_tests(len(worse))} {answer}" if worse else answer, style)


def _named(side: Side) -> str:
    if side.commit and side.name.startswith(side.commit):
        return inert(side.commit)  # the side was named by that commit
    return inert(f"{side.name} at {side.commit}" if side.commit else side.name)


def _counts(changes: Changes) -> Text:
    parts = [Text(f"{number} {kind_word(kind)}", KIND_STYLES.get(kind, "")) for kind, number in changes.counts.items()]
    return Text(", ").join(parts) if parts else Text("no test", "magenta")


def kind_word(kind: ChangeKind) -> str:
    """Return the word for a kind of change."""
    return kind.replace("_", " ")


def _kind(kind: ChangeKind, changes: list[Change]) -> Iterator[RenderableType]:
    yield indented(Text(kind_word(kind), KIND_STYLES.get(kind, "")))
    for change in changes[:NAMED]:
        yield indented(_line(change), 4)
    if len(changes) > NAMED:
        yield indented(Text(f"and {len(changes) - NAMED} more", "dim"), 4)


def _line(change: Change) -> Text:
    text = Text(short(change.test), "bold")
    if change.renamed_from:
        text.append(f"  was {short(change.renamed_from)}", "not bold dim")
    if detail := detail_of(change):
        text.append(f"  {detail}", "not bold")
    return text


def detail_of(change: Change) -> str:
    """Return what became of a test, in one line; empty where its name and the kind of its change say it all."""
    before, after = change.before, change.after
    if before is None or after is None:
        left = after or before
        return _ended(left) if left and left.outcome is not Outcome.PASSED else ""
    match change.kind:
        case ChangeKind.RENAMED:
            return ""
        case ChangeKind.SLOWER:
            return f"{seconds(after.duration or 0)}, usually {seconds(change.usual or 0)}"
        case ChangeKind.MEASURED_WORSE:
            return inert("; ".join(map(str, change.numbers)))
        case ChangeKind.CAUSE_CHANGED:
            was, now = (cause_and_rule(seen.cause, seen.rule) for seen in (before, after))
            return f"{was}, now {now}{_because(after)}"
        case _:
            return f"{word(before.outcome)}, now {_ended(after)}"


def _ended(seen: Seen) -> str:
    cause = f", {cause_and_rule(seen.cause, seen.rule)}" if seen.cause is not None else ""
    return f"{word(seen.outcome)}{cause}{_because(seen)}"


def _because(seen: Seen) -> str:
    summary = first_line(seen.summary) if seen.outcome is not Outcome.PASSED else ""
    return f": {short(summary)}" if summary else ""
