"""Words and colours for outcomes, causes and answers, the same in every report."""

from __future__ import annotations

from envmatrix.gate import Answer
from envmatrix.runs.outcomes import Cause, Outcome

STYLES = {
    Outcome.PASSED: "green",
    Outcome.XFAILED: "yellow",
    Outcome.FLAKY: "yellow",
    Outcome.SKIPPED: "cyan",
    Outcome.XPASSED: "yellow",
    Outcome.FAILED: "bold red",
    Outcome.NOT_RUN: "magenta",
    None: "dim",
}
"""Outcome → colour on a terminal; `None` is a test that was not planned."""

ANSWER_STYLES = {Answer.COMPATIBLE: "green", Answer.INCOMPATIBLE: "red", Answer.UNKNOWN: "magenta"}

ADVICE = {
    Cause.CONTRACT: "mend the fixture that the line names, or delete it: the plugin brings one that keeps the contract",
    Cause.INFRASTRUCTURE: "look at the named service first: the test has said nothing about the product",
    Cause.LOGIC: "mend the product or the test",
    Cause.HARNESS: "run it again; if it stays, its log tells what ended the test",
    Cause.UNDETERMINED: "run it again; if it stays, look at what stands between the test and the service",
}
"""Cause → what to do next."""


def word(outcome: Outcome | None) -> str:
    """Return the word for an outcome; `None` is a test that was not planned."""
    return outcome.replace("_", " ") if outcome else "not planned"


def cause_and_rule(cause: Cause | None, rule: str) -> str:
    """Return `logic L401`; a cause without a rule stands alone, and nothing is empty."""
    return f"{cause} {rule}".rstrip() if cause is not None else ""
