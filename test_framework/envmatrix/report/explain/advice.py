"""What to do next about one cell: by its outcome, by the rule that decided, and by what other tests saw."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from envmatrix.causes import rule_named
from envmatrix.report.explain.rerun import shell_word
from envmatrix.report.words import ADVICE
from envmatrix.runs.cells import Cause, Cell, Evidence, Outcome, Run

_CALM = {
    Outcome.PASSED: "Nothing: it passed.",
    Outcome.SKIPPED: "Nothing, if it is not to run there; otherwise change what the reason names.",
    Outcome.XFAILED: "Nothing now: it failed as its mark expects. When it is mended, take the mark away.",
    Outcome.XPASSED: "Take the xfail mark away: the test passes now.",
}
"""What to do where nothing failed."""


def thought_and_deed(meaning: str) -> tuple[str, str]:
    """Cut a rule's meaning into what to think of it, its first sentence, and what to do; that may be empty."""
    thought, _, deed = meaning.partition(". ")
    return (f"{thought}." if deed else thought), deed


def steps(run: Run, cell: Cell, evidence: Evidence) -> Iterator[str]:
    """Yield what to do, the most telling first."""
    if cell.outcome in _CALM:
        yield _CALM[cell.outcome]
        return
    blocker = next((test for test in run.cells if evidence.summary.startswith(f"blocked by {test}: ")), None)
    if blocker is not None:
        yield f"See the test that failed first: {_explain_command(run, blocker)}"
        return
    if evidence.rule == "H303":
        yield _after_an_early_end(run, cell)
        return
    yield from _witness(run, cell, evidence)
    rule = rule_named(evidence.rule)
    _, deed = thought_and_deed(rule.meaning) if rule else ("", "")
    if deed or cell.cause is not None:
        advice = ADVICE[cell.cause or Cause.UNDETERMINED]
        yield deed or f"{advice[:1].upper()}{advice[1:]}."
    if evidence.phase == "smoke":
        yield "No test that needs the environment was run: none of them has said anything about the product."
    if cell.outcome is Outcome.FLAKY:
        yield "It passed when tried again: run it several times before you believe either answer."


def _witness(run: Run, cell: Cell, evidence: Evidence) -> Iterator[str]:
    """Yield who saw the services fall that were down before this test began."""
    down = _down(evidence.pings_before) & _down(evidence.pings)
    if cell.cause is not Cause.INFRASTRUCTURE or not down:
        return
    others = ((other.test, other.evidence) for other in run.cells.values() if other.evidence is not None)
    saw = (test for test, seen in others if down & (_down(seen.pings) - _down(seen.pings_before)) and seen.pings_before)
    witness = next(saw, None)
    where = f"This one saw it fall: {_explain_command(run, witness)}" if witness else "Look at what ran before it."
    yield f"{', '.join(sorted(down))} was down before this test began. {where}"


def _down(pings: Iterable[Mapping[str, Any]]) -> set[str]:
    return {str(ping.get("service")) for ping in pings if ping.get("status") == "down"}


def _explain_command(run: Run, test: str) -> str:
    return f"envmatrix explain {shell_word(run.header.environment)} {shell_word(test)}"


def _after_an_early_end(run: Run, cell: Cell) -> str:
    if cell.attempts:
        return "It was running when the run ended, and may be what ended it: run it alone."
    if run.footer is None:
        return "It was running when the run was killed, or had not begun: the run file cannot tell. Run it alone."
    return "It had not begun when the run ended. See why it ended, mend that, and run it again."
