"""The advice on one cell: by its outcome, by the rule that decided, and by the evidence of other tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from envmatrix.causes import remedy
from envmatrix.report.explain.rerun import shell_word
from envmatrix.report.explain.run_index import RunIndex
from envmatrix.report.words import ADVICE
from envmatrix.runs.cells import Cell, Run
from envmatrix.runs.events import Evidence
from envmatrix.runs.outcomes import Cause, Outcome
from envmatrix.runs.ping import Ping, PingStatus
from envmatrix.runs.rules import RuleCode

_CALM = {
    Outcome.PASSED: "Nothing: it passed.",
    Outcome.SKIPPED: "Nothing, if it is not to run there; otherwise change what the reason names.",
    Outcome.XFAILED: "Nothing now: it failed as its mark expects. When it is mended, take the mark away.",
    Outcome.XPASSED: "Take the xfail mark away: the test passes now.",
}
"""What to do where nothing failed."""


def steps(index: RunIndex, cell: Cell, evidence: Evidence) -> Iterator[str]:
    """Yield the steps to take, the most specific first."""
    run = index.run
    if cell.outcome in _CALM:
        yield _CALM[cell.outcome]
        return
    if evidence.blocked_by:
        yield f"See the test that failed first: {_explain_command(run, evidence.blocked_by)}"
        return
    if evidence.rule == RuleCode.NEVER_ENDED:
        yield _after_an_early_end(run, cell)
        return
    yield from _witness(index, cell, evidence)
    if (first := remedy(evidence)) or cell.cause is not None:
        advice = ADVICE[cell.cause or Cause.UNDETERMINED]
        yield first or f"{advice[:1].upper()}{advice[1:]}."
    if evidence.phase == "smoke":
        yield "No test that needs the environment was run: none of them has said anything about the product."
    if cell.outcome is Outcome.FLAKY:
        yield "It passed when tried again: run it several times before you believe either answer."


def _witness(index: RunIndex, cell: Cell, evidence: Evidence) -> Iterator[str]:
    """Yield the test during which a service went down that was down before this one began."""
    down = _down(evidence.pings_before) & _down(evidence.pings)
    if cell.cause is not Cause.INFRASTRUCTURE or not down:
        return
    witness = index.witness(down)
    where = (
        f"This one saw it fall: {_explain_command(index.run, witness)}" if witness else "Look at what ran before it."
    )
    yield f"{', '.join(sorted(down))} was down before this test began. {where}"


def _down(pings: Iterable[Ping]) -> set[str]:
    return {ping.service for ping in pings if ping.status is PingStatus.DOWN}


def _explain_command(run: Run, test: str) -> str:
    return f"envmatrix explain {shell_word(run.header.environment)} {shell_word(test)}"


def _after_an_early_end(run: Run, cell: Cell) -> str:
    if cell.attempts:
        return "It was running when the run ended, and may be what ended it: run it alone."
    if run.footer is None:
        if cell is run.ended[Outcome.NOT_RUN][0]:
            return "It is the first in the plan that has no end, and so may be what ended the run: run it alone."
        return "It was running when the run ended, or had not begun: the run file cannot tell. Run it alone."
    return "It had not begun when the run ended. See why it ended, mend that, and run it again."
